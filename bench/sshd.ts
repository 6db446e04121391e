import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { findProgram } from './programs.ts';

/** An OpenSSH server on loopback that is ready to be started, and the client's way to it. */
export type SshServer = {
  readonly program: string;
  readonly serverConfigPath: string;
  /** For `ssh -F`; it knows the server by three names, `bench-target`, `bench-target2` and `bench-target3`. */
  readonly clientConfigPath: string;
  readonly port: number;
};

/** OpenSSH insists on this directory when it runs as root; the distribution makes it only when its own service starts. */
const privilegeSeparationDirectory = '/run/sshd';

/** Writes keys and configurations into `directory`. Nothing of the user's own ssh configuration is read or changed. */
export function prepareSshServer(directory: string, port: number): SshServer {
  mkdirSync(directory, { mode: 0o700 });
  const program = findProgram('sshd') ?? 'sshd';
  const hostKey = makeKey(join(directory, 'host'));
  const userKey = makeKey(join(directory, 'user'));
  if (process.getuid?.() === 0 && !existsSync(privilegeSeparationDirectory)) {
    mkdirSync(privilegeSeparationDirectory, { mode: 0o755 });
  }
  writeFileSync(join(directory, 'authorized'), userKey.publicKey, { mode: 0o600 });
  writeFileSync(join(directory, 'known'), `bench-target ${hostKey.publicKey}`);
  const serverConfigPath = join(directory, 'sshd_config');
  writeFileSync(
    serverConfigPath,
    `ListenAddress 127.0.0.1:${port}
HostKey ${hostKey.path}
AuthorizedKeysFile ${join(directory, 'authorized')}
PidFile none
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
# The keys lie below the system's temporary directory, which others may write to.
StrictModes no
LogLevel ERROR
Subsystem sftp internal-sftp
`,
  );
  const clientConfigPath = join(directory, 'ssh_config');
  writeFileSync(
    clientConfigPath,
    `Host bench-target bench-target2 bench-target3
  HostName 127.0.0.1
  HostKeyAlias bench-target
  Port ${port}
  User ${userInfo().username}
  IdentityFile ${userKey.path}
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile ${join(directory, 'known')}
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  BatchMode yes
  LogLevel ERROR
`,
  );
  chmodSync(clientConfigPath, 0o600);
  return { program, serverConfigPath, clientConfigPath, port };
}

function makeKey(path: string): { path: string; publicKey: string } {
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'baton-bench', '-f', path]);
  return { path, publicKey: execFileSync('ssh-keygen', ['-y', '-f', path], { encoding: 'utf8' }) };
}
