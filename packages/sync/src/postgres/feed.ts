import { once } from 'node:events';
import { BatonError } from '@batondb/core/errors';
import type pg from 'pg';
import { ChangeBlockWriter } from './change-block.ts';
import { socketOf } from './connect.ts';
import { CopyMessages } from './copy-messages.ts';
import { isSqlState, toSourceError } from './failures.ts';
import { decodeMessage, skimMessage } from './pgoutput.ts';
import type { PgoutputMessage } from './pgoutput-messages.ts';
import type { Lsn } from './position.ts';
import {
  decodeFrame,
  encodeStandbyStatus,
  isWalFrame,
  type KeepaliveFrame,
  walEndAt,
  walHeadBytes,
} from './replication-frames.ts';
import { newSlotHint } from './slot.ts';
import { streamLimits } from './stream-limits.ts';

// A replication connection that streams. Reading pauses when nobody takes what was read; our status goes on by a timer of its own (Y9).

/** Changes inside of a transaction that is not committed yet, as they came: they are decoded when it commits. */
export type StreamedChanges = { readonly kind: 'streamed'; readonly block: Buffer };

export type Received = PgoutputMessage | StreamedChanges | KeepaliveFrame;

/** What the driver does not declare. */
type CopyConnection = {
  once(event: 'replicationStart', listener: () => void): void;
  sendCopyFromChunk(chunk: Buffer): void;
};

const farewellMs = 500;

export class ReplicationFeed implements AsyncDisposable {
  readonly #client: pg.Client;
  readonly #node: string;
  readonly #connection: CopyConnection;
  #queue: Received[] = [];
  readonly #streamed = new ChangeBlockWriter((block) => this.#queue.push({ kind: 'streamed', block }));
  #queuedBytes = 0;
  #isPaused = false;
  /** Between Stream Start and Stream Stop. */
  #isStreamed = false;
  #failure: unknown;
  #wake: (() => void) | undefined;
  readonly #received: ReceivedLsn;
  #acknowledged: Lsn;
  #heardAt = Date.now();
  #timer: NodeJS.Timeout | undefined;
  readonly #isAwaited: () => boolean;
  /** The newest word of the server that nobody was told. */
  #held: KeepaliveFrame | undefined;
  /** How many may be told at once. */
  #credit: number = streamLimits.placesMax;
  #creditedAt = Date.now();

  /** `isAwaited`: something waits for the server to say how far it is. */
  constructor(client: pg.Client, node: string, after: Lsn, isAwaited: () => boolean) {
    this.#client = client;
    this.#node = node;
    this.#isAwaited = isAwaited;
    this.#connection = (client as unknown as { connection: CopyConnection }).connection;
    this.#received = new ReceivedLsn(after);
    this.#acknowledged = after;
  }

  /** Runs START_REPLICATION. Throws UNAVAILABLE (retryable) while somebody else reads the slot, HISTORY_LOST, and others. */
  async start(command: string): Promise<void> {
    const started = Promise.withResolvers<void>();
    this.#connection.once('replicationStart', () => started.resolve());
    this.#readOurselves();
    this.#client.on('error', (error: unknown) => this.fail(error));
    this.#client.once('end', () => this.fail(new Error('Connection terminated')));
    // It ends only with the stream.
    const ended = this.#client
      .query(command)
      .then(() => new Error('Connection terminated: the server ended the stream'));
    ended
      .catch((error: unknown) => error)
      .then((error: unknown) => {
        this.fail(error);
        started.reject(error);
      })
      .catch(() => undefined);
    try {
      await started.promise;
    } catch (error) {
      throw explainStart(error, this.#node);
    }
    this.#heardAt = Date.now();
    this.#timer = setInterval(() => this.#beat(), streamLimits.statusMs);
    this.#sendStatus(false);
  }

  /** What has arrived since it was asked last. Ends only by an error or the signal. */
  async *batches(signal: AbortSignal): AsyncGenerator<readonly Received[], never> {
    const stop = (): void => this.fail(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    try {
      signal.throwIfAborted();
      for (;;) {
        while (this.#queuedBytes === 0) {
          signal.throwIfAborted();
          if (this.#failure !== undefined) throw toSourceError(this.#failure, this.#node);
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        }
        this.#streamed.flush();
        const batch = this.#queue;
        this.#queue = [];
        this.#queuedBytes = 0;
        this.#resume();
        yield batch;
        signal.throwIfAborted();
      }
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  /** The server may forget what is before. Told with the next status. */
  acknowledge(position: Lsn): void {
    if (position > this.#acknowledged) this.#acknowledged = position;
  }

  get acknowledged(): Lsn {
    return this.#acknowledged;
  }

  /** Tells at once what is acknowledged from here on: the server waits for it. */
  hurry(): void {
    if (this.#failure !== undefined) return;
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#beat(), streamLimits.hurriedStatusMs);
  }

  /**
   * Ends the batches with an error, after what was received already; the first one counts. The connection goes at once, also when nobody takes batches: a server that is
   * stopped waits for it.
   */
  fail(error: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = error ?? new Error('Connection terminated');
    this.#wake?.();
    const socket = socketOf(this.#client);
    // What was acknowledged last is not lost with the connection, if the server still listens.
    if (this.#timer !== undefined && socket.writable) this.#sendStatus(false);
    clearInterval(this.#timer);
    socket.end();
    // Nobody reads what is still on its way, so the end of an orderly farewell would never be seen.
    socket.resume();
    const timer = setTimeout(() => socket.destroy(), farewellMs);
    socket.once('close', () => clearTimeout(timer));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const socket = socketOf(this.#client);
    const closed = socket.destroyed ? undefined : once(socket, 'close');
    this.fail(new Error('Connection terminated'));
    await closed?.catch(() => undefined);
  }

  /** The connection is idle, so nothing of a message is with the driver yet. It gets what is not of the stream. */
  #readOurselves(): void {
    const socket = socketOf(this.#client);
    const drivers = socket.listeners('data') as ((chunk: Buffer) => void)[];
    const messages = new CopyMessages({
      data: (bytes, start, end) => this.#take(bytes, start, end),
      other: (message) => {
        for (const driver of drivers) driver(message);
      },
    });
    socket.removeAllListeners('data');
    socket.on('data', (chunk: Buffer) => this.#receive(chunk, messages));
  }

  #receive(chunk: Buffer, messages: CopyMessages): void {
    if (this.#failure !== undefined) return;
    this.#heardAt = Date.now();
    try {
      messages.take(chunk);
    } catch (error) {
      this.fail(error);
      return;
    }
    this.#queuedBytes += chunk.length;
    if (this.#queuedBytes > streamLimits.receivedBytesMax && !this.#isPaused) {
      this.#isPaused = true;
      socketOf(this.#client).pause();
    }
    this.#wake?.();
  }

  /** Nothing of the bytes is kept but by copying. */
  #take(bytes: Buffer, start: number, end: number): void {
    if (!isWalFrame(bytes, start, end)) {
      this.#takeOther(bytes.subarray(start, end));
      return;
    }
    const at = start + walHeadBytes;
    this.#received.raise(bytes.readUInt32BE(start + walEndAt), bytes.readUInt32BE(start + walEndAt + 4));
    if (!this.#isStreamed) {
      const message = decodeMessage(bytes, at, false, end);
      if (message.kind === 'streamStart') this.#isStreamed = true;
      this.#queue.push(message);
      return;
    }
    const { kind, xid } = skimMessage(bytes, at, true, end);
    if (kind !== 'streamStop') {
      this.#streamed.add(xid ?? 0, bytes.subarray(at, end), 0);
      return;
    }
    this.#isStreamed = false;
    this.#streamed.flush();
    this.#queue.push({ kind });
  }

  /**
   * The server says how far it is whenever anybody has written, in whichever database, and a sink writes down each such place. So after some of them they are told once a second, unless something
   * waits for them. The last one is told by the timer.
   */
  #keepalive(frame: KeepaliveFrame): void {
    this.#received.raise(Number(frame.walEnd >> 32n), Number(frame.walEnd & 0xffff_ffffn));
    if (frame.isReplyRequested) this.#sendStatus(false);
    this.#held = frame;
    const now = Date.now();
    this.#credit = Math.min(streamLimits.placesMax, this.#credit + (now - this.#creditedAt) / streamLimits.placeMs);
    this.#creditedAt = now;
    const isDue = frame.isReplyRequested || this.#isAwaited() || this.#credit >= 1;
    if (isDue) this.#tellHeld();
  }

  #tellHeld(): void {
    if (this.#held === undefined) return;
    this.#queue.push(this.#held);
    this.#held = undefined;
    this.#credit--;
  }

  #takeOther(bytes: Buffer): void {
    const frame = decodeFrame(bytes);
    if (frame.kind === 'keepalive') this.#keepalive(frame);
  }

  #resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    // Bytes that waited in the kernel are no silence.
    this.#heardAt = Date.now();
    socketOf(this.#client).resume();
  }

  #beat(): void {
    if (this.#held !== undefined) {
      this.#tellHeld();
      this.#queuedBytes++;
      this.#wake?.();
    }
    const silentMs = this.#isPaused ? 0 : Date.now() - this.#heardAt;
    if (silentMs > streamLimits.silenceMs * 2) {
      const seconds = Math.round(silentMs / 1000);
      this.fail(
        new BatonError('CONNECTION_LOST', `${this.#node} has said nothing for ${seconds} s`, { retryable: true }),
      );
      return;
    }
    this.#sendStatus(silentMs > streamLimits.silenceMs);
  }

  /** Only what the sink holds counts as flushed (Y3). */
  #sendStatus(isReplyRequested: boolean): void {
    const status = encodeStandbyStatus({
      written: this.#received.lsn,
      flushed: this.#acknowledged,
      applied: this.#acknowledged,
      atMs: Date.now(),
      isReplyRequested,
    });
    this.#connection.sendCopyFromChunk(status);
  }
}

/** The newest end of the server's log that was heard of: as numbers, since each message tells one and hardly any is asked for. */
class ReceivedLsn {
  #high: number;
  #low: number;

  constructor(lsn: Lsn) {
    this.#high = Number(lsn >> 32n);
    this.#low = Number(lsn & 0xffff_ffffn);
  }

  get lsn(): Lsn {
    return (BigInt(this.#high) << 32n) | BigInt(this.#low);
  }

  raise(high: number, low: number): void {
    if (high < this.#high || (high === this.#high && low <= this.#low)) return;
    this.#high = high;
    this.#low = low;
  }
}

function explainStart(error: unknown, node: string): BatonError {
  const found = toSourceError(error, node);
  if (isSqlState(error, '55006')) {
    return new BatonError('UNAVAILABLE', found.message, {
      retryable: true,
      cause: error,
      hint: 'another process reads this slot; one sync has one slot',
    });
  }
  if (isSqlState(error, '55000') || isSqlState(error, '58P01')) {
    return new BatonError('HISTORY_LOST', found.message, { cause: error, hint: newSlotHint });
  }
  if (isSqlState(error, '42704')) {
    return new BatonError('NOT_FOUND', found.message, {
      cause: error,
      hint: '`baton sync setup` creates the slot; running never does',
    });
  }
  return found;
}
