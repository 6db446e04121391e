// Proves: the remote shell is called by its contract, and what is quoted arrives as it was.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { splitWords } from '@batondb/core/text/words';
import { carryCommand } from '../src/remote/carry-script.ts';
import { forgetCommand } from '../src/remote/forget-script.ts';
import { type RemoteRequest, remoteCommand } from '../src/remote/ssh.ts';

const request: RemoteRequest = {
  ssh: ['ssh'],
  endpoint: { host: 'db1', user: undefined },
  agent: 'baton',
  sudo: false,
};

test('OpenSSH gets options that ask nothing and forward nothing', () => {
  const argv = remoteCommand({ ...request, ssh: ['/usr/bin/ssh', '-F', 'my conf'] });
  assert.deepEqual(argv.slice(0, 6), ['/usr/bin/ssh', '-F', 'my conf', '-T', '-x', '-a']);
  assert.deepEqual(argv.slice(-2), ['db1', 'exec baton agent']);
  for (const option of ['BatchMode=yes', 'ServerAliveInterval=2', 'ServerAliveCountMax=3', 'ConnectTimeout=10']) {
    assert.equal(argv[argv.indexOf(option) - 1], '-o', option);
  }
  // -G checks that the client knows every option, and reads no host.
  const settings = execFileSync('ssh', ['-F', 'none', ...argv.slice(3, -2), '-G', 'db1'], { encoding: 'utf8' });
  assert.match(settings, /^serveraliveinterval 2$/m);
  assert.match(settings, /^forwardagent no$/m);
});

test('another remote shell gets its words, the destination and one command', () => {
  const argv = remoteCommand({ ...request, ssh: ['rsh-like', '-k'], endpoint: { host: '2001:db8::1', user: 'root' } });
  assert.deepEqual(argv, ['rsh-like', '-k', 'root@2001:db8::1', 'exec baton agent']);
});

test('sudo is asked for no password', () => {
  assert.equal(
    remoteCommand({ ...request, sudo: true, agent: '/opt/b/baton' }).at(-1),
    'exec sudo -n -- /opt/b/baton agent',
  );
});

test('a path that a shell would take apart is quoted', () => {
  const agent = `/opt/it's "my" $HOME/baton`;
  const command =
    remoteCommand({ ...request, agent })
      .at(-1)
      ?.replace(/^exec/, `printf '%s|'`) ?? '';
  assert.equal(execFileSync('sh', ['-c', command], { encoding: 'utf8' }), `${agent}|agent|`);
  assert.equal(remoteCommand({ ...request, agent: '~/my bin/baton' }).at(-1), `exec ~/'my bin/baton' agent`);
});

test('the script that carries is one quoted word, and its arguments are plain', () => {
  const command = carryCommand({ token: '0123abcd', how: 'carried', sudo: true });
  const [exec, sh, flag, script = '', ...rest] = splitWords(command);
  assert.deepEqual([exec, sh, flag, ...rest], ['exec', 'sh', '-c', 'baton', '0123abcd', 'carried', 'sudo']);
  for (const each of [script, splitWords(forgetCommand('00'))[3] ?? '']) {
    assert.doesNotMatch(each, /'/, 'a single quote would end the word');
    for (const shell of ['sh', 'bash']) execFileSync(shell, ['-n', '-c', each]);
  }
});
