import type { Position, StreamEvent } from './stream.ts';
import type { Row } from './table.ts';

// How much of a stream a sink writes at once: whatever has come while the write before was under way.

/** Events that are written in one step. */
export type Group = {
  readonly events: readonly StreamEvent[];
  /** What was reached with the last event. Undefined: a transaction that is larger than the limits goes on in the next group. */
  readonly end: { readonly position: Position; readonly isOpen: boolean } | undefined;
};

export type GroupLimits = {
  /** Nothing more is read ahead once so many events wait. */
  readonly eventsMax: number;
  /** Nor once their rows have so many characters. */
  readonly charactersMax: number;
};

/**
 * Cuts a stream into groups, and reads ahead, up to the limits and the batch that reaches them, while its user writes one. A group ends where
 * transactions end, except when one alone is beyond the limits; what has come goes at once, without waiting for more. When the stream fails, whole
 * transactions that came before go first; the beginning of one that was not told to its end is dropped, if none of it has gone yet. Leaving it does not
 * wait for a read that is under way: that ends by its own signal.
 */
export async function* groupsOf(
  batches: AsyncIterable<readonly StreamEvent[]>,
  limits: GroupLimits,
): AsyncGenerator<Group, void, undefined> {
  const ahead = new ReadAhead(batches, limits);
  try {
    for (let group = await ahead.next(); group !== undefined; group = await ahead.next()) yield group;
  } finally {
    ahead.stop();
  }
}

class ReadAhead {
  readonly #limits: GroupLimits;
  readonly #iterator: AsyncIterator<readonly StreamEvent[]>;
  #events: StreamEvent[] = [];
  #characters = 0;
  /** Events up to the last one that ends a transaction. */
  #whole = 0;
  #isEnded = false;
  #isStopped = false;
  #failure: Error | undefined;
  /** Who waits for events, and the reader that waits for room. */
  #wakeUser: (() => void) | undefined;
  #wakeReader: (() => void) | undefined;

  constructor(batches: AsyncIterable<readonly StreamEvent[]>, limits: GroupLimits) {
    this.#limits = limits;
    this.#iterator = batches[Symbol.asyncIterator]();
    void this.#read();
  }

  /** Undefined at the end of the stream. Throws what the stream throws. */
  async next(): Promise<Group | undefined> {
    while (this.#whole === 0 && !this.#isFull()) {
      if (this.#isEnded) {
        if (this.#failure !== undefined) throw this.#failure;
        return undefined;
      }
      await new Promise<void>((resolve) => {
        this.#wakeUser = resolve;
      });
    }
    return this.#take();
  }

  stop(): void {
    this.#isStopped = true;
    this.#wakeReader?.();
    // A read under way delays it for as long as its stream likes; what it says then is of no interest any more.
    this.#iterator.return?.().catch(() => {});
  }

  #take(): Group {
    const count = this.#whole === 0 ? this.#events.length : this.#whole;
    const events = this.#events.slice(0, count);
    this.#events = this.#events.slice(count);
    this.#characters = this.#events.reduce((sum, event) => sum + charactersOf(event), 0);
    this.#whole = 0;
    this.#wakeReader?.();
    const last = events[events.length - 1];
    const end =
      last !== undefined && isEnd(last) ? { position: last.position, isOpen: last.isOpen ?? false } : undefined;
    return { events, end };
  }

  #isFull(): boolean {
    return this.#events.length >= this.#limits.eventsMax || this.#characters >= this.#limits.charactersMax;
  }

  async #read(): Promise<void> {
    try {
      for (;;) {
        while (this.#isFull() && !this.#isStopped) {
          await new Promise<void>((resolve) => {
            this.#wakeReader = resolve;
          });
        }
        if (this.#isStopped) return;
        const next = await this.#iterator.next();
        if (next.done === true) return;
        this.#add(next.value);
        this.#wakeUser?.();
      }
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error(String(error));
    } finally {
      this.#isEnded = true;
      this.#wakeUser?.();
    }
  }

  #add(batch: readonly StreamEvent[]): void {
    for (const event of batch) {
      this.#events.push(event);
      this.#characters += charactersOf(event);
      if (isEnd(event)) this.#whole = this.#events.length;
    }
  }
}

function isEnd(event: StreamEvent): event is Extract<StreamEvent, { position: Position }> {
  return event.kind === 'commit' || event.kind === 'reached';
}

function charactersOf(event: StreamEvent): number {
  if (event.kind === 'insert') return charactersIn(event.row);
  if (event.kind === 'delete') return charactersIn(event.old);
  if (event.kind !== 'update') return 0;
  return charactersIn(event.row) + (event.old === undefined ? 0 : charactersIn(event.old));
}

function charactersIn(row: Row): number {
  let sum = 0;
  for (const field of row) sum += field?.length ?? 0;
  return sum;
}
