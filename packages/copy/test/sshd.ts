// A real sshd on loopback for tests of what ssh says: keys made on the spot, a free port, ended by its pid.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '@batondb/testbed/ports';

export type Sshd = AsyncDisposable & {
  readonly port: number;
  readonly directory: string;
  /** The words of a client that knows the host and has the right key; `overrides` come first and win. */
  ssh(...overrides: string[]): string[];
};

/** Starts a server that accepts one key of the current user, and waits until it answers. */
export async function startSshd(): Promise<Sshd> {
  const directory = mkdtempSync(join(tmpdir(), 'baton-sshd-'));
  for (const name of ['host_key', 'other_host_key', 'user_key', 'other_user_key']) {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(directory, name)]);
  }
  const port = await freePort();
  const known = (key: string): string => `[127.0.0.1]:${port} ${readFileSync(join(directory, `${key}.pub`), 'utf8')}`;
  writeFileSync(join(directory, 'known_hosts'), known('host_key'));
  writeFileSync(join(directory, 'known_hosts_changed'), known('other_host_key'));
  writeFileSync(join(directory, 'known_hosts_empty'), '');
  const config = ['ListenAddress 127.0.0.1', `Port ${port}`, `HostKey ${join(directory, 'host_key')}`, 'PidFile none'];
  config.push(
    `AuthorizedKeysFile ${join(directory, 'user_key.pub')}`,
    'StrictModes no',
    'UsePAM no',
    'PasswordAuthentication no',
  );
  writeFileSync(join(directory, 'sshd_config'), `${config.join('\n')}\n`);
  // Where sshd as root gives up its privileges; Debian makes it when the service starts.
  if (userInfo().uid === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  const server = spawn('/usr/sbin/sshd', ['-D', '-e', '-f', join(directory, 'sshd_config')], { stdio: 'ignore' });
  await waitForPort(port);
  const standard = [
    '-F',
    'none',
    '-p',
    String(port),
    '-i',
    join(directory, 'user_key'),
    '-o',
    'IdentitiesOnly=yes',
    '-o',
    'IdentityAgent=none',
  ];
  standard.push('-o', `UserKnownHostsFile=${join(directory, 'known_hosts')}`, '-o', 'GlobalKnownHostsFile=/dev/null');
  return {
    port,
    directory,
    ssh: (...overrides) => ['ssh', ...overrides, ...standard],
    [Symbol.asyncDispose]: () => stop(server, directory),
  };
}

async function stop(server: ChildProcess, directory: string): Promise<void> {
  if (server.exitCode === null && server.kill()) await once(server, 'exit');
  rmSync(directory, { recursive: true, force: true });
}

async function waitForPort(port: number): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    const socket = connect(port, '127.0.0.1');
    const answered = await new Promise<boolean>((resolve) => {
      socket.once('data', () => resolve(true)).once('error', () => resolve(false));
    });
    socket.destroy();
    if (answered) return;
    await sleep(25);
  }
  throw new Error(`sshd does not answer on port ${port}`);
}
