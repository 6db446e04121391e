// Runs as a process of its own inside a host's network: forwards TCP connections to a port and interferes as it is told.
// Its one argument is a ProxyPlan as JSON; it reports on standard output, a JSON object per line; it ends with its input.
import { connect, createServer, type Socket } from 'node:net';

/** What the proxy does to a connection. Offsets count the bytes of one direction of one connection from 0. */
export type ProxyAction =
  /** Passes everything on unchanged. */
  | { readonly kind: 'pass' }
  /** Flips the lowest bit of the byte at an offset. */
  | { readonly kind: 'flip'; readonly direction: ProxyDirection; readonly offset: number }
  /** Ends the connection, with a reset to both sides, when an offset is reached. */
  | { readonly kind: 'cut'; readonly direction: ProxyDirection; readonly offset: number }
  /** Passes nothing on in this direction after an offset, and closes nothing. */
  | { readonly kind: 'stall'; readonly direction: ProxyDirection; readonly offset: number }
  /** Reports the first bytes of a direction, and passes everything on. */
  | { readonly kind: 'record'; readonly direction: ProxyDirection; readonly length: number };

/** `toServer`: from who connects to who listens. */
export type ProxyDirection = 'toServer' | 'toClient';

export type ProxyPlan = {
  /** Port of the real server; connections reach the proxy by a redirection. */
  readonly port: number;
  readonly action: ProxyAction;
  /** How many connections are interfered with; later ones pass. */
  readonly connections: number;
};

export type ProxyReport =
  | { readonly type: 'listening'; readonly port: number }
  | { readonly type: 'connection'; readonly connection: number; readonly from: string }
  /** The action has happened at this offset. */
  | { readonly type: 'acted'; readonly connection: number; readonly offset: number }
  | { readonly type: 'recorded'; readonly connection: number; readonly base64: string }
  | {
      readonly type: 'closed';
      readonly connection: number;
      readonly toServerBytes: number;
      readonly toClientBytes: number;
    };

function report(line: ProxyReport): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** One direction of one connection. */
class Lane {
  seenBytes = 0;
  readonly #action: ProxyAction;
  readonly #connection: number;
  readonly #cut: () => void;
  readonly #recorded: Buffer[] = [];
  #recordedBytes = 0;
  #acted = false;

  constructor(action: ProxyAction, connection: number, cut: () => void) {
    this.#action = action;
    this.#connection = connection;
    this.#cut = cut;
  }

  /** True when nothing more goes through, not even the end. */
  get isStalled(): boolean {
    return this.#acted && this.#action.kind === 'stall';
  }

  /** What is passed on of a chunk. */
  take(chunk: Buffer): Buffer {
    const begin = this.seenBytes;
    this.seenBytes += chunk.length;
    const action = this.#action;
    if (action.kind === 'pass') return chunk;
    if (action.kind === 'record') {
      if (this.#recordedBytes < action.length) this.#record(chunk, action.length);
      return chunk;
    }
    if (this.seenBytes <= action.offset) return chunk;
    if (!this.#acted) {
      this.#acted = true;
      report({ type: 'acted', connection: this.#connection, offset: action.offset });
      if (action.kind === 'flip') {
        const at = action.offset - begin;
        chunk[at] = (chunk[at] ?? 0) ^ 1;
      }
    }
    if (action.kind === 'flip') return chunk;
    if (action.kind === 'cut') this.#cut();
    return chunk.subarray(0, Math.max(0, action.offset - begin));
  }

  /** Reports what was recorded, also when the connection ends before all of it came. */
  finish(): void {
    if (this.#action.kind !== 'record' || this.#acted) return;
    this.#acted = true;
    report({
      type: 'recorded',
      connection: this.#connection,
      base64: Buffer.concat(this.#recorded).toString('base64'),
    });
  }

  #record(chunk: Buffer, length: number): void {
    const part = chunk.subarray(0, length - this.#recordedBytes);
    this.#recorded.push(part);
    this.#recordedBytes += part.length;
    if (this.#recordedBytes >= length) this.finish();
  }
}

function carry(from: Socket, to: Socket, lane: Lane): void {
  from.on('data', (chunk: Buffer) => {
    const passed = lane.take(chunk);
    if (passed.length === 0 || to.destroyed) return;
    if (!to.write(passed)) {
      from.pause();
      to.once('drain', () => from.resume());
    }
  });
  from.on('end', () => {
    if (!lane.isStalled) to.end();
  });
}

function serve(client: Socket, connection: number, plan: ProxyPlan): void {
  report({ type: 'connection', connection, from: client.remoteAddress ?? '' });
  // The redirection has changed the destination to this host's own address: the real server listens on that or on all.
  const server = connect({ host: client.localAddress ?? '127.0.0.1', port: plan.port, allowHalfOpen: true });
  const cut = (): void => {
    client.resetAndDestroy();
    server.resetAndDestroy();
  };
  const action = connection <= plan.connections ? plan.action : ({ kind: 'pass' } as const);
  const actionFor = (direction: ProxyDirection): ProxyAction =>
    action.kind !== 'pass' && action.direction === direction ? action : { kind: 'pass' };
  const toServer = new Lane(actionFor('toServer'), connection, cut);
  const toClient = new Lane(actionFor('toClient'), connection, cut);
  carry(client, server, toServer);
  carry(server, client, toClient);
  let open = 2;
  const onClose = (): void => {
    open -= 1;
    if (open > 0) return;
    toServer.finish();
    toClient.finish();
    report({ type: 'closed', connection, toServerBytes: toServer.seenBytes, toClientBytes: toClient.seenBytes });
  };
  for (const [one, other] of [
    [client, server],
    [server, client],
  ] as const) {
    one.on('error', () => other.resetAndDestroy());
    one.on('close', onClose);
  }
}

function main(plan: ProxyPlan): void {
  let connections = 0;
  const server = createServer({ allowHalfOpen: true }, (client) => {
    connections += 1;
    serve(client, connections, plan);
  });
  server.listen(0, '::', () => {
    const address = server.address();
    if (address !== null && typeof address === 'object') report({ type: 'listening', port: address.port });
  });
  // Whoever started it holds the other end of its input, so that it never outlives them.
  process.stdin.on('end', () => process.exit(0)).on('error', () => process.exit(0));
  process.stdin.resume();
}

if (process.argv[2] !== undefined && process.argv[1] === import.meta.filename)
  main(JSON.parse(process.argv[2]) as ProxyPlan);
