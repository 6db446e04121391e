import type { FileLayer, LayerFile } from '../log/file-layer.ts';
import type { DatabaseId, TransactionEnd } from './command.ts';
import { Overlay } from './overlay.ts';
import { PageArena } from './page-arena.ts';
import type { PagePlace } from './page-index.ts';
import type { Paths } from './paths.ts';
import { PageDigests } from './state-checksum.ts';
import type { DatabaseState } from './state-record.ts';

// One database as the thread that writes has it.

/** What identifies a database. The name may change. */
export type DatabaseIdentity = { readonly id: DatabaseId; readonly name: string; readonly pageBytes: number };

/** Pages of a large group that the log has, and whose commit it does not have yet. */
export type Parts = {
  readonly sequence: number;
  readonly frames: { readonly page: number; readonly place: PagePlace }[];
};

/** Who stands on an unpublished layer: those layers stay readable as long as it is there. */
export type Holder = { readonly publishedAtBegin: number; readonly layer: number };

/** The header of page 1 (https://www.sqlite.org/fileformat2.html#the_database_header). */
export const headerBytes = 100;

/** A page that SQLite never writes, since its lock bytes would be there (https://www.sqlite.org/fileformat2.html#the_lock_byte_page). */
export function lockPage(pageBytes: number): number {
  return 0x40000000 / pageBytes + 1;
}

/** Where a database's published state is, and what lies over it. */
export class Database implements Disposable {
  readonly id: DatabaseId;
  name: string;
  readonly pageBytes: number;
  readonly base: LayerFile;
  readonly overlay: Overlay;
  digests: PageDigests = new PageDigests();
  /** Who reads it at a layer of its own. */
  readonly holders: Set<Holder> = new Set();
  /** Committed transactions that are not published, in their order. */
  readonly ends: TransactionEnd[] = [];
  readonly #arena: PageArena;
  /** What all readers see. */
  published: DatabaseState;
  /** Number of the last transaction that committed here, accepted or not. */
  sealed: number;
  parts: Parts | undefined;
  /** Who writes. */
  writer: Holder | undefined;
  /** The key of the transaction that will commit next. */
  nextKey: string | undefined;

  constructor(
    identity: DatabaseIdentity,
    state: DatabaseState,
    { layer, paths, overlayBytes }: { readonly layer: FileLayer; readonly paths: Paths; readonly overlayBytes: number },
  ) {
    this.id = identity.id;
    this.name = identity.name;
    this.pageBytes = identity.pageBytes;
    this.base = layer.open(paths.pagesOf(identity.id), 'create');
    this.#arena = new PageArena(identity.pageBytes, overlayBytes, layer, paths.own);
    this.overlay = new Overlay(this.#arena);
    this.published = state;
    this.sealed = state.sequence;
  }

  /** Closes the open layer as the next transaction. Returns its number. */
  seal(): number {
    this.sealed += 1;
    this.overlay.seal(this.sealed);
    this.ends.push(
      this.nextKey === undefined ? { sequence: this.sealed } : { sequence: this.sealed, key: this.nextKey },
    );
    this.nextKey = undefined;
    return this.sealed;
  }

  /** Drops what is not published, an open transaction included. */
  drop(): void {
    this.overlay.drop(this.published.sequence);
    this.sealed = this.published.sequence;
    this.ends.length = 0;
    // They speak of dropped pages, too.
    this.digests = new PageDigests();
    this.writer = undefined;
    this.nextKey = undefined;
  }

  /** Forgets layers that are published and that nobody stands on. */
  release(): void {
    let through = this.published.sequence;
    for (const { publishedAtBegin, layer } of this.holders)
      if (layer > publishedAtBegin) through = Math.min(through, publishedAtBegin);
    this.overlay.release(through);
  }

  [Symbol.dispose](): void {
    this.#arena[Symbol.dispose]();
    this.base.close();
  }
}
