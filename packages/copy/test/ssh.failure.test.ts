// Proves: why an agent could not be started is recognised from what a real ssh, shell and sudo say, and comes with the next step.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { BatonError } from '@batondb/core/errors';
import { spawnChild } from '@batondb/core/process/child';
import { type RemoteRequest, remoteCommand } from '../src/remote/ssh.ts';
import { explainSshFailure } from '../src/remote/ssh-failure.ts';
import { type Sshd, startSshd } from './sshd.ts';

const timeout = 30_000;
let sshd: Sshd;

before(async () => {
  sshd = await startSshd();
});
after(() => sshd[Symbol.asyncDispose]());

/** Starts an agent by a real remote shell that is expected to fail, and returns the explanation. */
async function explain(changes: Partial<RemoteRequest>): Promise<BatonError> {
  const request: RemoteRequest = {
    ssh: sshd.ssh(),
    endpoint: { host: '127.0.0.1', user: undefined },
    agent: '/nowhere/baton',
    sudo: false,
    ...changes,
  };
  await using child = await spawnChild(remoteCommand(request), { detached: true });
  child.stdin.end();
  child.stdout.resume();
  return explainSshFailure(request, await child.exited);
}

/** The same for words that cannot be provoked on every machine. */
function explainWords(stderrTail: string, code: number, changes: Partial<RemoteRequest> = {}): BatonError {
  const endpoint = { host: 'db1', user: undefined };
  return explainSshFailure({ ssh: ['ssh'], endpoint, agent: 'baton', sudo: false, ...changes }, { code, stderrTail });
}

test('an unknown host key comes with the line to run', { timeout }, async () => {
  const file = `UserKnownHostsFile=${join(sshd.directory, 'known_hosts_empty')}`;
  const error = await explain({ ssh: sshd.ssh('-o', file) });
  assert.equal(error.code, 'UNKNOWN_HOST_KEY');
  assert.equal(error.message, 'its host key is not known');
  assert.match(
    error.hint ?? '',
    /fingerprint.*accept it: ssh -o \S+ .*-o StrictHostKeyChecking=ask 127\.0\.0\.1 true$/,
  );
});

test('a changed host key is a warning, without a line that would wipe it away', { timeout }, async () => {
  const file = `UserKnownHostsFile=${join(sshd.directory, 'known_hosts_changed')}`;
  const error = await explain({ ssh: sshd.ssh('-o', file) });
  assert.equal(error.code, 'UNKNOWN_HOST_KEY');
  assert.match(error.message, /host key is NOT the one that is known/);
  assert.doesNotMatch(`${error.message} ${error.hint}`, /ssh-keygen|StrictHostKeyChecking|-R /);
});

test('a refused login says by which way to see the keys', { timeout }, async () => {
  const ssh = ['ssh', '-F', 'none', '-p', String(sshd.port), '-i', join(sshd.directory, 'other_user_key')];
  const rest = ['-o', 'IdentitiesOnly=yes', '-o', `UserKnownHostsFile=${join(sshd.directory, 'known_hosts')}`];
  const error = await explain({ ssh: [...ssh, ...rest] });
  assert.equal(error.code, 'UNREACHABLE');
  assert.match(error.message, /^the login was refused: .*Permission denied \(publickey/);
  assert.match(error.hint ?? '', /keys are offered: ssh .* -v .*127\.0\.0\.1 true$/);
});

test('an agent that is not there is AGENT_MISSING', { timeout }, async () => {
  const absent = await explain({});
  assert.equal(absent.code, 'AGENT_MISSING');
  assert.match(absent.message, /no \/nowhere\/baton was found there/);
  const unnamed = await explain({ agent: 'baton-is-not-installed' });
  assert.equal(unnamed.code, 'AGENT_MISSING');
  assert.match(unnamed.hint ?? '', /--agent.*'echo \$PATH'$/);
  const inert = await explain({ agent: '/etc/passwd' });
  assert.equal(inert.code, 'AGENT_MISSING');
  assert.match(inert.message, /cannot be executed there/);
});

test('an agent without a node that is new enough says what it needs', { timeout }, async () => {
  const agent = join(sshd.directory, 'baton');
  writeFileSync(agent, '#!/bin/sh\necho "baton: needs Node.js 24 or newer" >&2\nexit 69\n', { mode: 0o755 });
  const error = await explain({ agent });
  assert.equal(error.code, 'AGENT_MISSING');
  assert.match(error.message, /needs Node\.js 24 or newer/);
  assert.equal(error.retryable, false);
  const nodeless = join(sshd.directory, 'nodeless');
  writeFileSync(nodeless, '#!/usr/bin/env -S -i PATH=/nowhere env node\n', { mode: 0o755 });
  assert.match((await explain({ agent: nodeless })).hint ?? '', /Node\.js|--agent/);
});

test('a host that does not answer, or has no name, is UNREACHABLE', { timeout }, async () => {
  const closed = await explain({ ssh: ['ssh', '-F', 'none', '-p', '1'] });
  assert.equal(closed.code, 'UNREACHABLE');
  assert.equal(closed.retryable, true);
  assert.match(closed.message, /it did not answer: .*port 1: Connection refused/);
  const nameless = await explain({
    ssh: ['ssh', '-F', 'none'],
    endpoint: { host: 'no-such-host.invalid', user: undefined },
  });
  assert.equal(nameless.code, 'UNREACHABLE');
  assert.match(nameless.message, /^the name cannot be resolved/);
});

test('a configuration that ssh does not take is told', { timeout }, async () => {
  const error = await explain({ ssh: ['ssh', '-o', 'NoSuchOption=1'] });
  assert.equal(error.code, 'UNREACHABLE');
  assert.match(error.message, /ssh refused to connect: Bad configuration option/);
});

test('an agent that breaks off is shown with its last words', { timeout }, async () => {
  const agent = join(sshd.directory, 'broken');
  writeFileSync(agent, '#!/bin/sh\necho "No such file or directory: my own words" >&2\nexit 5\n', { mode: 0o755 });
  const error = await explain({ agent });
  assert.equal(error.code, 'UNREACHABLE');
  assert.match(
    error.message,
    /ended with exit code 5 before the agent answered, and said: No such file or directory: my own/,
  );
});

test('another remote shell is taken at its word', { timeout }, async () => {
  const error = await explain({ ssh: ['sh', '-c', 'echo "Host key verification failed." >&2; exit 7'] });
  assert.equal(error.code, 'UNREACHABLE');
  assert.match(error.message, /sh ended with exit code 7/);
});

test('what sudo says leads to the line that allows it', () => {
  const request = { sudo: true, agent: '/usr/local/bin/baton', endpoint: { host: 'db1', user: 'ops' } };
  for (const words of [
    'sudo: a password is required',
    'ops is not in the sudoers file.',
    'sudo: sorry, you must have a tty to run sudo',
  ]) {
    const error = explainWords(words, 1, request);
    assert.equal(error.code, 'NO_PERMISSION', words);
    assert.match(error.hint ?? '', /ops ALL=\(root\) NOPASSWD: \/usr\/local\/bin\/baton agent$/);
  }
  assert.equal(explainWords('sudo: baton: command not found', 1, { sudo: true }).code, 'AGENT_MISSING');
  assert.equal(explainWords('sh: 1: exec: sudo: not found', 127, { sudo: true }).code, 'UNSUPPORTED');
});

test('networks that do not lead to the host', () => {
  for (const reason of ['Connection timed out', 'No route to host', 'Network is unreachable']) {
    assert.match(explainWords(`ssh: connect to host db1 port 22: ${reason}`, 255).message, /did not answer/);
  }
  assert.match(explainWords('Connection timed out during banner exchange', 255).message, /did not answer/);
  assert.match(
    explainWords('Connection to db1 closed by remote host.', 255).message,
    /ended before the agent answered/,
  );
  assert.match(explainWords('', 255).message, /and said nothing/);
});
