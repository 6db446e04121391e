import { assert, BatonError } from '@batondb/core/errors';
import type { FileLayer } from '../log/file-layer.ts';
import type { LogEntry } from '../log/log.ts';
import { type Command, type DatabaseId, decodeCommands, type FramesCommand } from './command.ts';
import { Database, type DatabaseIdentity } from './database.ts';
import type { LogFiles } from './log-files.ts';
import type { PageIndex, PagePlace } from './page-index.ts';
import type { Paths } from './paths.ts';
import { formatPosition, type Position } from './position.ts';
import { Receipts } from './receipts.ts';
import { emptyChecksum } from './state-checksum.ts';
import type { DatabaseRecord, DatabaseState, StateRecord } from './state-record.ts';

// The state machine: applies entries that the log has accepted, in their order, and publishes them to readers. It executes no SQL
// and appends nothing.

/** What a store is made of. */
export type StoreParts = {
  readonly layer: FileLayer;
  readonly paths: Paths;
  readonly index: PageIndex;
  readonly logFiles: LogFiles;
  /** Memory for pages of each database that are not accepted; more of them go to a file. */
  readonly overlayBytes: number;
};

/** A position, the newest frame at it, and what changed with it. */
export type Mark = {
  readonly position: Position;
  readonly frame: number;
  /** No transaction is half there: a state at it can be gone on from. */
  readonly isWhole: boolean;
  readonly opened: readonly DatabaseIdentity[];
  readonly renamed: ReadonlyMap<DatabaseId, string>;
  readonly dropped: readonly DatabaseId[];
  readonly states: ReadonlyMap<DatabaseId, DatabaseState>;
};

/** The databases of a node at the newest applied entry. */
export class Store implements Disposable {
  readonly parts: StoreParts;
  readonly receipts: Receipts;
  /** Applied entries that no checkpoint record speaks of. */
  readonly marks: Mark[] = [];
  readonly #byId = new Map<DatabaseId, Database>();
  readonly #byName = new Map<string, Database>();
  #position: Position;
  #nextDatabase: DatabaseId;
  #record: StateRecord;

  constructor(parts: StoreParts, record: StateRecord) {
    this.parts = parts;
    this.receipts = new Receipts(record.receipts);
    this.#position = record.position;
    this.#nextDatabase = record.nextDatabase;
    this.#record = record;
    for (const database of record.databases) this.#add(database, database);
    parts.index.publish(record.position);
  }

  /** Through which entry everything is applied. */
  get position(): Position {
    return this.#position;
  }

  /** The last checkpoint record. */
  get record(): StateRecord {
    return this.#record;
  }

  set record(record: StateRecord) {
    this.#record = record;
    const count = this.marks.findIndex(({ position }) => position.index > record.position.index);
    this.marks.splice(0, count < 0 ? this.marks.length : count);
  }

  /** The number that a new database will have. */
  get nextDatabase(): DatabaseId {
    return this.#nextDatabase;
  }

  /** Databases that were not dropped. */
  get databases(): readonly Database[] {
    return [...this.#byName.values()];
  }

  find(name: string): Database | undefined {
    return this.#byName.get(name);
  }

  /** A database by its number, also one that was dropped since the last checkpoint. */
  byId(id: DatabaseId): Database | undefined {
    return this.#byId.get(id);
  }

  /**
   * What is read here is one state (C5). It is not while pages of entries that are to come are in the databases' own files already: of a fold
   * that a crash cut short.
   */
  get isSound(): boolean {
    return this.#position.index >= (this.#record.foldingThrough?.index ?? 0);
  }

  /** No part of a transaction waits for its commit. */
  get isWhole(): boolean {
    return this.databases.every(({ parts }) => parts === undefined);
  }

  /** How many frames an entry adds: room for them has to be there before it is applied. */
  framesOf(commands: readonly Command[]): number {
    let count = 0;
    for (const command of commands) {
      if (command.kind !== 'frames' || command.commit === undefined) continue;
      count += command.frames.length + (this.#byId.get(command.database)?.parts?.frames.length ?? 0);
    }
    return count;
  }

  /**
   * Applies the entry after the newest one, whose payload lies at `place`, and publishes it. Throws DIVERGED when it does not follow from
   * the state that is here, PROTOCOL, VERSION_MISMATCH; then nothing of it was applied.
   */
  apply(
    entry: LogEntry,
    place: PagePlace,
    commands: readonly Command[] = decodeCommands(toBuffer(entry.payload)),
  ): void {
    assert(entry.index === this.#position.index + 1, 'M1: entries are applied in their order, each once');
    this.expectFollows(entry, commands);
    this.#position = { epoch: entry.epoch, index: entry.index };
    const states = new Map<DatabaseId, DatabaseState>();
    const opened: DatabaseIdentity[] = [];
    const renamed = new Map<DatabaseId, string>();
    const dropped: DatabaseId[] = [];
    for (const command of commands) {
      switch (command.kind) {
        case 'open':
          if (this.#open(command.database, command.name, command.pageBytes))
            opened.push({ id: command.database, name: command.name, pageBytes: command.pageBytes });
          break;
        case 'drop':
          if (this.#drop(command.database)) dropped.push(command.database);
          break;
        case 'rename':
          this.#rename(command.database, command.name, { renamed, dropped });
          break;
        case 'frames':
          this.#applyFrames(command, place, states);
          break;
        case 'undo': {
          const database = this.#byId.get(command.database);
          if (database !== undefined) database.parts = undefined;
          break;
        }
        case 'checkpoint':
          break;
      }
    }
    const { index } = this.parts;
    this.marks.push({
      position: this.#position,
      frame: index.newest,
      isWhole: this.isWhole,
      opened,
      renamed,
      dropped,
      states,
    });
    if (opened.length + renamed.size + dropped.length > 0) index.rename();
    index.publish(this.#position);
  }

  /** What a record of the newest state says. */
  currentRecord(): StateRecord {
    const databases = this.databases.map((database) => recordOf(database, database.published));
    const receipts = this.receipts.through(this.#position.index);
    const { logId, origins } = this.#record;
    return {
      logId,
      ...(origins === undefined ? {} : { origins }),
      position: this.#position,
      nextDatabase: this.#nextDatabase,
      databases,
      receipts,
    };
  }

  /** What a checkpoint record says when the files hold everything through a mark. */
  recordAt(mark: Mark): StateRecord {
    const through = mark.position.index;
    const known = new Map(this.#record.databases.map((database) => [database.id, database]));
    for (const { position, opened, renamed, dropped, states } of this.marks) {
      if (position.index > through) break;
      for (const identity of opened) known.set(identity.id, { ...identity, ...emptyState() });
      // Frames of a database that was dropped before them count for nobody.
      for (const [id, state] of states) if (known.has(id)) known.set(id, { ...known.get(id)!, ...state });
      for (const [id, name] of renamed) if (known.has(id)) known.set(id, { ...known.get(id)!, name });
      for (const id of dropped) known.delete(id);
    }
    const receipts = this.receipts.through(through);
    const { foldingThrough: _, ...record } = this.#record;
    const { position } = mark;
    return { ...record, position, nextDatabase: this.#nextDatabase, databases: [...known.values()], receipts };
  }

  /** Databases that were dropped and whose files are still in use. */
  droppedIds(): DatabaseId[] {
    return [...this.#byId.values()].filter(({ id, name }) => this.#byName.get(name)?.id !== id).map(({ id }) => id);
  }

  /** Closes a database that was dropped. */
  forget(id: DatabaseId): void {
    this.#byId.get(id)?.[Symbol.dispose]();
    this.#byId.delete(id);
  }

  /** Reads a page of the newest published state. */
  readPublished(database: Database, page: number, into: Uint8Array): void {
    const { index, logFiles } = this.parts;
    const place = index.find(database.id, page, { frame: index.newest | 0, floor: index.folded | 0 });
    if (place !== undefined) logFiles.read(place, into);
    else into.fill(0, database.base.read(into, (page - 1) * database.pageBytes));
  }

  [Symbol.dispose](): void {
    for (const database of this.#byId.values()) database[Symbol.dispose]();
    this.#byId.clear();
    this.#byName.clear();
  }

  /** Throws DIVERGED unless an entry follows from the state that is here (M1). Changes nothing. */
  expectFollows(entry: LogEntry, commands: readonly Command[]): void {
    this.#checkFold(entry);
    for (const command of commands) this.#check(command);
  }

  #checkFold({ index, epoch }: LogEntry): void {
    const { foldingThrough } = this.#record;
    if (foldingThrough?.index !== index || foldingThrough.epoch === epoch) return;
    throw new BatonError(
      'DIVERGED',
      `the database files hold pages of entry ${formatPosition(foldingThrough)}, and the log has ${formatPosition({ epoch, index })} there`,
      { hint: 'begin again with a snapshot' },
    );
  }

  #check(command: Command): void {
    if (command.kind !== 'frames' || command.commit === undefined) return;
    const database = this.#byId.get(command.database);
    // A database that is opened by the same entry is empty.
    const { checksum, sequence } = database?.published ?? emptyState();
    if (command.commit.before !== checksum || command.sequence !== sequence + 1) {
      throw new BatonError(
        'DIVERGED',
        `database ${database?.name ?? command.database} is at transaction ${sequence} with checksum ${hexadecimal(checksum)}, ` +
          `and the next entry continues ${command.sequence - 1} with ${hexadecimal(command.commit.before)}`,
        { hint: 'begin again with a snapshot' },
      );
    }
  }

  #open(id: DatabaseId, name: string, pageBytes: number): boolean {
    if (this.#byId.has(id)) return false;
    this.#nextDatabase = Math.max(this.#nextDatabase, id + 1);
    this.#add({ id, name, pageBytes }, emptyState());
    return true;
  }

  /** A name that another database has by now stays that one's. */
  #drop(id: DatabaseId): boolean {
    const name = this.#byId.get(id)?.name ?? '';
    if (this.#byName.get(name)?.id !== id) return false;
    return this.#byName.delete(name);
  }

  #rename(
    id: DatabaseId,
    name: string,
    { renamed, dropped }: { readonly renamed: Map<DatabaseId, string>; readonly dropped: DatabaseId[] },
  ): void {
    const database = this.#byId.get(id);
    // Dropped, or it has the name: there is nothing to do.
    if (database === undefined || this.#byName.get(database.name) !== database || database.name === name) return;
    const holder = this.#byName.get(name);
    if (holder !== undefined && this.#drop(holder.id)) dropped.push(holder.id);
    this.#byName.delete(database.name);
    database.name = name;
    this.#byName.set(name, database);
    renamed.set(id, name);
  }

  #add(identity: Pick<DatabaseRecord, 'id' | 'name' | 'pageBytes'>, state: DatabaseState): void {
    const { pageCount, checksum, sequence } = state;
    const database = new Database(identity, { pageCount, checksum, sequence }, this.parts);
    this.#byId.set(identity.id, database);
    this.#byName.set(identity.name, database);
  }

  #applyFrames(command: FramesCommand, place: PagePlace, states: Map<DatabaseId, DatabaseState>): void {
    const database = this.#byId.get(command.database);
    assert(database !== undefined, 'M2: a database is opened before its first frames');
    const placed = command.frames.map(({ page, offset }) => ({
      page,
      place: { file: place.file, offset: place.offset + offset },
    }));
    const parts =
      database.parts?.sequence === command.sequence ? database.parts : { sequence: command.sequence, frames: [] };
    for (const frame of placed) parts.frames.push(frame);
    database.parts = parts;
    if (command.commit === undefined) return;
    database.parts = undefined;
    const { ends, pageCount, after } = command.commit;
    for (const frame of parts.frames) this.parts.index.add(database.id, frame.page, frame.place);
    const sequence = ends.at(-1)!.sequence;
    for (const end of ends) {
      if (end.key === undefined) continue;
      this.receipts.add({ key: end.key, database: database.id, sequence: end.sequence, position: this.#position });
    }
    database.published = { pageCount, checksum: after, sequence };
    states.set(database.id, database.published);
  }
}

/** A database that has no transaction yet. */
export function emptyState(): DatabaseState {
  return { pageCount: 0, checksum: emptyChecksum, sequence: 0 };
}

function recordOf({ id, name, pageBytes }: Database, state: DatabaseState): DatabaseRecord {
  return { id, name, pageBytes, ...state };
}

function hexadecimal(checksum: bigint): string {
  return checksum.toString(16).padStart(16, '0');
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
