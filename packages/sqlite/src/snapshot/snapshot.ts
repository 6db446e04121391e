import { Layout } from '@batondb/core/transfer/layout';
import type { UnitSupply } from '@batondb/core/transfer/supply';
import { isHidden } from '../machine/hidden-name.ts';
import type { PageIndex } from '../machine/page-index.ts';
import type { Position } from '../machine/position.ts';
import { encodeState, type StateRecord } from '../machine/state-record.ts';
import type { StartedThread } from '../node/node-thread.ts';
import { fileName } from './contents.ts';
import { manifestOf } from './manifest.ts';
import type { Pinned } from './pinned-state.ts';
import type { SnapshotCalls, WrittenFile } from './snapshot-calls.ts';
import { SnapshotSupply } from './supply.ts';

/** What a snapshot needs of the node it is of. */
export type SnapshotPlace = {
  readonly index: PageIndex;
  readonly start: () => Promise<StartedThread<SnapshotCalls>>;
  readonly onEnd: (snapshot: NodeSnapshot) => void;
};

/**
 * All databases of a node at one position, while writers go on (B1). It keeps the log from being folded further, so it is to be disposed of
 * when it is not needed any more.
 */
export class NodeSnapshot implements AsyncDisposable {
  readonly supply: UnitSupply;
  readonly #pinned: Pinned;
  readonly #node: SnapshotPlace;
  readonly #thread: StartedThread<SnapshotCalls>;
  #ending: Promise<void> | undefined;

  private constructor(
    pinned: Pinned,
    node: SnapshotPlace,
    opened: { readonly thread: StartedThread<SnapshotCalls>; readonly supply: UnitSupply },
  ) {
    this.#pinned = pinned;
    this.#node = node;
    this.#thread = opened.thread;
    this.supply = opened.supply;
  }

  /** Opens a pinned state in its thread; both are the snapshot's from now on. */
  static async open(pinned: Pinned, node: SnapshotPlace): Promise<NodeSnapshot> {
    try {
      const thread = await node.start();
      try {
        const state = encodeState(pinned.record);
        const manifest = manifestOf(pinned.record, state);
        const layout = Layout.of(manifest);
        await thread.caller.call('open', { pinned, state, layout: layout.share() });
        return new NodeSnapshot(pinned, node, { thread, supply: new SnapshotSupply(thread.caller, manifest, layout) });
      } catch (error) {
        await thread.worker.terminate();
        throw error;
      }
    } catch (error) {
      node.index.freePin(pinned.pin);
      throw error;
    }
  }

  get position(): Position {
    return this.#pinned.record.position;
  }

  /** What the databases are at the position. */
  get record(): StateRecord {
    return this.#pinned.record;
  }

  /** Bytes of all files. */
  get contentBytes(): number {
    return this.supply.layout.contentBytes;
  }

  /** Writes all databases that have a name into an empty directory, as ordinary files, and syncs them. Throws HISTORY_LOST, NO_SPACE. */
  async writeFiles(directory: string): Promise<readonly WrittenFile[]> {
    const databases = this.record.databases.filter(({ name }) => !isHidden(name));
    return await this.#thread.caller.call('write', { directory, record: { ...this.record, databases } });
  }

  /** Length and digest of the file that a database is. Throws NOT_FOUND, HISTORY_LOST. */
  async digest(database: string): Promise<WrittenFile> {
    return await this.#thread.caller.call('digest', { name: fileName({ name: database }) });
  }

  /** A part of that file. Throws HISTORY_LOST. */
  async part(database: string, offset: number, bytes: number): Promise<Uint8Array> {
    return await this.#thread.caller.call('part', { name: fileName({ name: database }), offset, bytes });
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#ending ??= this.#end();
    return this.#ending;
  }

  async #end(): Promise<void> {
    // What it was doing fails; the pin goes when nothing can be read any more.
    await this.#thread.worker.terminate();
    this.#node.index.freePin(this.#pinned.pin);
    this.#node.onEnd(this);
  }
}
