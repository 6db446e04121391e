// One host of a bed, as tests see it.
import { join } from 'node:path';
import { hostPath } from './checkout.ts';
import { type HostPlan, type NetworkPlan, shapeLink } from './network.ts';
import { killProcess, listProcesses, type ProcessInfo, waitUntil } from './process-table.ts';
import { type CommandOptions, type CommandResult, runCommand } from './processes.ts';
import type { RecordHandle } from './registry.ts';
import { namespaceInode } from './removal.ts';

/** What a host is made of; startHosts() makes it. */
export type HostParts = {
  readonly network: NetworkPlan;
  readonly plan: HostPlan;
  /** Its directory, without a slash at the end. */
  readonly path: string;
  readonly home: string;
  readonly sshdPid: number;
  readonly record: RecordHandle;
};

/** A host: its own network, sshd and directory. The file system and the processes' numbers are the machine's. */
export class Host {
  readonly name: string;
  /** Its directory, absolute, with a slash at the end. */
  readonly path: string;
  /** Value of HOME for root, outside of `path`: nothing of this machine's own root is read or changed. */
  readonly home: string;
  readonly ipv4: string;
  readonly ipv6: string;
  /** Name of its network namespace, as in /run/netns. */
  readonly namespace: string;
  readonly namespaceInode: number;
  /** Its listening sshd. */
  readonly sshdPid: number;
  /** Where faults note what they mount. */
  readonly record: RecordHandle;
  /** Processes of the testbed itself in this namespace (proxies), which processes() leaves out. */
  readonly toolPids: Set<number> = new Set();
  readonly #network: NetworkPlan;
  readonly #plan: HostPlan;

  constructor({ network, plan, path, home, sshdPid, record }: HostParts) {
    const inode = namespaceInode(plan.namespace);
    if (inode === undefined) throw new Error(`the namespace ${plan.namespace} does not exist`);
    this.#network = network;
    this.#plan = plan;
    this.name = plan.name;
    this.path = `${path}/`;
    this.home = home;
    this.ipv4 = plan.ipv4;
    this.ipv6 = plan.ipv6;
    this.namespace = plan.namespace;
    this.namespaceInode = inode;
    this.sshdPid = sshdPid;
    this.record = record;
  }

  /** The path of a name in its directory. */
  join(...names: readonly string[]): string {
    return join(this.path, ...names);
  }

  /** The command that runs `argv` in this host's network; mounts and processes are seen as everywhere. */
  inNamespace(argv: readonly string[]): string[] {
    return ['nsenter', `--net=/run/netns/${this.namespace}`, '--', ...argv];
  }

  /** Runs a command (a string goes to `sh -c`) as root on this host, in its directory unless `cwd` says otherwise. */
  async exec(command: string | readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    const argv = typeof command === 'string' ? ['sh', '-c', command] : command;
    return await runCommand(this.inNamespace(argv), {
      cwd: this.path,
      ...options,
      env: { PATH: hostPath, HOME: this.home, ...options.env },
    });
  }

  /** Every process of this host except its sshd with its sessions and the testbed's own tools. */
  processes(): ProcessInfo[] {
    return listProcesses(this.namespaceInode).filter(
      ({ executable, pid }) => !executable.endsWith('/sshd') && !this.toolPids.has(pid),
    );
  }

  /** The processes of ssh sessions that are open on this host. */
  sshSessions(): ProcessInfo[] {
    return listProcesses(this.namespaceInode).filter(
      ({ executable, pid }) => executable.endsWith('/sshd') && pid !== this.sshdPid,
    );
  }

  /** Baton's agents: processes with the argument `agent`, but not the shells, sudo or ssh that started them. */
  agents(): ProcessInfo[] {
    return this.processes().filter(
      ({ argv, executable }) => !/\/(sudo|ssh|dash|bash|sh)$/.test(executable) && argv.slice(1).includes('agent'),
    );
  }

  /** Waits for an agent to run and returns the first one. */
  async waitForAgent(timeoutMs = 10_000): Promise<ProcessInfo> {
    let agent: ProcessInfo | undefined;
    await waitUntil(
      `an agent runs on ${this.name}`,
      () => {
        agent = this.agents()[0];
        return agent !== undefined;
      },
      timeoutMs,
    );
    return agent as ProcessInfo;
  }

  /** Waits until none but sshd is left; throws with the command lines of what still runs. */
  async waitForNoProcess(timeoutMs = 10_000): Promise<void> {
    try {
      await waitUntil(`no process is left on ${this.name}`, () => this.processes().length === 0, timeoutMs);
    } catch (error) {
      const left = this.processes().map(({ pid, argv, state }) => `${pid} (${state}) ${argv.join(' ')}`);
      throw new Error(`${(error as Error).message}:\n${left.join('\n')}`);
    }
  }

  /** kill -9 for everything on this host but its listening sshd: sessions and agents end at once, as in a reset. */
  async killAll(): Promise<void> {
    await Promise.all([...this.sshSessions(), ...this.processes()].map(({ pid }) => killProcess(pid)));
  }

  /** Changes the speed of its link, both directions; undefined: as fast as the machine. */
  async setLinkMbit(linkMbit: number | undefined): Promise<void> {
    await shapeLink(this.#network, this.#plan, linkMbit);
  }

  /** Its end of the link at the bridge: the bridge's namespace and the link's name there. */
  bridgePort(): { readonly namespace: string; readonly link: string } {
    return { namespace: this.#network.switchNamespace, link: this.#plan.port };
  }
}
