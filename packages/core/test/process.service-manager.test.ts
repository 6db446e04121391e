// Proves: what a service says reaches a datagram socket as systemd makes it, by path and by abstract name; and that nobody being there
// is an error.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { notifyServiceManager } from '../src/process/service-manager.ts';

/** Binds a datagram socket, says so, and prints the first datagram that comes. */
const receiver = `
  use Socket; $| = 1; my $path = $ARGV[0]; $path =~ s/^@/\\0/;
  socket(S, PF_UNIX, SOCK_DGRAM, 0) && bind(S, pack_sockaddr_un($path)) or die $!;
  print "ready\\n"; recv(S, my $text, 4096, 0); print $text;`;

async function received(path: string): Promise<string> {
  const child = spawn('perl', ['-e', receiver, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => (text += part));
  await Promise.race([once(child.stdout, 'data'), once(child, 'close')]);
  notifyServiceManager(path, ['READY=1', 'STATUS=serving']);
  await once(child, 'close');
  return text;
}

test('assignments arrive as one datagram', async () => {
  await using sandbox = makeSandbox();
  assert.equal(await received(sandbox.join('notify')), 'ready\nREADY=1\nSTATUS=serving\n');
  assert.equal(await received(`@baton-test-${process.pid}`), 'ready\nREADY=1\nSTATUS=serving\n');
});

test('a socket that is not there, and what is no address, are errors', async () => {
  await using sandbox = makeSandbox();
  assert.throws(() => notifyServiceManager(sandbox.join('nobody'), ['READY=1']), /ENOENT|no such file/i);
  assert.throws(() => notifyServiceManager('relative', ['READY=1']), { code: 'USAGE' });
  assert.throws(() => notifyServiceManager(`/${'x'.repeat(200)}`, ['READY=1']), { code: 'USAGE' });
});
