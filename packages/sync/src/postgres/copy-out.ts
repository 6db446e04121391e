import type { Socket } from 'node:net';
import type pg from 'pg';
import { CopyFrames } from './copy-frames.ts';
import type { CopyDecoder } from './copy-rows.ts';

// COPY … TO STDOUT over a connection of `pg`. The driver makes an object of each row's message; here a whole chunk of the socket is decoded at once, at three quarters of the cost.

/** Batches that wait to be taken before the socket is paused: one is decoded while another is used. */
const batchesWaitingMax = 2;

/**
 * Rows of a statement `COPY (SELECT …) TO STDOUT`, in batches of what came together, as the decoder makes them. Pulls: what is not taken stays at the server.
 * The connection can be used again when all rows were taken; it is broken off by anything else (an error of the server's leaves it usable, but who can tell). Throws what `pg` throws,
 * PROTOCOL, LIMIT and the signal's reason.
 */
export async function* copyOut<T extends { readonly length: number }>(
  client: pg.Client,
  sql: string,
  decoder: CopyDecoder<T>,
  signal: AbortSignal,
): AsyncGenerator<T> {
  signal.throwIfAborted();
  const query = new CopyOutQuery(sql, decoder);
  const onAbort = () => query.fail(signal.reason);
  signal.addEventListener('abort', onAbort);
  try {
    client.query(query);
    for (let rows = await query.next(); rows !== undefined; rows = await query.next()) yield rows;
  } finally {
    signal.removeEventListener('abort', onAbort);
    query.breakOff();
  }
}

/** What `pg` calls while the query is the connection's. */
class CopyOutQuery<T extends { readonly length: number }> {
  readonly #sql: string;
  readonly #frames = new CopyFrames();
  readonly #decoder: CopyDecoder<T>;
  readonly #batches: T[] = [];
  #socket: Socket | undefined;
  /** The driver's own reader. */
  #driver: ((chunk: Buffer) => void) | undefined;
  #failure: { readonly error: unknown } | undefined;
  #isDone = false;
  #wake: (() => void) | undefined;

  constructor(sql: string, decoder: CopyDecoder<T>) {
    this.#sql = sql;
    this.#decoder = decoder;
  }

  /** The next batch, or undefined after the last. */
  async next(): Promise<T | undefined> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure.error;
      const batch = this.#batches.shift();
      if (batch !== undefined) {
        this.#socket?.resume();
        return batch;
      }
      if (this.#isDone) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** The first failure is the one that counts. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#wake?.();
  }

  /** Unless all was read: closes the connection, so that the server stops. */
  breakOff(): void {
    if (!this.#isDone) this.#socket?.destroy();
  }

  submit(connection: pg.Connection): void {
    const { stream: socket } = connection as unknown as { readonly stream: Socket };
    const [driver] = socket.listeners('data') as ((chunk: Buffer) => void)[];
    this.#socket = socket;
    this.#driver = driver;
    socket.removeAllListeners('data');
    socket.on('data', this.#onData);
    connection.query(this.#sql);
  }

  handleError(error: Error): void {
    this.fail(error);
  }

  handleCommandComplete(): void {}

  handleReadyForQuery(): void {
    this.#isDone = true;
    this.#wake?.();
  }

  readonly #onData = (chunk: Buffer): void => {
    try {
      const { data, rest } = this.#frames.split(chunk);
      const rows = data.length > 0 ? this.#decoder.decode(data) : undefined;
      if (rows !== undefined && rows.length > 0) this.#batches.push(rows);
      if (rest !== undefined) this.#giveBack(rest);
      else if (this.#batches.length >= batchesWaitingMax) this.#socket?.pause();
    } catch (error) {
      this.fail(error);
    }
    this.#wake?.();
  };

  /** The rest is for the driver to read: the end of the command, or an error. */
  #giveBack(rest: Buffer): void {
    const [socket, driver] = [this.#socket, this.#driver];
    if (socket === undefined || driver === undefined) return;
    socket.removeListener('data', this.#onData);
    socket.on('data', driver);
    // CopyDone is the one end after which no row may be cut.
    if (rest[0] === 0x63) this.#decoder.finish();
    driver(rest);
  }
}
