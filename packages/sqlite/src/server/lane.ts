import { BatonError } from '@batondb/core/errors';
import type { Grant } from '@batondb/service/tokens/gate';
import type { CallOptions, Step } from '../databases.ts';
import { encodeFetched } from '../hrana/client-messages.ts';
import { limits } from '../hrana/limits.ts';
import { encodeDone, encodeEntries, withPosition } from '../hrana/results.ts';
import type { SessionRequest } from '../hrana/stream-requests.ts';
import type { ClientStream } from './stream.ts';

type Cursor = {
  readonly cursorId: number;
  readonly events: AsyncGenerator<string[], void>;
  /** Entries that were pulled and not fetched yet. */
  waiting: string[];
  isDone: boolean;
};

/** A stream of a WebSocket, with the cursor that may be open on it. Its requests are answered in the order in which they came (H3). */
export class Lane {
  readonly stream: ClientStream;
  /** Whose it is: it ends with that token. */
  readonly grant: Grant;
  #tail: Promise<void> = Promise.resolve();
  #cursor: Cursor | undefined;

  constructor(stream: ClientStream, grant: Grant) {
    this.stream = stream;
    this.grant = grant;
  }

  /** Whether something is open that would be cut off. */
  get isActive(): boolean {
    return this.#cursor !== undefined || this.stream.isInTransaction;
  }

  /** Does something when everything that was asked before is done. `work` does not throw. */
  run(work: () => Promise<void>): void {
    this.#tail = this.#tail.then(work);
  }

  /** Throws PROTOCOL while a cursor is open. */
  answer(request: SessionRequest, options: CallOptions, signal: AbortSignal): Promise<string> {
    this.#requireNoCursor();
    return this.stream.answer(request, options, signal);
  }

  /** Opens a cursor. Its batch begins with the first fetch, and stops where it is when the cursor is closed before its end. */
  openCursor(cursorId: number, steps: readonly Step[], options: CallOptions, signal: AbortSignal): string {
    this.#requireNoCursor();
    this.#cursor = { cursorId, events: encodeAll(this.stream, steps, options, signal), waiting: [], isDone: false };
    return encodeDone('open_cursor');
  }

  /** The next entries: at most as many as were asked for, and about `cursorBytes` of them. */
  async fetch(cursorId: number, entriesMax: number): Promise<string> {
    const cursor = this.#cursor;
    if (cursor?.cursorId !== cursorId) throw new BatonError('PROTOCOL', `the cursor ${cursorId} was not opened`);
    const before = this.stream.position;
    const countMax = Math.min(entriesMax, limits.cursorEntriesMax);
    const entries: string[] = [];
    let characters = 0;
    while (entries.length < countMax && characters < limits.cursorBytes) {
      if (cursor.waiting.length === 0 && !(await fill(cursor))) break;
      const taken = takeUpTo(cursor.waiting, countMax - entries.length, limits.cursorBytes - characters);
      cursor.waiting = cursor.waiting.slice(taken.length);
      for (const entry of taken) characters += entry.length;
      entries.push(...taken);
    }
    const response = encodeFetched(entries, cursor.isDone && cursor.waiting.length === 0);
    const { position } = this.stream;
    return position === undefined || position === before ? response : withPosition(response, position);
  }

  async closeCursor(cursorId: number): Promise<void> {
    if (this.#cursor?.cursorId !== cursorId) return;
    await this.#cursor.events.return();
    this.#cursor = undefined;
  }

  /** Interrupts what runs, and rolls back what is open. */
  async close(reason?: Error): Promise<void> {
    const cursor = this.#cursor;
    this.#cursor = undefined;
    await this.stream.close(reason);
    // A fetch that waits has got the reason; nobody waits for what else the cursor would say.
    await cursor?.events.return().catch(() => undefined);
  }

  #requireNoCursor(): void {
    if (this.#cursor === undefined) return;
    throw new BatonError('PROTOCOL', `the cursor ${this.#cursor.cursorId} is open on this stream; close it first`);
  }
}

/** Pulls until there is an entry; false at the end. */
async function fill(cursor: Cursor): Promise<boolean> {
  while (cursor.waiting.length === 0 && !cursor.isDone) {
    const next = await cursor.events.next();
    if (next.done) cursor.isDone = true;
    else cursor.waiting = next.value;
  }
  return cursor.waiting.length > 0;
}

async function* encodeAll(
  stream: ClientStream,
  steps: readonly Step[],
  options: CallOptions,
  signal: AbortSignal,
): AsyncGenerator<string[], void> {
  for await (const events of stream.cursor(steps, options, signal)) yield events.flatMap(encodeEntries);
}

/** At least one entry, however long: else a large row could never be sent. */
function takeUpTo(entries: readonly string[], countMax: number, charactersMax: number): string[] {
  let characters = 0;
  const end = entries.findIndex((entry, index) => {
    characters += entry.length;
    return index > 0 && (index >= countMax || characters > charactersMax);
  });
  return entries.slice(0, end < 0 ? countMax : end);
}
