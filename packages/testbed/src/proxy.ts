// Interference with TCP connections that come in to a host: flipped bytes, cuts, stalls, recordings and replays.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Fault } from './faults.ts';
import type { Host } from './host.ts';
import { hostLink } from './network.ts';
import { killProcess, waitUntil } from './process-table.ts';
import { mustRun } from './processes.ts';
import type { ProxyAction, ProxyPlan, ProxyReport } from './proxy-process.ts';

/** What to interfere with. */
export type ProxyOptions = {
  /** Port of the host that connections come in to. */
  readonly port: number;
  readonly action: ProxyAction;
  /** How many connections are interfered with, the first ones; later ones pass unchanged. Default: 1. */
  readonly connections?: number;
};

/** A proxy in front of one port of a host. */
export class Proxy extends Fault {
  /** Everything it has reported so far, in order. */
  readonly reports: readonly ProxyReport[];

  constructor(reports: readonly ProxyReport[], undo: () => Promise<void>) {
    super(undo);
    this.reports = reports;
  }

  /** Reports of one type. */
  reported<T extends ProxyReport['type']>(type: T): Extract<ProxyReport, { type: T }>[] {
    return this.reports.filter((one): one is Extract<ProxyReport, { type: T }> => one.type === type);
  }

  /** Waits until the action has happened. */
  async waitUntilActed(timeoutMs = 10_000): Promise<void> {
    await waitUntil(
      'the proxy acts',
      () => this.reports.some(({ type }) => type === 'acted' || type === 'recorded'),
      timeoutMs,
    );
  }

  /** The first bytes that a `record` proxy has kept of its first connection. */
  async recording(timeoutMs = 10_000): Promise<Buffer> {
    await this.waitUntilActed(timeoutMs);
    return Buffer.from(this.reported('recorded')[0]?.base64 ?? '', 'base64');
  }
}

/** Puts a proxy in front of a port of a host. New connections from other hosts go through it; open ones do not. */
export async function startProxy(host: Host, options: ProxyOptions): Promise<Proxy> {
  const plan: ProxyPlan = { port: options.port, action: options.action, connections: options.connections ?? 1 };
  const program = join(
    import.meta.dirname,
    import.meta.filename.endsWith('.ts') ? 'proxy-process.ts' : 'proxy-process.js',
  );
  const [command = '', ...argv] = host.inNamespace([process.execPath, program, JSON.stringify(plan)]);
  const child = spawn(command, argv, { stdio: ['pipe', 'pipe', 'inherit'] });
  const { pid } = child;
  if (pid === undefined) throw new Error('the proxy cannot be started');
  host.toolPids.add(pid);
  host.record.addProcess(pid);
  const reports: ProxyReport[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => reports.push(JSON.parse(line) as ProxyReport));
  const end = async (): Promise<void> => {
    child.stdin.destroy();
    await killProcess(pid);
    host.toolPids.delete(pid);
  };
  try {
    await waitUntil('the proxy listens', () => reports.some(({ type }) => type === 'listening'));
    const listening = reports.find((one) => one.type === 'listening');
    const table = `proxy_${process.pid}_${pid}`;
    // Only what comes in by the link: the proxy's own connection to the real server must not come back to it.
    const script = `table inet ${table} { chain c { type nat hook prerouting priority dstnat; iifname ${hostLink} tcp dport ${plan.port} redirect to :${listening?.port}; }; }`;
    await mustRun(host.inNamespace(['nft', '-f', '-']), { input: script });
    return new Proxy(reports, async () => {
      await mustRun(host.inNamespace(['nft', 'delete', 'table', 'inet', table]));
      await end();
    });
  } catch (error) {
    await end();
    throw error;
  }
}

/** Sends its input, and prints what comes back until the other side closes or time is up. */
const replayScript = `
const [address, port, timeoutMs] = process.argv.slice(1);
const socket = require('node:net').connect({ host: address, port: Number(port) });
let ended = 'timeout';
const answer = [];
const timer = setTimeout(() => socket.destroy(), Number(timeoutMs));
process.stdin.pipe(socket, { end: false });
socket.on('data', (chunk) => answer.push(chunk));
socket.on('end', () => { ended = 'closed'; });
socket.on('error', (error) => { ended = error.code; });
socket.on('close', () => {
  clearTimeout(timer);
  process.stdin.destroy();
  console.log(JSON.stringify({ ended, base64: Buffer.concat(answer).toString('base64') }));
});
`;

/** What a replay met: `closed` by the other side, `timeout` (still open), or the error's code such as ECONNRESET. */
export type ReplayResult = { readonly ended: string; readonly answer: Buffer };

/** Connects from a host to an address, sends the bytes (a recording, say) and gives back the answer. */
export async function replayBytes(
  from: Host,
  address: string,
  port: number,
  bytes: Uint8Array,
  timeoutMs = 3000,
): Promise<ReplayResult> {
  const argv = from.inNamespace([process.execPath, '-e', replayScript, address, String(port), String(timeoutMs)]);
  const { stdout } = await mustRun(argv, { input: bytes, timeoutMs: timeoutMs + 10_000 });
  const { ended, base64 } = JSON.parse(stdout) as { ended: string; base64: string };
  return { ended, answer: Buffer.from(base64, 'base64') };
}
