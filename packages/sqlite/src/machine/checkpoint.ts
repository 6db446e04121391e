import { toBatonError } from '@batondb/core/files/system-error';
import type { Database } from './database.ts';
import { isHidden } from './hidden-name.ts';
import type { PagePlace } from './page-index.ts';
import { dropPath } from './paths.ts';
import { writeState } from './state-record.ts';
import type { Mark, Store } from './store.ts';

// Folds the log into the databases' own files: no further than the oldest pinned reader; fdatasync; then the record; then the log
// may forget (C1 to C3). Redo is idempotent, since every entry holds whole pages: a crash anywhere in between only means that more of the
// log is read at the next start than would be needed.

/** Pages copied before other work of the thread gets its turn: some milliseconds. */
const slicePages = 64;

/** How a checkpoint gives way. `yields`: the thread has other work; the syncs do not hold it up either then. */
export type CheckpointPace = { readonly yields: boolean };

/** Makes checkpoints of one store, one at a time. */
export class Checkpointer {
  readonly #store: Store;
  /** Snapshots of this thread's own readers, which have no pin. */
  readonly #ownSnapshots: () => Iterable<{ readonly frame: number; readonly floor: number }>;
  #running: Promise<number> | undefined;

  constructor(store: Store, ownSnapshots: () => Iterable<{ readonly frame: number; readonly floor: number }>) {
    this.#store = store;
    this.#ownSnapshots = ownSnapshots;
  }

  /** Folds what can be folded. Resolves to the log index through which the log may be trimmed. */
  run(pace: CheckpointPace): Promise<number> {
    this.#running ??= this.#run(pace)
      .catch((error: unknown) => {
        throw toBatonError(error);
      })
      .finally(() => {
        this.#running = undefined;
      });
    return this.#running;
  }

  async #run({ yields }: CheckpointPace): Promise<number> {
    const { index, layer, paths } = this.#store.parts;
    const mark = this.#target();
    if (mark === undefined) return this.#trimmable();
    const { record: before } = this.#store;
    if (mark.frame > this.#folded) {
      this.#store.record = { ...before, foldingThrough: mark.position };
      writeState(layer, paths, this.#store.record);
    }
    const touched = new Set<Database>();
    let copied = 0;
    for (const { database, page, place } of this.#newestPages(mark)) {
      this.#copy(database, page, place);
      touched.add(database);
      copied += 1;
      if (yields && copied % slicePages === 0) await new Promise(setImmediate);
    }
    const record = this.#store.recordAt(mark);
    for (const { id, pageCount, pageBytes } of record.databases) {
      const database = this.#store.byId(id)!;
      if (database.base.size() === pageCount * pageBytes) continue;
      database.base.truncate(pageCount * pageBytes);
      touched.add(database);
    }
    for (const { base } of touched) await (yields ? base.syncSoon() : base.sync());
    layer.syncDirectory(paths.pages);
    writeState(layer, paths, record);
    const recorded = new Set(record.databases.map(({ id }) => id));
    this.#store.record = record;
    this.#folded = mark.frame;
    index.endFold(mark.frame);
    this.#setAside(recorded);
    return this.#trimmable();
  }

  #folded = 0;

  /**
   * The newest mark at or before everybody's snapshot, after the last fold. Where parts wait for their commit is none (C4): what is trimmed
   * would take them with it.
   */
  #target(): Mark | undefined {
    const { marks, parts } = this.#store;
    // How far an older fold has written must not be forgotten before the state is there (C5).
    if (!this.#store.isSound) return undefined;
    let through = parts.index.beginFold(parts.index.newest);
    for (const { frame } of this.#ownSnapshots()) through = Math.min(through, parts.index.widen(frame));
    return marks.findLast(({ frame, isWhole }) => isWhole && frame <= through);
  }

  /** Of each page the newest version at a mark that is not in the database's own file. */
  *#newestPages({ frame: newest }: Mark): Generator<{ database: Database; page: number; place: PagePlace }> {
    const { index } = this.#store.parts;
    const seen = new Map<number, Set<number>>();
    const dropped = new Set(this.#store.droppedIds());
    for (let frame = newest; frame > this.#folded; frame--) {
      const { database: id, page, place } = index.frameAt(frame);
      const pages = seen.get(id) ?? new Set();
      if (seen.set(id, pages) && pages.has(page)) continue;
      pages.add(page);
      const database = this.#store.byId(id);
      // Of an import that was given up nothing is kept.
      const isVoid = database !== undefined && isHidden(database.name) && dropped.has(id);
      if (database !== undefined && !isVoid) yield { database, page, place };
    }
  }

  #copy(database: Database, page: number, place: PagePlace): void {
    const content = Buffer.allocUnsafe(database.pageBytes);
    this.#store.parts.logFiles.read(place, content);
    database.base.write(content, (page - 1) * database.pageBytes);
  }

  /** Frees what nobody looks at any more. Returns through which entry the log may be trimmed. */
  #trimmable(): number {
    const { index } = this.#store.parts;
    let frame = index.endFold(this.#folded);
    for (const { floor } of this.#ownSnapshots()) frame = Math.min(frame, index.widen(floor));
    index.trim(frame);
    return this.#indexAt(frame);
  }

  readonly #folds: { readonly frame: number; readonly index: number }[] = [];

  // A floor is always the frame of an earlier fold.
  #indexAt(frame: number): number {
    const last = this.#folds.at(-1);
    const { index } = this.#store.record.position;
    if (last?.frame !== this.#folded || last.index !== index) this.#folds.push({ frame: this.#folded, index });
    const position = this.#folds.findLastIndex((fold) => fold.frame <= frame);
    const found = this.#folds[position];
    if (position > 0) this.#folds.splice(0, position);
    return found?.index ?? 0;
  }

  /** Databases that were dropped before the record are out of use. */
  #setAside(recorded: ReadonlySet<number>): void {
    const { layer, paths } = this.#store.parts;
    for (const id of this.#store.droppedIds()) {
      if (
        recorded.has(id) ||
        this.#store.marks.some(({ states, opened }) => states.has(id) || opened.some((one) => one.id === id))
      )
        continue;
      const database = this.#store.byId(id)!;
      this.#store.forget(id);
      if (isHidden(database.name)) {
        layer.remove(paths.pagesOf(id));
        continue;
      }
      layer.makeDirectory(paths.dropped);
      layer.rename(paths.pagesOf(id), dropPath(paths, database));
      layer.syncDirectory(paths.dropped);
    }
  }
}
