import { ReadGate } from '../log/read-gate.ts';
import { PageIndex, pageIndexMemory } from '../machine/page-index.ts';
import { NodeSnapshot } from '../snapshot/snapshot.ts';
import type { Caller } from './call-port.ts';
import { startReader, startSnapshotThread, startWriter } from './node-thread.ts';
import { pinsMax } from './options.ts';
import type { ReaderCalls, WriterCalls } from './request.ts';
import type { ThreadData } from './thread-data.ts';

type Writer = Awaited<ReturnType<typeof startWriter>>;
type Reader = Awaited<ReturnType<typeof startReader>>;

/** The threads of a node on what its directory holds, and the index of pages that they share. */
export class Threads {
  readonly data: ThreadData;
  readonly index: PageIndex;
  readonly gate: ReadGate;
  readonly #writer: Writer;
  readonly #readers: readonly Reader[];
  readonly #snapshots = new Set<NodeSnapshot>();

  private constructor(data: ThreadData, writer: Writer, readers: readonly Reader[]) {
    this.data = data;
    this.index = new PageIndex(data.index, { frames: data.settings.indexPages, pins: pinsMax });
    this.gate = new ReadGate(data.gate);
    this.#writer = writer;
    this.#readers = readers;
  }

  /** Opens a directory, whose lock the caller holds. Throws what the writing thread throws when it opens it. */
  static async start(given: Omit<ThreadData, 'index' | 'gate'>): Promise<Threads> {
    const index = pageIndexMemory({ frames: given.settings.indexPages, pins: pinsMax });
    const data = { ...given, index, gate: ReadGate.memory() };
    const writer = await startWriter(data);
    const count = Math.max(1, given.settings.readers);
    const readers = await Promise.all(Array.from({ length: count }, () => startReader(data)));
    return new Threads(data, writer, readers);
  }

  get writer(): Caller<WriterCalls> {
    return this.#writer.caller;
  }

  /** The thread that has least to read. */
  get reader(): Caller<ReaderCalls> {
    const [first, ...others] = this.#readers.map(({ caller }) => caller);
    return others.reduce((idlest, one) => (one.pending < idlest.pending ? one : idlest), first!);
  }

  /** Holds all databases at one position. To be disposed of. Throws LIMIT, BUSY. */
  async snapshot(): Promise<NodeSnapshot> {
    const pinned = await this.writer.call('pinState', null);
    const snapshot = await NodeSnapshot.open(pinned, {
      index: this.index,
      start: () => startSnapshotThread(this.data),
      onEnd: (ended) => this.#snapshots.delete(ended),
    });
    this.#snapshots.add(snapshot);
    return snapshot;
  }

  /** Ends in order: everything is folded, and databases get their names. */
  async close(): Promise<void> {
    try {
      await Promise.all([...this.#snapshots].map((snapshot) => snapshot[Symbol.asyncDispose]()));
      // Readers first: what they have pinned could not be folded.
      await Promise.all(this.#readers.map(({ caller }) => caller.call('close', null)));
      await this.writer.call('close', null);
    } finally {
      await Promise.all([this.#writer, ...this.#readers].map(({ worker }) => worker.terminate()));
    }
  }
}
