// Who has no business at a data port: impostors, strangers who only wait, and redirections to the wrong place.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { encodeFrame, frameTypes } from '@batondb/core/protocol/frame';
import { Fault } from '@batondb/testbed/faults';
import type { Host } from '@batondb/testbed/host';
import { hostLink } from '@batondb/testbed/network';
import { waitUntil } from '@batondb/testbed/process-table';
import { mustRun } from '@batondb/testbed/processes';
import type { ImpostorReport } from './impostor-server.ts';

let tables = 0;

/** Has new connections to a port of a host end at another port of it. Open ones stay as they are. */
export async function redirectPort(host: Host, port: number, to: number): Promise<Fault> {
  const table = `redirect_${process.pid}_${++tables}`;
  const rule = `iifname ${hostLink} tcp dport ${port} redirect to :${to}`;
  const script = `table inet ${table} { chain c { type nat hook prerouting priority dstnat; ${rule}; }; }`;
  await mustRun(host.inNamespace(['nft', '-f', '-']), { input: script });
  return new Fault(async () => {
    await mustRun(host.inNamespace(['nft', 'delete', 'table', 'inet', table]));
  });
}

/** A server on a host that stands in for the agent as soon as a port is redirected to it. */
export type Impostor = AsyncDisposable & { readonly seen: () => ImpostorReport };

/** Starts one: `tls` with a certificate of its own, or `plain` without TLS. */
export async function startImpostor(host: Host, kind: 'tls' | 'plain'): Promise<Impostor> {
  const program = join(import.meta.dirname, 'impostor-server.ts');
  const node = [process.execPath, '--conditions=batondb-source', '--disable-warning=ExperimentalWarning'];
  const [command = '', ...argv] = host.inNamespace([...node, program, kind]);
  const child = spawn(command, argv, { stdio: ['pipe', 'pipe', 'inherit'] });
  const { pid = 0 } = child;
  host.toolPids.add(pid);
  host.record.addProcess(pid);
  let seen: ImpostorReport = { port: 0, connections: 0, contentBytes: 0 };
  createInterface({ input: child.stdout }).on('line', (line) => {
    seen = JSON.parse(line) as ImpostorReport;
  });
  await waitUntil('the impostor listens', () => seen.port > 0, 20_000);
  return {
    seen: () => seen,
    async [Symbol.asyncDispose]() {
      const exited = once(child, 'exit');
      child.stdin.end();
      await exited;
      host.toolPids.delete(pid);
    },
  };
}

/** What a client got that has no certificate of the job: how it ended, and the bytes that came after the handshake. */
export type Turned = { readonly ended: string; readonly contentBytes: number };

/** Connects by TLS as a stranger would, offers data, and waits to be turned away (or 15 s). */
export async function knock(address: string, port: number, options: ConnectionOptions): Promise<Turned> {
  const socket = connectTls({ host: address, port, rejectUnauthorized: false, ...options });
  const offered = Buffer.concat(encodeFrame(frameTypes.hello, new Uint8Array(72)));
  socket.once('secureConnect', () => socket.write(offered));
  return await untilTurned(socket);
}

/** Sends bytes that are no TLS, and waits to be turned away. */
export async function knockPlain(address: string, port: number, bytes: Uint8Array): Promise<Turned> {
  const socket = connect({ host: address, port });
  socket.once('connect', () => socket.write(bytes));
  return await untilTurned(socket);
}

async function untilTurned(socket: Socket): Promise<Turned> {
  let contentBytes = 0;
  let ended = 'still open';
  socket.on('data', (chunk: Buffer) => (contentBytes += chunk.length));
  socket.on('end', () => (ended = 'closed'));
  socket.on('error', (error: NodeJS.ErrnoException) => (ended = error.code ?? error.message));
  const timer = setTimeout(() => socket.destroy(), 15_000);
  await new Promise((resolve) => socket.once('close', resolve));
  clearTimeout(timer);
  return { ended, contentBytes };
}

/** Keeps `count` connections open that say nothing, and opens another for each that is closed, until it is disposed. */
export class Crowd implements Disposable {
  /** How many have been accepted in all. */
  accepted = 0;
  readonly #sockets = new Set<Socket>();
  #isOver = false;

  constructor(address: string, port: number, count: number) {
    for (let index = 0; index < count; index++) this.#come(address, port);
  }

  /** How many are open now. */
  get present(): number {
    return [...this.#sockets].filter(({ readyState }) => readyState === 'open').length;
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  #come(address: string, port: number): void {
    const socket = connect({ host: address, port });
    this.#sockets.add(socket);
    socket.on('connect', () => this.accepted++);
    socket.on('error', () => undefined);
    socket.resume().on('close', () => {
      this.#sockets.delete(socket);
      if (!this.#isOver) setTimeout(() => this.#isOver || this.#come(address, port), 100);
    });
  }
}
