import { setTimeout as delay } from 'node:timers/promises';
import { assert, BatonError } from '@batondb/core/errors';
import { limits } from '../limits.ts';
import type { Epoch, Leadership, LogEntry, LogIndex, ReplicatedLog } from '../log/log.ts';
import type { ReadGate } from '../log/read-gate.ts';
import { Checkpointer } from './checkpoint.ts';
import {
  type Command,
  type CommandToWrite,
  decodeCommands,
  encodeCommands,
  type FramesToWrite,
  framesPerEntry,
} from './command.ts';
import type { Database } from './database.ts';
import { mergeGroup } from './merge-group.ts';
import type { PagePlace } from './page-index.ts';
import { formatPosition, type Position } from './position.ts';
import { Settlement } from './settlement.ts';
import type { Store } from './store.ts';
import { WriterView } from './writer-view.ts';

// The leading side: what transactions wrote becomes entries, and is published once the log has accepted them. One append at a time is under
// way; what commits meanwhile is the next group. A refusal drops everything that is not published (M4).

/** How long it is waited for space for what the log has accepted. */
const spaceMs = 500;

/** Where the payloads of entries can be read again. */
export type PayloadPlaces = {
  /** Sees to it that an entry with such a payload can be kept. Throws NO_SPACE. */
  reserve(payloadBytes: number): void;
  /** Keeps an entry that was accepted, unless the log itself is such a place. */
  place(entry: LogEntry): PagePlace;
  /** Nobody reads entries through an index any more. */
  forget(through: LogIndex): void;
};

export type MachineParts = {
  readonly store: Store;
  readonly log: ReplicatedLog;
  readonly places: PayloadPlaces;
  /** Told whether this node leads, with all that was accepted applied. */
  readonly gate: ReadGate;
  /** Called with every database whose unpublished transactions were dropped: connections to it know what never was. */
  readonly onDrop: (database: Database) => void;
  /** Default: limits.entryBytesMax. */
  readonly entryBytesMax?: number;
  /** The URL of the node that leads; undefined: this one does. */
  readonly follows?: string;
};

/** Turns what is committed on this node into entries of the log. */
export class Machine {
  readonly store: Store;
  readonly checkpointer: Checkpointer;
  readonly #parts: MachineParts;
  readonly #views = new Set<WriterView>();
  readonly #settlement = new Settlement();
  /** Commands without pages, which wait for the next append. */
  readonly #structural: CommandToWrite[] = [];
  #epoch: Epoch = 0;
  #flushing: Promise<void> | undefined;
  #failure: BatonError | undefined;
  #isLeading = false;
  #leadership: Leadership | undefined;
  /** There may be unpublished transactions, or connections that stand on some. */
  #isDirty = false;
  /** The entry of which nobody knows whether the log has it. */
  #unknown: LogEntry | undefined;
  /** How often everything unpublished was dropped. */
  #drops = 0;
  readonly #stopped = new AbortController();

  constructor(parts: MachineParts) {
    this.store = parts.store;
    this.#parts = parts;
    this.checkpointer = new Checkpointer(parts.store, () => [...this.#views].map(({ snapshot }) => snapshot));
  }

  /** Why nothing can be written by this process any more. */
  get failure(): BatonError | undefined {
    return this.#failure;
  }

  get isLeading(): boolean {
    return this.#isLeading;
  }

  get epoch(): Epoch {
    return this.#epoch;
  }

  /** A view for one connection. */
  view(database: Database): WriterView {
    const { index, logFiles } = this.store.parts;
    return new WriterView(database, { index, logFiles, open: this.#views });
  }

  /**
   * Takes the lead of the log and applies what is in it. Until then, and after the lead was lost, nothing is written; while another node leads, its
   * entries are applied. Calls `waits` when it has to wait. Throws what the log and the store throw.
   */
  async lead(signal: AbortSignal, waits: () => void = () => undefined): Promise<Leadership> {
    // An append that is under way ends first; what it does not know, it finds out by leading.
    await this.#flushing;
    const present = this.#isLeading ? this.#leadership : undefined;
    if (present?.lost?.aborted === false) return present;
    this.#setLeading(false);
    this.#dropAll(refused());
    const leadership = await this.#takeLead(signal, waits);
    await this.flush();
    return leadership;
  }

  async #takeLead(given: AbortSignal, waits: () => void): Promise<Leadership> {
    const ended = new AbortController();
    const signal = AbortSignal.any([given, this.#stopped.signal, ended.signal]);
    const { promise: failed, reject } = Promise.withResolvers<never>();
    let following: Promise<void> | undefined;
    const leading = this.#parts.log.lead(signal, () => {
      following ??= this.#applyLog(signal).catch(reject);
      waits();
    });
    // Who applies and cannot go on has no use for the lead.
    const leadership = await Promise.race([leading, failed]).finally(() => {
      leading.catch(() => undefined);
      ended.abort();
    });
    await following;
    this.#epoch = leadership.epoch;
    await this.#applyLog(AbortSignal.any([given, this.#stopped.signal]), leadership.head);
    this.#expectSound();
    if (this.#unknown !== undefined) this.#dropAll(refused());
    // Their commit will never come, and no state with them in it can be folded (C4).
    if (!this.#isDirty)
      for (const { id, parts } of this.store.databases)
        if (parts !== undefined) this.#structural.push({ kind: 'undo', database: id });
    this.#isDirty = true;
    this.#leadership = leadership;
    this.#setLeading(true);
    return leadership;
  }

  #setLeading(leads: boolean): void {
    this.#isLeading = leads;
    this.#parts.gate.isLeading = leads;
  }

  /** Nothing is written by this process any more, and nothing is waited for. */
  fail(error: BatonError): void {
    this.#failure ??= error;
    this.#setLeading(false);
    this.#parts.gate.fail();
    this.stop();
  }

  /** Who waits for the lead gives up. */
  stop(): void {
    this.#stopped.abort(new BatonError('INTERRUPTED', 'the node is closed'));
  }

  #expectSound(): void {
    if (this.store.isSound) return;
    const { position, record } = this.store;
    throw new BatonError(
      'DIVERGED',
      `the database files hold pages of entries through ${formatPosition(record.foldingThrough!)}, and the log ends at ${formatPosition(position)}`,
      { hint: 'restore a backup, or begin again with a snapshot of another node' },
    );
  }

  /** Throws UNAVAILABLE unless what is published here is all that was accepted: to be called when an answer that wrote nothing is ready (E5). */
  expectCertain(): void {
    this.#parts.gate.expectOpen();
  }

  /** Throws unless a transaction may begin. */
  expectWritable(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#parts.follows !== undefined) throw followed(this.#parts.follows);
    if (!this.#isLeading) throw refused();
  }

  /** Throws unless a transaction that changes nothing may begin: of a node that leads, or one that follows. */
  expectReadable(): void {
    if (this.#parts.follows === undefined) this.expectWritable();
  }

  /** Applies entries that the log of another node has accepted. Throws what the store throws, and what keeping them throws. */
  async follow(entries: Iterable<LogEntry>): Promise<Position> {
    for (const entry of entries) {
      const { epoch, index } = this.store.position;
      if (entry.index !== index + 1 || entry.epoch < epoch) {
        throw new BatonError(
          'PROTOCOL',
          `entry ${entry.epoch}.${entry.index} came, and this node is at ${epoch}.${index}`,
        );
      }
      await this.#applyForeign(entry);
    }
    for (const database of this.store.databases) database.sealed = database.published.sequence;
    return this.store.position;
  }

  /** Adds a command without pages; resolves when it is applied. */
  async submit(command: CommandToWrite): Promise<Position> {
    this.expectWritable();
    this.#structural.push(command);
    const done = this.#settlement.ofNextEntry();
    await this.flush();
    return await done;
  }

  /**
   * Resolves to the position at which a database's transaction is accepted, or rejects when it was dropped. What stands on accepted
   * transactions alone is settled at once.
   */
  settled(database: Database, sequence: number): Promise<Position> | Position {
    if (sequence <= database.published.sequence) return this.store.position;
    return this.#settlement.of(database, sequence);
  }

  /** Appends everything that is committed. Resolves when nothing is left; what went wrong is told to those who wait for it. */
  flush(): Promise<void> {
    if (this.#flushing === undefined && this.#hasWork) this.#flushing = this.#flushAll();
    return this.#flushing ?? Promise.resolve();
  }

  /** Folds the log and lets it forget what was folded. */
  async checkpoint(yields: boolean): Promise<void> {
    const through = await this.checkpointer.run({ yields });
    await this.#parts.log.trim(through);
    this.#parts.places.forget(through);
  }

  async #flushAll(): Promise<void> {
    while (this.#hasWork) {
      try {
        for (const entry of this.#nextGroup()) await this.#append(entry);
      } catch (error) {
        this.#dropAll(error instanceof BatonError ? error : unexpected(error));
      }
    }
    // In the same turn as the last look: who commits from now on begins anew.
    this.#flushing = undefined;
  }

  get #hasWork(): boolean {
    return this.#structural.length > 0 || this.store.databases.some(({ ends }) => ends.length > 0);
  }

  /** Entries for what is committed now. Small groups of all databases share one; a large one is cut into parts. */
  *#nextGroup(): Generator<LogEntry> {
    const entryBytesMax = this.#parts.entryBytesMax ?? limits.entryBytesMax;
    let commands: CommandToWrite[] = this.#structural.splice(0);
    let bytes = 0;
    for (const database of this.store.databases) {
      if (database.parts !== undefined) commands.push({ kind: 'undo', database: database.id });
      if (database.ends.length === 0) continue;
      const group = mergeGroup(database, (...page) => this.store.readPublished(...page));
      const perEntry = framesPerEntry(group, entryBytesMax);
      const groupBytes = group.pages.length * database.pageBytes;
      if (bytes > 0 && bytes + groupBytes > entryBytesMax / 2) {
        yield this.#entry(commands);
        [commands, bytes] = [[], 0];
      }
      for (const part of cut(group, perEntry)) {
        if (part.commit === undefined) {
          yield this.#entry([...commands, part]);
          commands = [];
        } else commands.push(part);
      }
      bytes += groupBytes;
    }
    if (commands.length > 0) yield this.#entry(commands);
  }

  #entry(commands: readonly CommandToWrite[]): LogEntry {
    return { index: this.store.position.index + 1, epoch: this.#epoch, payload: encodeCommands(commands) };
  }

  async #append(entry: LogEntry): Promise<void> {
    this.expectWritable();
    const commands = decodeCommands(entry.payload as Buffer);
    await this.#makeRoom(this.store.framesOf(commands));
    this.#parts.places.reserve(entry.payload.length);
    const outcome = await this.#appendToLog(entry);
    switch (outcome) {
      case 'accepted':
        this.#publish(entry, commands);
        return;
      case 'refused':
        this.#setLeading(false);
        throw refused();
      case 'unknown':
        this.#setLeading(false);
        await this.#resolveUnknown(entry);
    }
  }

  async #appendToLog(entry: LogEntry): Promise<'accepted' | 'refused' | 'unknown'> {
    try {
      return await this.#parts.log.append(entry, this.#epoch);
    } catch (error) {
      if (error instanceof BatonError && error.retryable) throw error;
      this.#failure = new BatonError('OUTCOME_UNKNOWN', `${describe(error)}; nothing more is written by this process`, {
        hint: 'look at the disk, then start again: what was acknowledged is there',
        cause: error,
      });
      this.#parts.gate.fail();
      throw this.#failure;
    }
  }

  /**
   * The next leader resolves what is unknown, be it this node or another one: what the log has at our index is ours, or it is not (M5). Throws
   * REFUSED when what follows in the group is gone.
   */
  async #resolveUnknown(entry: LogEntry): Promise<void> {
    this.#unknown = entry;
    const drops = this.#drops;
    const timer = setTimeout(() => this.#settlement.reject(unknown(entry)), limits.unknownMsMax);
    try {
      await this.#takeLead(this.#stopped.signal, () => undefined);
    } catch (error) {
      throw unknown(entry, error);
    } finally {
      clearTimeout(timer);
    }
    if (this.#drops !== drops) throw refused();
  }

  /** Applies entries of others, or of this node before it was started, through one, or until the signal ends it. */
  async #applyLog(signal: AbortSignal, through: LogIndex = Number.POSITIVE_INFINITY): Promise<void> {
    while (!signal.aborted && this.store.position.index < through) {
      try {
        for await (const entry of this.#parts.log.entries(this.store.position.index, signal)) {
          await this.#take(entry);
          if (entry.index >= through) break;
        }
        return;
      } catch (error) {
        if (!(error instanceof BatonError && error.code === 'NO_SPACE')) throw error;
        await delay(spaceMs, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  /** Applies an entry of the log, which may be the one that this node does not know of. */
  async #take(entry: LogEntry): Promise<void> {
    const unknown = this.#unknown;
    if (unknown?.index === entry.index) {
      const isSame = unknown.epoch === entry.epoch && Buffer.compare(unknown.payload, entry.payload) === 0;
      if (isSame) {
        this.#publish(unknown, decodeEntry(unknown));
        this.#unknown = undefined;
        return;
      }
    }
    // What stands on the state before it stands on nothing now (M4).
    if (this.#isDirty) this.#dropAll(refused());
    await this.#applyForeign(entry);
    for (const database of this.store.databases) database.sealed = database.published.sequence;
  }

  async #applyForeign(entry: LogEntry): Promise<void> {
    const commands = decodeEntry(entry);
    const frames = this.store.framesOf(commands);
    if (this.store.parts.index.room < frames) await this.#makeRoom(frames);
    this.store.expectFollows(entry, commands);
    this.store.apply(entry, this.#parts.places.place(entry), commands);
    for (const id of this.store.marks.at(-1)?.dropped ?? []) this.#parts.onDrop(this.store.byId(id)!);
  }

  #publish(entry: LogEntry, commands: readonly Command[]): void {
    this.store.apply(entry, this.#parts.places.place(entry), commands);
    const { position } = this.store;
    for (const database of this.store.databases) {
      const { sequence } = database.published;
      const count = database.ends.findIndex((end) => end.sequence > sequence);
      database.ends.splice(0, count < 0 ? database.ends.length : count);
      database.release();
      this.#settlement.accept(database, sequence, position);
    }
    this.#settlement.acceptEntry(position);
    for (const id of this.store.marks.at(-1)!.dropped) this.#leave(this.store.byId(id)!);
  }

  /** What was committed on a database after it was dropped is nowhere. */
  #leave(database: Database): void {
    this.#settlement.accept(database, database.published.sequence, this.store.position);
    const gone = new BatonError('REFUSED', `the database ${database.name} was dropped, and the transaction with it`, {
      retryable: true,
    });
    this.#settlement.rejectOf(database, gone);
    database.drop();
    this.#parts.onDrop(database);
  }

  #dropAll(error: BatonError): void {
    this.#drops += 1;
    this.#unknown = undefined;
    this.#isDirty = this.#isLeading;
    this.#structural.length = 0;
    for (const database of this.store.databases) {
      database.drop();
      this.#parts.onDrop(database);
    }
    this.#settlement.reject(error);
  }

  /** Makes room in the page index, if need be by taking away what old readers see. */
  async #makeRoom(frames: number): Promise<void> {
    const { index } = this.store.parts;
    if (frames > index.frames) {
      throw new BatonError('LIMIT', `a transaction changes ${frames} pages, and at most ${index.frames} are possible`, {
        hint: 'raise indexPages, or change less at a time',
      });
    }
    if (index.room >= frames) return;
    await this.checkpoint(false);
    if (index.room >= frames) return;
    index.evictAll();
    await this.checkpoint(false);
    assert(index.room >= frames, 'I1: without readers everything can be folded');
  }
}

/** A group as parts that each fit into an entry; the last one has the commit. */
function* cut(group: FramesToWrite, pagesMax: number): Generator<FramesToWrite> {
  const { commit, ...rest } = group;
  for (let at = 0; at === 0 || at < group.pages.length; at += pagesMax) {
    const isLast = at + pagesMax >= group.pages.length;
    const pages = group.pages.slice(at, at + pagesMax);
    yield isLast && commit !== undefined ? { ...rest, pages, commit } : { ...rest, pages };
  }
}

function decodeEntry({ payload }: LogEntry): Command[] {
  return decodeCommands(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength));
}

function refused(): BatonError {
  return new BatonError('REFUSED', 'this node does not lead the log any more, and the transaction is not in it', {
    retryable: true,
    hint: 'try again, where another node leads now',
  });
}

function unknown({ epoch, index }: LogEntry, cause?: unknown): BatonError {
  return new BatonError(
    'OUTCOME_UNKNOWN',
    `nobody can say yet whether the log has entry ${epoch}.${index}, and the transaction with it`,
    {
      hint: 'ask for its receipt, if it had an idempotency key; else look for what it wrote before you write it again',
      ...(cause === undefined ? {} : { cause }),
    },
  );
}

function followed(url: string): BatonError {
  return new BatonError('REFUSED', `this node follows ${url}, and writes nothing of its own`, {
    hint: `write to ${url}`,
  });
}

function unexpected(error: unknown): BatonError {
  return new BatonError('BUG', describe(error), { cause: error });
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
