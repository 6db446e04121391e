import { BatonError } from '@batondb/core/errors';
import type { LayerFile } from '../log/file-layer.ts';
import type { Snapshot } from '../machine/page-index.ts';
import { dropPath } from '../machine/paths.ts';
import { formatPosition } from '../machine/position.ts';
import type { ReaderContext } from '../machine/reader-view.ts';
import type { DatabaseRecord, StateRecord } from '../machine/state-record.ts';

/** A state that is held for as long as its pin is. It can be posted to other threads. */
export type Pinned = { readonly pin: number; readonly snapshot: Snapshot; readonly record: StateRecord };

/** Reads the databases of a pinned state, in any thread. */
export class PinnedState implements Disposable {
  readonly #context: ReaderContext;
  readonly #pinned: Pinned;
  readonly #bases = new Map<number, LayerFile>();

  /** Opens all databases' files at once: one that is dropped later is only moved away. */
  constructor(context: ReaderContext, pinned: Pinned) {
    this.#context = context;
    this.#pinned = pinned;
    for (const database of pinned.record.databases) this.#bases.set(database.id, this.#open(database));
  }

  /** Reads what lies at an offset of a database, which fills `into`. Throws HISTORY_LOST when the state is held no more (B1). */
  read({ id, pageBytes }: DatabaseRecord, offset: number, into: Uint8Array): void {
    const { index, logFiles } = this.#context;
    const { pin, snapshot } = this.#pinned;
    try {
      into.fill(0, this.#bases.get(id)!.read(into, offset));
      for (let at = 0; at < into.length; ) {
        const page = Math.floor((offset + at) / pageBytes) + 1;
        const inPage = (offset + at) % pageBytes;
        const end = Math.min(at + pageBytes - inPage, into.length);
        const place = index.find(id, page, snapshot);
        if (place !== undefined)
          logFiles.read({ file: place.file, offset: place.offset + inPage }, into.subarray(at, end));
        at = end;
      }
    } catch (error) {
      if (index.holds(pin)) throw error;
    }
    // Looked at last: while the pin was ours, nothing that was read can have been written over.
    if (!index.holds(pin)) throw this.#lost();
  }

  [Symbol.dispose](): void {
    for (const base of this.#bases.values()) base.close();
    this.#bases.clear();
    this.#context.logFiles[Symbol.dispose]();
  }

  #open(database: DatabaseRecord): LayerFile {
    const { layer, paths } = this.#context;
    try {
      return layer.open(paths.pagesOf(database.id), 'read');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      // It was dropped since, and a checkpoint has moved it.
      return layer.open(dropPath(paths, database), 'read');
    }
  }

  #lost(): BatonError {
    return new BatonError(
      'HISTORY_LOST',
      `the snapshot at ${formatPosition(this.#pinned.record.position)} was given up, since the log needed its place`,
      { retryable: true, hint: 'try again when less is written, or raise indexPages' },
    );
  }
}
