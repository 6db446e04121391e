import { assert, BatonError } from '@batondb/core/errors';
import type { Leadership, LogEntry, LogIndex, ReplicatedLog } from '../log/log.ts';
import type { ReadGate } from '../log/read-gate.ts';
import { answerOf, broken, followed, refused } from './answers.ts';
import { Checkpointer } from './checkpoint.ts';
import { type Command, type CommandToWrite, decodeCommands } from './command.ts';
import type { Database } from './database.ts';
import { groupPayloads } from './group.ts';
import { Lead } from './lead.ts';
import type { PagePlace } from './page-index.ts';
import type { Position } from './position.ts';
import { Settlement } from './settlement.ts';
import type { Store } from './store.ts';
import { WriterView } from './writer-view.ts';

// The leading side: what transactions wrote becomes entries, and is published once the log has accepted them. One append at a time is under
// way; what commits meanwhile is the next group. A refusal drops everything that is not published (M4).

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
  readonly #lead: Lead;
  /** Commands without pages, which wait for the next append. */
  readonly #structural: CommandToWrite[] = [];
  #flushing: Promise<void> | undefined;
  #failure: BatonError | undefined;
  /** There may be unpublished transactions, or connections that stand on some. */
  #isDirty = false;

  constructor(parts: MachineParts) {
    this.store = parts.store;
    this.#parts = parts;
    this.#lead = new Lead({
      ...parts,
      apply: (entry) => this.#take(entry),
      publish: (entry) => this.#publish(entry, decodeEntry(entry)),
      drop: (error) => this.#dropAll(error),
      begin: () => this.#begin(),
    });
    this.checkpointer = new Checkpointer(parts.store, () => [...this.#views].map(({ snapshot }) => snapshot));
  }

  /** Why nothing can be written by this process any more. */
  get failure(): BatonError | undefined {
    return this.#failure;
  }

  get isLeading(): boolean {
    return this.#lead.isHeld;
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
    const { present } = this.#lead;
    if (present !== undefined) return present;
    this.#lead.lose();
    this.#dropAll(refused());
    const leadership = await this.#lead.take(signal, waits);
    await this.flush();
    return leadership;
  }

  /** Nothing is written by this process any more, and nothing is waited for. */
  fail(error: BatonError): void {
    this.#failure ??= error;
    this.#lead.lose();
    this.#parts.gate.fail();
    this.stop();
  }

  /** Who waits for the lead gives up. */
  stop(): void {
    this.#lead.stop();
  }

  /** Throws UNAVAILABLE unless what is published here is all that was accepted: to be called when an answer that wrote nothing is ready (E5). */
  expectCertain(): void {
    this.#parts.gate.expectOpen();
  }

  /** Throws unless a transaction may begin. */
  expectWritable(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#parts.follows !== undefined) throw followed(this.#parts.follows);
    if (!this.#lead.isHeld) throw refused();
  }

  /** Throws unless a transaction that changes nothing may begin: of a node that leads, or one that follows. */
  expectReadable(): void {
    if (this.#parts.follows === undefined) this.expectWritable();
  }

  /** Applies entries that the log of another node has accepted. Throws what the store throws, and what keeping them throws. */
  follow(entries: Iterable<LogEntry>): Promise<Position> {
    return this.#lead.follow(entries);
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
    // Who has a snapshot of exactly there shows by that very entry that it is of this history.
    await this.#parts.log.trim(through - 1);
    this.#parts.places.forget(through);
  }

  async #flushAll(): Promise<void> {
    while (this.#hasWork) {
      try {
        const payloads = groupPayloads(this.store, this.#structural.splice(0), this.#parts.entryBytesMax);
        for (const payload of payloads) await this.#append(payload);
      } catch (error) {
        this.#dropAll(answerOf(error));
      }
    }
    // In the same turn as the last look: who commits from now on begins anew.
    this.#flushing = undefined;
  }

  get #hasWork(): boolean {
    return this.#structural.length > 0 || this.store.databases.some(({ ends }) => ends.length > 0);
  }

  async #append(payload: Buffer): Promise<void> {
    this.expectWritable();
    const commands = decodeCommands(payload);
    await this.#makeRoom(this.store.framesOf(commands));
    this.#parts.places.reserve(payload.length);
    const entry = { index: this.store.position.index + 1, epoch: this.#lead.epoch, payload };
    const outcome = await this.#appendToLog(entry);
    switch (outcome) {
      case 'accepted':
        this.#publish(entry, commands);
        return;
      case 'refused':
        this.#lead.lose();
        throw refused();
      case 'unknown':
        this.#lead.lose();
        await this.#lead.resolve(entry, (error) => this.#settlement.reject(error));
    }
  }

  async #appendToLog(entry: LogEntry): Promise<'accepted' | 'refused' | 'unknown'> {
    try {
      return await this.#parts.log.append(entry, this.#lead.epoch);
    } catch (error) {
      if (error instanceof BatonError && error.retryable) throw error;
      this.#failure = broken(error);
      this.#parts.gate.fail();
      throw this.#failure;
    }
  }

  /** What was left half done by who led before has an end, and what is written from now on stands on this lead. */
  #begin(): void {
    // Their commit will never come, and no state with them in it can be folded (C4).
    if (!this.#isDirty)
      for (const { id, parts } of this.store.databases)
        if (parts !== undefined) this.#structural.push({ kind: 'undo', database: id });
    this.#isDirty = true;
  }

  /** Applies an entry that others have written: what stands on the state before it stands on nothing now (M4). */
  async #take(entry: LogEntry): Promise<void> {
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
    this.#lead.forget();
    this.#isDirty = this.#lead.isHeld;
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

function decodeEntry({ payload }: LogEntry): Command[] {
  return decodeCommands(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength));
}
