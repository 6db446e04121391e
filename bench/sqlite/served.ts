import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { WebSocket } from 'ws';
import { clients, type Method, rowNumbers, statements, type Workload } from './method.ts';

// A node behind its server, in a process of its own; the clients are in this one. Both share the machine.

const clientCount = 16;
const ticksPerSecond = 100;

export type Served = AsyncDisposable & { readonly methods: readonly Method[]; readonly memoryMiB: () => number };

type Ask = (sql: string, values: readonly number[]) => Promise<unknown>;

/** Starts a server with its clients and measures what they get from it. */
export async function servedMethods(directory: string): Promise<Served> {
  await using started = new AsyncDisposableStack();
  const { address, pid } = await startServing(`${directory}/served`, started);
  const sockets = await Promise.all(Array.from({ length: clientCount }, () => SocketClient.open(address)));
  for (const socket of sockets) started.use(socket);
  let agent = new Agent();
  const overHttp: Ask = (sql, values) => post(agent, `http://${address}/v3/pipeline`, sql, values);
  const numbers = rowNumbers();
  const method = (
    workload: Workload,
    name: string,
    title: string,
    count: number,
    ask: (client: number) => Ask,
  ): Method => ({
    workload,
    name,
    title,
    cpuSeconds: () => cpuSecondsOf(pid),
    run: async (endMs) => {
      // A new one each time: what was idle while others were measured may be closed by now.
      agent = new Agent({ keepAlive: true, maxSockets: clientCount });
      const done = await clients(count, endMs, (client) =>
        workload === 'server-write'
          ? ask(client)("INSERT INTO written (name, amount) VALUES ('a name', ?)", [1])
          : ask(client)(statements.point, [numbers.next().value]),
      );
      agent.destroy();
      return done;
    },
  });
  const methods = (['server-write', 'server-read'] as const).flatMap((workload) => [
    method(workload, 'ws-16', 'WebSocket, 16 clients', clientCount, (client) => sockets[client]!.ask),
    method(workload, 'ws-1', 'WebSocket, 1 client', 1, () => sockets[0]!.ask),
    method(workload, 'http-16', 'HTTP keep-alive, 16 clients', clientCount, () => overHttp),
  ]);
  const all = started.move();
  return { methods, memoryMiB: () => residentMiB(pid), [Symbol.asyncDispose]: () => all.disposeAsync() };
}

async function startServing(
  directory: string,
  started: AsyncDisposableStack,
): Promise<{ readonly address: string; readonly pid: number }> {
  const program = new URL('./serve-process.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, ['--conditions=batondb-source', program, directory], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  started.defer(async () => {
    const ended = once(child, 'exit');
    child.stdin.end();
    await ended;
  });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return { address: line.toString().trim(), pid: child.pid! };
}

function body(sql: string, values: readonly number[]): unknown {
  return { type: 'execute', stmt: { sql, args: values.map((value) => ({ type: 'integer', value: String(value) })) } };
}

function post(agent: Agent, url: string, sql: string, values: readonly number[]): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const sent = request(
      url,
      { method: 'POST', agent, headers: { 'content-type': 'application/json' } },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          if (response.statusCode === 200 && !text.includes('"type":"error"')) resolve(JSON.parse(text));
          else reject(new Error(`HTTP ${response.statusCode}: ${text}`));
        });
      },
    );
    sent.on('error', reject);
    sent.end(JSON.stringify({ baton: null, requests: [body(sql, values), { type: 'close' }] }));
  });
}

/** One WebSocket with one stream. */
class SocketClient implements Disposable {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, { resolve: (reply: unknown) => void; reject: (error: Error) => void }>();
  #lastRequest = 0;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data: Buffer) => {
      const message = JSON.parse(data.toString()) as { type: string; request_id?: number; error?: unknown };
      if (message.request_id === undefined) return;
      const waiting = this.#waiting.get(message.request_id);
      this.#waiting.delete(message.request_id);
      if (message.type === 'response_ok') waiting?.resolve(message);
      else waiting?.reject(new Error(JSON.stringify(message.error)));
    });
  }

  static async open(address: string): Promise<SocketClient> {
    const socket = new WebSocket(`ws://${address}/`, ['hrana3']);
    await once(socket, 'open');
    const client = new SocketClient(socket);
    socket.send(JSON.stringify({ type: 'hello', jwt: null }));
    await client.#request({ type: 'open_stream', stream_id: 1 });
    return client;
  }

  ask: Ask = (sql, values) => this.#request({ stream_id: 1, ...(body(sql, values) as object) });

  #request(content: object): Promise<unknown> {
    this.#lastRequest += 1;
    const request_id = this.#lastRequest;
    return new Promise((resolve, reject) => {
      this.#waiting.set(request_id, { resolve, reject });
      this.#socket.send(JSON.stringify({ type: 'request', request_id, request: content }));
    });
  }

  [Symbol.dispose](): void {
    this.#socket.terminate();
  }
}

function cpuSecondsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

function residentMiB(pid: number): number {
  const kib = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kib) / 1024;
}
