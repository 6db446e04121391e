// Faults of processes and of links. Each fault on a host is undone by restore(), or at the end of the block that holds it.
import type { Host } from './host.ts';
import { hostLink } from './network.ts';
import { describeProcess, killProcess, type ProcessInfo, signalProcess, waitUntil } from './process-table.ts';
import { mustRun } from './processes.ts';

/** A fault that lasts until it is restored; restoring twice is allowed. */
export class Fault implements AsyncDisposable {
  readonly #undo: () => Promise<void>;
  #restored: Promise<void> | undefined;

  constructor(undo: () => Promise<void>) {
    this.#undo = undo;
  }

  restore(): Promise<void> {
    this.#restored ??= this.#undo();
    return this.#restored;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.restore();
  }
}

/** kill -9 for the agents of a host; throws when none runs, since a test that kills nothing proves nothing. */
export async function killAgents(host: Host): Promise<readonly ProcessInfo[]> {
  const agents = host.agents();
  if (agents.length === 0) throw new Error(`no agent runs on ${host.name}`);
  await Promise.all(agents.map(({ pid }) => killProcess(pid)));
  return agents;
}

/** Stops a process without ending it, as a machine that hangs; restore() lets it go on, if it still lives. */
export async function stopProcess(pid: number): Promise<Fault> {
  if (!signalProcess(pid, 'SIGSTOP')) throw new Error(`no process has the pid ${pid}`);
  await waitUntil(`process ${pid} stops`, () => (describeProcess(pid)?.state ?? 'T') === 'T');
  return new Fault(async () => {
    signalProcess(pid, 'SIGCONT');
  });
}

/** Stops all agents of a host; throws when none runs. */
export async function stopAgents(host: Host): Promise<Fault> {
  const agents = host.agents();
  if (agents.length === 0) throw new Error(`no agent runs on ${host.name}`);
  const stopped = await Promise.all(agents.map(({ pid }) => stopProcess(pid)));
  return new Fault(async () => {
    await Promise.all(stopped.map((fault) => fault.restore()));
  });
}

/** Stops everything on a host, its ssh sessions too, as a machine that hangs: connections stay open and nothing answers. */
export async function stopHost(host: Host): Promise<Fault> {
  const all = [...host.processes(), ...host.sshSessions()].map(({ pid }) => pid);
  for (const pid of all) signalProcess(pid, 'SIGSTOP');
  return new Fault(async () => {
    for (const pid of all) signalProcess(pid, 'SIGCONT');
  });
}

/** Which traffic a host loses; no field means all of it, ssh included. */
export type TrafficFilter = {
  /** Only TCP to or from these ports of the host: `4400` or `4400-4500`. */
  readonly ports?: string;
  /** Only what goes to or comes from this host. */
  readonly peer?: Host;
  /** `drop`: packets vanish, as behind a firewall or a cut cable; `reject`: connections are refused at once. Default: drop. */
  readonly how?: 'drop' | 'reject';
};

let tables = 0;

/** Takes traffic away from a host by rules of its own firewall. Open connections are affected too. */
export async function blockTraffic(host: Host, filter: TrafficFilter = {}): Promise<Fault> {
  const table = `fault_${process.pid}_${++tables}`;
  const rules = (direction: 'saddr' | 'daddr', port: 'dport' | 'sport'): string => {
    const verdict =
      filter.how === 'reject' ? (filter.ports === undefined ? 'reject' : 'reject with tcp reset') : 'drop';
    const ports = filter.ports === undefined ? '' : `tcp ${port} ${filter.ports}`;
    if (filter.peer === undefined) return `meta nfproto { ipv4, ipv6 } ${ports} ${verdict};`;
    return `ip ${direction} ${filter.peer.ipv4} ${ports} ${verdict}; ip6 ${direction} ${filter.peer.ipv6} ${ports} ${verdict};`;
  };
  // A refusal is itself a packet that goes out, and must not be refused.
  const refusals =
    filter.how === 'reject' ? 'meta l4proto { icmp, icmpv6 } accept; tcp flags & rst == rst accept;' : '';
  const script =
    `table inet ${table} {\n` +
    `chain input { type filter hook input priority -5; iifname ${hostLink} jump in; }\n` +
    `chain output { type filter hook output priority -5; oifname ${hostLink} jump out; }\n` +
    `chain in { ${rules('saddr', 'dport')} }\nchain out { ${refusals} ${rules('daddr', 'sport')} }\n}\n`;
  await mustRun(host.inNamespace(['nft', '-f', '-']), { input: script });
  return new Fault(async () => {
    await mustRun(host.inNamespace(['nft', 'delete', 'table', 'inet', table]));
  });
}

/** Cuts a host's link at the bridge, as a pulled cable: nothing goes through, ssh included, and nobody is told. */
export async function cutLink(host: Host): Promise<Fault> {
  const { namespace, link } = host.bridgePort();
  await mustRun(['ip', '-n', namespace, 'link', 'set', link, 'down']);
  return new Fault(async () => {
    await mustRun(['ip', '-n', namespace, 'link', 'set', link, 'up']);
  });
}
