// Keys, configurations and servers of OpenSSH for the hosts of a bed; everything below the bed's own directory.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { hostPath } from './checkout.ts';
import type { HostPlan } from './network.ts';
import { waitUntil } from './process-table.ts';
import { mustRun, runCommand } from './processes.ts';
import type { RecordHandle } from './registry.ts';

/** What is unusual about the ssh of some hosts. Each list has names of hosts. */
export type SshOptions = {
  /** Hosts whose key no client knows. */
  readonly unknownHostKeys?: readonly string[];
  /** Hosts for which clients know another key than they have. */
  readonly changedHostKeys?: readonly string[];
  /** Hosts that accept nobody's key. */
  readonly refuseLogin?: readonly string[];
  /** Hosts whose logins find a shell, the coreutils, tar, gzip and sudo, and nothing else: no Node and no baton. */
  readonly bare?: readonly string[];
  /** Hosts reached only through another one: name → name of the jump host. */
  readonly jump?: Readonly<Record<string, string>>;
};

/** The prepared files of a bed's ssh. */
export type SshFiles = { readonly directory: string; readonly configPath: string; readonly keyPath: string };

async function makeKey(path: string): Promise<string> {
  await mustRun(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', 'baton-testbed', '-f', path]);
  return readFileSync(`${path}.pub`, 'latin1').trim().split(' ').slice(0, 2).join(' ');
}

function hostBlock(alias: string, address: string, jump: string | undefined): string {
  return `Host ${alias}\n  HostName ${address}\n${jump === undefined ? '' : `  ProxyJump ${jump}\n`}`;
}

/**
 * Makes keys and files: a client configuration with an alias per host (`a`, and `a6` for its IPv6 address) that also knows
 * the bare addresses, and a server configuration per host.
 */
export async function prepareSsh(
  directory: string,
  hosts: readonly HostPlan[],
  options: SshOptions,
): Promise<SshFiles> {
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  const keyPath = join(directory, 'user_key');
  const otherKeyPath = join(directory, 'other_key');
  const [userKey, otherKey, ...hostKeys] = await Promise.all(
    [keyPath, otherKeyPath, ...hosts.map(({ name }) => join(directory, `host_key_${name}`))].map(makeKey),
  );
  writeFileSync(join(directory, 'authorized_keys'), `${userKey}\n`);
  writeFileSync(join(directory, 'authorized_keys_nobody'), '');
  const knownHosts: string[] = [];
  const blocks: string[] = [];
  const version = await opensshVersion();
  if (options.bare !== undefined) makeBarePath(barePath(directory));
  for (const [index, host] of hosts.entries()) {
    mkdirSync(hostHome(directory, host.name), { mode: 0o700 });
    const jump = options.jump?.[host.name];
    const known = options.changedHostKeys?.includes(host.name) === true ? otherKey : hostKeys[index];
    if (options.unknownHostKeys?.includes(host.name) !== true) knownHosts.push(`${host.ipv4},${host.ipv6} ${known}`);
    blocks.push(hostBlock(host.name, host.ipv4, jump), hostBlock(`${host.name}6`, host.ipv6, jump));
    const accepted = options.refuseLogin?.includes(host.name) === true ? 'authorized_keys_nobody' : 'authorized_keys';
    writeFileSync(
      join(directory, `sshd_config_${host.name}`),
      serverConfig(
        directory,
        host.name,
        accepted,
        version,
        options.bare?.includes(host.name) === true ? barePath(directory) : hostPath,
      ),
    );
  }
  const knownHostsPath = join(directory, 'known_hosts');
  writeFileSync(knownHostsPath, knownHosts.map((line) => `${line}\n`).join(''));
  const aliases = hosts.flatMap(({ name, ipv4, ipv6 }) => [name, `${name}6`, ipv4, ipv6]);
  const configPath = join(directory, 'ssh_config');
  writeFileSync(
    configPath,
    `${blocks.join('')}Host ${aliases.join(' ')}\n  User root\n  IdentityFile ${keyPath}\n  IdentitiesOnly yes\n  IdentityAgent none\n` +
      `  UserKnownHostsFile ${knownHostsPath}\n  GlobalKnownHostsFile /dev/null\n  ConnectTimeout 10\n` +
      // Tests log in thousands of times, and the usual exchange, safe from quantum computers, takes a client seven times the processor.
      '  KexAlgorithms curve25519-sha256\n',
  );
  return { directory, configPath, keyPath };
}

/** Home directory of root on a host, beside the bed's ssh files. */
export function hostHome(sshDirectory: string, name: string): string {
  return join(sshDirectory, `home_${name}`);
}

/** The only directory in the PATH of hosts without anything, in the directory of a bed's ssh. */
export function barePath(sshDirectory: string): string {
  return join(sshDirectory, 'bare');
}

/** A directory for PATH that stands for a host on which nothing was installed. */
function makeBarePath(directory: string): void {
  const tools =
    'cat chmod cut dirname du echo env gzip head id ls mkdir mktemp mv rm rmdir sh sha256sum sleep stat sudo sync tail tar touch tr true uname wc';
  mkdirSync(directory);
  for (const name of tools.split(' ')) {
    const found = ['/usr/bin', '/bin'].map((place) => join(place, name)).find((path) => existsSync(path));
    if (found !== undefined) symlinkSync(found, join(directory, name));
  }
}

function serverConfig(directory: string, name: string, authorizedKeys: string, version: number, path: string): string {
  const lines = [
    'Port 22',
    `HostKey ${join(directory, `host_key_${name}`)}`,
    `PidFile ${join(directory, `sshd_${name}.pid`)}`,
    `AuthorizedKeysFile ${join(directory, authorizedKeys)}`,
    // The files belong to root, but lie below /tmp, which sshd would not trust.
    'StrictModes no',
    'UsePAM no',
    'UseDNS no',
    'PermitRootLogin prohibit-password',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'PrintMotd no',
    'MaxStartups 200',
    'MaxSessions 200',
    'Subsystem sftp internal-sftp',
    // Tests of refused logins would otherwise lock their own address out.
    ...(version >= 9.8 ? ['PerSourcePenalties no'] : []),
    // A home of its own: bash reads ~/.bashrc for commands over ssh, and this machine's may do anything, also take a lock
    // that a killed test leaves behind. The directory that a session starts in stays the one of the user's account.
    'Match User root',
    `  SetEnv PATH=${path} HOME=${hostHome(directory, name)}${compiledCode()}`,
    'Match User *,!root',
    `  SetEnv PATH=${path}`,
  ];
  return `${lines.join('\n')}\n`;
}

/** Where this run keeps compiled code: a home that is made anew has none, and compiling is most of what starting a program takes. */
function compiledCode(): string {
  const directory = process.env['NODE_COMPILE_CACHE'];
  return directory === undefined ? '' : ` NODE_COMPILE_CACHE=${directory}`;
}

async function opensshVersion(): Promise<number> {
  const { stderr } = await runCommand(['ssh', '-V']);
  return Number(/OpenSSH_(\d+\.\d+)/.exec(stderr)?.[1] ?? 0);
}

/** Starts a host's sshd in its namespace and returns its pid; it may not answer yet. */
export function startSshd(files: SshFiles, host: HostPlan, record: RecordHandle): number {
  // sshd separates its privileges in this directory and does not start without it; the distribution's service would make it.
  mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  const log = sshdLogPath(files, host.name);
  const config = join(files.directory, `sshd_config_${host.name}`);
  // nsenter, not `ip netns exec`: that makes a mount namespace, in which mounts made later for a test would not appear.
  const argv = [`--net=/run/netns/${host.namespace}`, '/usr/sbin/sshd', '-D', '-f', config, '-E', log];
  const child = spawn('nsenter', argv, { stdio: 'ignore', detached: true });
  child.on('error', () => undefined);
  child.unref();
  if (child.pid === undefined) throw new Error('nsenter cannot be started; it is in the Debian package util-linux');
  record.addProcess(child.pid);
  return child.pid;
}

/** What a host's sshd has logged. */
export function sshdLogPath(files: SshFiles, name: string): string {
  return join(files.directory, `sshd_${name}.log`);
}

function answersAsSsh(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port: 22, timeout: 500 });
    const end = (answers: boolean): void => {
      socket.destroy();
      resolve(answers);
    };
    socket.on('data', (chunk: Buffer) => end(chunk.toString('latin1').startsWith('SSH-2.0')));
    socket.on('error', () => end(false));
    socket.on('timeout', () => end(false));
    socket.on('close', () => end(false));
  });
}

/** Waits until a host's sshd sends its greeting on both addresses. */
export async function waitForSshd(files: SshFiles, host: HostPlan): Promise<void> {
  for (const address of [host.ipv4, host.ipv6]) {
    await waitUntil(
      `sshd of ${host.name} answers on ${address} (log: ${sshdLogPath(files, host.name)})`,
      () => answersAsSsh(address),
      10_000,
    );
  }
}
