// Beds: several hosts on one machine, each a network namespace with an sshd, a directory and a shaped link of its own.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hostPath } from './checkout.ts';
import { Host } from './host.ts';
import { buildNetwork, type NetworkPlan, planNetwork } from './network.ts';
import { type CommandOptions, type CommandResult, mustRun, runCommand } from './processes.ts';
import { createRecord, type RecordHandle } from './registry.ts';
import { changeUsers, removeRecorded, sweep, userExists } from './removal.ts';
import { requireRoot, requireTools } from './requirements.ts';
import { makeRecordedDirectory } from './sandbox.ts';
import { barePath, hostHome, prepareSsh, type SshFiles, type SshOptions, startSshd, waitForSshd } from './ssh.ts';

/** What a bed has. Every field may be left out. */
export type BedOptions = SshOptions & {
  /** Number of hosts, named a, b, c… Default: 2; at most 26. */
  readonly count?: number;
  /** Names instead of a number: a lowercase letter and up to 7 letters or digits. */
  readonly names?: readonly string[];
  /** Speed of each host's link, both directions. Default: as fast as the machine. */
  readonly linkMbit?: number;
  /** Adds a user without privileges to this machine for the bed's time; with `sudo` it may become root without a password. */
  readonly user?: 'plain' | 'sudo';
};

/** The hosts of one test. Everything of it is removed at the end of the block that holds it by `await using`. */
export class Bed implements AsyncDisposable {
  readonly id: string;
  /** Directory of the bed, which has a directory per host. */
  readonly path: string;
  readonly hosts: readonly Host[];
  readonly network: NetworkPlan;
  /** Client configuration with the hosts' names, for `ssh -F`. */
  readonly sshConfig: string;
  /** Private key that the hosts accept. */
  readonly sshKey: string;
  /** Name of the added user; undefined when none was asked for. */
  readonly user: string | undefined;
  readonly record: RecordHandle;

  constructor(
    record: RecordHandle,
    path: string,
    network: NetworkPlan,
    files: SshFiles,
    hosts: readonly Host[],
    user: string | undefined,
  ) {
    this.id = record.record.id;
    this.record = record;
    this.path = path;
    this.network = network;
    this.sshConfig = files.configPath;
    this.sshKey = files.keyPath;
    this.hosts = hosts;
    this.user = user;
  }

  /** The host of a name; throws when there is none. */
  host(name: string): Host {
    const host = this.hosts.find((candidate) => candidate.name === name);
    if (host === undefined)
      throw new Error(`this bed has no host ${name}, only ${this.hosts.map((known) => known.name).join(', ')}`);
    return host;
  }

  /** The remote shell as one string, as `baton copy --ssh` takes it. */
  get sshCommand(): string {
    return `ssh -F ${this.sshConfig}`;
  }

  /** Runs a command over ssh from the root namespace, as an operator would. */
  async ssh(destination: string, command: string, options: CommandOptions = {}): Promise<CommandResult> {
    return await runCommand(['ssh', '-F', this.sshConfig, '-o', 'BatchMode=yes', destination, command], options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await removeRecorded(this.record);
  }
}

const bedTools = ['ip', 'tc', 'nsenter', 'sshd', 'ssh', 'ssh-keygen'] as const;

function hostNames(options: BedOptions): readonly string[] {
  const names =
    options.names ?? Array.from({ length: options.count ?? 2 }, (_, index) => String.fromCharCode(97 + index));
  const bad = names.find((name) => !/^[a-z][a-z0-9]{0,7}$/.test(name));
  if (bad !== undefined)
    throw new Error(`a host's name is a lowercase letter and up to 7 letters or digits, not ${bad}`);
  if (names.length === 0 || new Set(names).size !== names.length)
    throw new Error('a bed needs hosts with different names');
  for (const name of [
    ...(options.unknownHostKeys ?? []),
    ...(options.changedHostKeys ?? []),
    ...(options.refuseLogin ?? []),
    ...(options.bare ?? []),
    ...Object.entries(options.jump ?? {}).flat(),
  ]) {
    if (!names.includes(name)) throw new Error(`the options name the host ${name}, which this bed does not have`);
  }
  return names;
}

async function addUser(record: RecordHandle, directory: string, { user, bare }: BedOptions): Promise<string> {
  const withSudo = user === 'sudo';
  const sudoPath = bare === undefined ? hostPath : barePath(join(directory, '.bed', 'ssh'));
  const name = `${record.record.id}u`;
  const home = join(directory, '.bed', 'home');
  mkdirSync(home, { recursive: true });
  record.add('users', name);
  // `*` as password: nobody can log in with one, yet sshd does not hold the account for locked as it would with `!`.
  const argv = ['useradd', '--no-create-home', '--home-dir', home, '--shell', '/bin/sh', '--password', '*', name];
  await changeUsers(argv, () => userExists(name));
  await mustRun(['chown', `${name}:`, home]);
  if (withSudo) {
    const path = `/etc/sudoers.d/${name}`;
    record.add('files', path);
    writeFileSync(path, `Defaults:${name} secure_path="${sudoPath}", !requiretty\n${name} ALL=(root) NOPASSWD: ALL\n`, {
      mode: 0o440,
    });
  }
  return name;
}

/** A host behind a jump host must not be reachable without it, or a test with a jump host would prove nothing. */
async function closeToRoot(host: Host, network: NetworkPlan): Promise<void> {
  const rules = `table inet bed_jump { chain input { type filter hook input priority -10; ip saddr ${network.root.ipv4} drop; ip6 saddr ${network.root.ipv6} drop; }; }`;
  const result = await host.exec(['nft', '-f', '-'], { input: rules });
  if (result.code !== 0) throw new Error(`nft on ${host.name}: ${result.stderr}`);
}

/** Promise.all() that waits for every part also when one fails: the removal that follows must not run beside them. */
async function allEnded<T extends readonly unknown[]>(
  parts: readonly [...T],
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(parts);
  return await Promise.all(parts);
}

/**
 * Starts a bed. Needs root. Returns when every sshd answers on both its addresses. What beds of dead processes left is
 * removed first.
 */
export async function startHosts(options: BedOptions = {}): Promise<Bed> {
  requireRoot('a bed of hosts (network namespaces)');
  requireTools('a bed of hosts', bedTools);
  const names = hostNames(options);
  await sweep();
  const record = createRecord('bt');
  try {
    const network = planNetwork(record.record.id, names, options.linkMbit);
    for (const namespace of [network.switchNamespace, ...network.hosts.map((host) => host.namespace)])
      record.add('namespaces', namespace);
    record.add('links', network.rootLink);
    const path = makeRecordedDirectory(record, 'baton-bed');
    for (const name of names) mkdirSync(join(path, name), { mode: 0o755 });
    const [files, , user] = await allEnded([
      prepareSsh(join(path, '.bed', 'ssh'), network.hosts, options),
      buildNetwork(network),
      options.user === undefined ? undefined : addUser(record, path, options),
    ]);
    const hosts = network.hosts.map((plan) => {
      const home = hostHome(files.directory, plan.name);
      return new Host({
        network,
        plan,
        path: join(path, plan.name),
        home,
        sshdPid: startSshd(files, plan, record),
        record,
      });
    });
    await Promise.all(network.hosts.map((plan) => waitForSshd(files, plan)));
    await Promise.all(
      hosts.filter(({ name }) => options.jump?.[name] !== undefined).map((host) => closeToRoot(host, network)),
    );
    return new Bed(record, path, network, files, hosts, user);
  } catch (error) {
    await removeRecorded(record);
    throw error;
  }
}
