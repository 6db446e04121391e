import { BatonError } from '@batondb/core/errors';
import type { ResyncRequest } from '../source.ts';
import type { Change } from '../stream.ts';
import { keyOf, type Row, type Table } from '../table.ts';
import type { Chunk, ChunkReader } from './chunk-reader.ts';
import type { Lsn } from './position.ts';
import { streamLimits } from './stream-limits.ts';
import type { Visibility } from './visibility.ts';

// Rows read anew while the stream runs. A chunk is read by an ordinary connection, and its rows wait until the stream has passed the place where the log was
// after the read. Transactions that the stream brings until then and that the read did not see have newer rows: theirs count, and the chunk's go. So a chunk's
// rows are exact at the place where they appear.

type Job = {
  table: Table;
  readonly scope: 'table' | 'keys';
  /** Of a repair: what is to be read. */
  readonly keys: AsyncGenerator<readonly Row[], void> | undefined;
  isBegun: boolean;
  /** The key of the last row that was told; a chunk begins after it. */
  last: Row | undefined;
  /** Keys of the present chunk, which are asked for once: a reading that became void has not told them. */
  asked: Promise<readonly Row[]> | undefined;
  attempts: number;
};

type Touch = { readonly xid: number; readonly key: string };

/** A chunk that is being read or waits for the stream. Another one in its place makes it void. */
type Reading = {
  readonly job: Job;
  /** Transactions that had been streamed before. */
  readonly streamedBefore: number;
  readonly touches: Touch[];
  /** Transactions that changed the table in a way that no key tells. */
  readonly upheavals: Set<number>;
  chunk: (Chunk & { readonly visibility: Visibility }) | undefined;
  readonly startedAtMs: number;
};

export type ResyncsContext = {
  readonly reader: ChunkReader;
  /** Writes something that no table has: the log goes on, and the server says how far it is. */
  readonly nudge: () => Promise<void>;
  /** Ends the stream with an error. */
  readonly fail: (error: unknown) => void;
};

export class Resyncs implements AsyncDisposable {
  readonly #context: ResyncsContext;
  #jobs: Job[] = [];
  #reading: Reading | undefined;
  readonly #streamed = new Uint32Array(streamLimits.streamedMax);
  #streamedCount = 0;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(context: ResyncsContext) {
    this.#context = context;
  }

  /** Rows of some table are not at the stream's position. */
  get isOpen(): boolean {
    return this.#jobs.some(({ isBegun }) => isBegun);
  }

  /** Something waits for the stream to move on. */
  get isWaiting(): boolean {
    return this.#jobs.some(({ isBegun }) => !isBegun) || this.#reading?.chunk !== undefined;
  }

  /** From outside: it begins between two transactions. */
  request({ table, keys }: ResyncRequest): void {
    const scope = keys === undefined ? 'table' : 'keys';
    this.#jobs.push(newJob(table, scope, keys && inPieces(keys)));
    this.#watch();
  }

  /** From the stream: its beginning is told where it is. It stands for all that was to be read of the table, which may have had another shape or key. */
  begin(table: Table): readonly Change[] {
    this.forget(table.id);
    const job = newJob(table, 'table', undefined);
    job.isBegun = true;
    this.#jobs.push(job);
    this.#watch();
    return [{ kind: 'resync', table, state: 'begin', scope: 'table' }];
  }

  /** A table is no more, and nothing of it is to be read. */
  forget(id: string): void {
    this.#jobs = this.#jobs.filter((job) => job.table.id !== id);
    if (this.#reading !== undefined && !this.#jobs.includes(this.#reading.job)) this.#reading = undefined;
  }

  /** A table has another shape for the changes from here on. */
  reshaped(table: Table): void {
    for (const job of this.#jobs) if (job.table.id === table.id) job.table = table;
    if (this.#reading?.job.table.id === table.id) this.#reading = undefined;
  }

  /** The stream begins to tell a transaction. */
  begins(xid: number): void {
    this.#streamed[this.#streamedCount++ % streamLimits.streamedMax] = xid;
  }

  /** A transaction has changed a row. */
  touched(table: Table, row: Row, xid: number): void {
    const reading = this.#reading;
    if (reading === undefined || reading.job.table.id !== table.id) return;
    const { chunk, job } = reading;
    if (job.table.key.length === 0) {
      this.truncated(table, xid);
      return;
    }
    // Rows that are asked for by another key than the source's are told apart by that one.
    const key = keyText(keyOf(job.table, row));
    if (chunk === undefined) reading.touches.push({ xid, key });
    else if (chunk.visibility.isInvisible(xid)) remove(chunk, key);
    if (reading.touches.length > streamLimits.touchedMax) this.#readAgain(reading);
  }

  /** A transaction has changed more rows than it names. */
  truncated(table: Table, xid: number): void {
    const reading = this.#reading;
    if (reading === undefined || reading.job.table.id !== table.id) return;
    if (reading.chunk === undefined) reading.upheavals.add(xid);
    else if (reading.chunk.visibility.isInvisible(xid)) this.#readAgain(reading);
  }

  /** What is to be told between two transactions, when the stream has come to `lsn`. */
  due(lsn: Lsn): Change[] {
    if (this.#jobs.length === 0) return [];
    const changes: Change[] = [];
    for (const job of this.#jobs.filter(({ isBegun }) => !isBegun)) {
      job.isBegun = true;
      changes.push({ kind: 'resync', table: job.table, state: 'begin', scope: job.scope });
    }
    const chunk = this.#reading?.chunk;
    if (this.#reading !== undefined && chunk !== undefined && chunk.high <= lsn) {
      const { job } = this.#reading;
      this.#reading = undefined;
      changes.push(...tell(job, chunk));
      job.last = chunk.last ?? job.last;
      job.asked = undefined;
      job.attempts = 0;
      if (chunk.isLast) {
        changes.push({ kind: 'resync', table: job.table, state: 'end', scope: job.scope });
        this.#jobs = this.#jobs.filter((each) => each !== job);
      }
    }
    this.#readNext();
    return changes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    for (const { keys } of this.#jobs) await keys?.return();
    await this.#context.reader[Symbol.asyncDispose]();
  }

  #readNext(): void {
    const job = this.#jobs.find(({ isBegun }) => isBegun);
    if (this.#reading !== undefined || job === undefined || this.#isClosed) return;
    const reading: Reading = {
      job,
      streamedBefore: this.#streamedCount,
      touches: [],
      upheavals: new Set(),
      chunk: undefined,
      startedAtMs: Date.now(),
    };
    this.#reading = reading;
    this.#read(reading).catch((error: unknown) => {
      if (!this.#isClosed) this.#context.fail(error);
    });
  }

  async #read(reading: Reading): Promise<void> {
    const { job } = reading;
    const { table } = job;
    job.asked ??= job.keys?.next().then((next) => (next.done === true ? [] : next.value));
    const read = await this.#context.reader.read({ table, after: job.last, keys: await job.asked });
    if (this.#reading !== reading) return;
    if (read === 'changed') {
      // The table is ahead of the stream, which will tell of its new shape.
      this.#readAgain(reading, streamLimits.catalogMs / 10);
      return;
    }
    const isInvisible = (xid: number): boolean => read.visibility.isInvisible(xid);
    if (this.#wasStreamedUnseen(reading, isInvisible) || [...reading.upheavals].some(isInvisible)) {
      this.#readAgain(reading, streamLimits.nudgeMs);
      return;
    }
    for (const { xid, key } of reading.touches) if (isInvisible(xid)) remove(read, key);
    reading.touches.length = 0;
    reading.chunk = read;
    this.#watch();
  }

  /**
   * A transaction is streamed when it is in the log; a read sees it only when its backend goes on, which may wait for a standby. What it changed went by
   * before the read began, so only another read can have it.
   */
  #wasStreamedUnseen({ streamedBefore }: Reading, isInvisible: (xid: number) => boolean): boolean {
    const first = Math.max(0, this.#streamedCount - streamLimits.streamedMax);
    for (let place = first; place < streamedBefore; place++) {
      if (isInvisible(this.#streamed[place % streamLimits.streamedMax] as number)) return true;
    }
    return false;
  }

  #readAgain(reading: Reading, delayMs = 0): void {
    const { job } = reading;
    job.attempts++;
    if (job.table.key.length === 0 && job.attempts > streamLimits.chunkAttempts) {
      const name = `${job.table.schema}.${job.table.name}`;
      this.#context.fail(
        new BatonError('UNAVAILABLE', `${name} has no key and changes faster than it can be read as a whole`, {
          retryable: true,
          hint: 'give it a primary key, or let it rest for a moment',
        }),
      );
      return;
    }
    // What was read is void from now on, and what is read meanwhile comes to nobody.
    const replaced: Reading = { ...reading, chunk: undefined, touches: [], upheavals: new Set() };
    this.#reading = replaced;
    setTimeout(() => {
      if (this.#reading !== replaced) return;
      this.#reading = undefined;
      this.#readNext();
    }, delayMs).unref();
  }

  /** The log has to move on: when nobody writes, we do. */
  #watch(): void {
    if (this.#timer !== undefined || this.#isClosed) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (!this.isWaiting || this.#isClosed) return;
      this.#context.nudge().then(
        () => this.#watch(),
        (error: unknown) => {
          if (!this.#isClosed) this.#context.fail(error);
        },
      );
    }, streamLimits.nudgeMs);
  }
}

/** Never an empty one, and never more than one statement takes. */
async function* inPieces(batches: AsyncIterable<readonly Row[]>): AsyncGenerator<readonly Row[], void> {
  for await (const batch of batches) {
    for (let at = 0; at < batch.length; at += streamLimits.keysMax) yield batch.slice(at, at + streamLimits.keysMax);
  }
}

function newJob(table: Table, scope: Job['scope'], keys: Job['keys']): Job {
  return { table, scope, keys, isBegun: false, last: undefined, asked: undefined, attempts: 0 };
}

function tell({ table }: Job, chunk: Chunk): Change[] {
  const inserts = [...chunk.rows.values()].map((row): Change => ({ kind: 'insert', table, row }));
  const deletes = [...chunk.missing.values()].map(
    (key): Change => ({ kind: 'delete', table, old: rowOfKey(table, key) }),
  );
  // Rows that nothing tells apart cannot be replaced one by one.
  return table.key.length === 0 ? [{ kind: 'truncate', tables: [table] }, ...inserts] : [...deletes, ...inserts];
}

function rowOfKey(table: Table, key: Row): Row {
  return table.columns.map((_, place) => {
    const index = table.key.indexOf(place);
    return index < 0 ? undefined : key[index];
  });
}

function remove(chunk: Chunk, key: string): void {
  chunk.rows.delete(key);
  chunk.missing.delete(key);
}

/** Equal for equal keys. */
export function keyText(key: Row): string {
  return key.length === 1 && typeof key[0] === 'string' ? key[0] : JSON.stringify(key);
}
