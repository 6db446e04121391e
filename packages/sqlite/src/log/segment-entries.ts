import { assert } from '@batondb/core/errors';
import { limits } from '../limits.ts';
import type { FileLayer, LayerFile } from './file-layer.ts';
import type { Epoch, LogEntry, LogIndex } from './log.ts';
import { isDiskFull, noSpace } from './no-space.ts';
import { encodeRecord, recordBytes, recordHeaderBytes } from './record.ts';
import type { FoundRecord } from './scan.ts';
import { type SegmentFiles, segmentPath } from './segment-files.ts';

// Entries in the segments of a directory: written behind one another, found again by their index, forgotten a segment at a time. When they
// last is not decided here.

/** Where the payload of an entry lies: its file's number, and the offset in bytes. */
export type PayloadPlace = { readonly file: number; readonly offset: number };

type Entry = {
  readonly index: LogIndex;
  readonly file: number;
  readonly offset: number;
  readonly bytes: number;
  readonly epoch: Epoch;
};

/** Entries without a hole between them. */
export class SegmentEntries {
  readonly #layer: FileLayer;
  readonly #directory: string;
  readonly #files: SegmentFiles;
  readonly #entries: Entry[];
  readonly #buffer: Buffer;
  readonly #readers = new Map<number, LayerFile>();
  readonly #retainedMax: number;
  #offset: number;
  /** The segment with the oldest entry that is needed here. */
  #needed = 0;

  /**
   * `kept` are those that are there, in their order; `end` is the last record of the segment that is written to, if it counts; `retainBytes` is how
   * much of what is not needed here any more stays for followers.
   */
  constructor(
    layer: FileLayer,
    directory: string,
    files: SegmentFiles,
    {
      kept,
      end,
      retainBytes,
    }: { readonly kept: readonly FoundRecord[]; readonly end: FoundRecord | undefined; readonly retainBytes: number },
  ) {
    this.#retainedMax = Math.floor(retainBytes / files.segmentBytes);
    this.#layer = layer;
    this.#directory = directory;
    this.#files = files;
    this.#entries = kept.map((record) => ({
      index: record.index,
      file: record.generation,
      offset: record.offset + recordHeaderBytes,
      bytes: record.payloadBytes,
      epoch: record.epoch,
    }));
    const isEndActive = end !== undefined && end.generation === files.generation;
    this.#offset = isEndActive ? end.offset + recordBytes(end.payloadBytes) : 0;
    this.#buffer = Buffer.alloc(recordBytes(Math.min(limits.entryBytesMax, files.segmentBytes - recordHeaderBytes)));
  }

  /** The oldest entry that is there. */
  get first(): LogIndex | undefined {
    return this.#entries[0]?.index;
  }

  /** Bytes of the segments that are needed here: without those that stay for followers. */
  get bytes(): number {
    const { generations, segmentBytes } = this.#files;
    return generations.filter((generation) => generation >= this.#needed).length * segmentBytes;
  }

  /** Sees to it that an entry with such a payload can be written next. Throws NO_SPACE when there is none for another segment. */
  reserve(payloadBytes: number): void {
    const bytes = recordBytes(payloadBytes);
    assert(bytes <= this.#buffer.length, 'L5: an entry fits into a segment');
    if (this.#offset + bytes > this.#files.segmentBytes || this.#files.generation === 0) this.#nextSegment();
  }

  /** Writes an entry behind the newest one, into what was reserved for it. */
  write(entry: LogEntry, syncedThrough: LogIndex): void {
    const generation = this.#files.generation;
    const record = encodeRecord(entry, { generation, syncedThrough }, this.#buffer);
    this.#files.active.write(record, this.#offset);
    this.#entries.push({
      index: entry.index,
      file: generation,
      offset: this.#offset + recordHeaderBytes,
      bytes: entry.payload.length,
      epoch: entry.epoch,
    });
    this.#offset += record.length;
  }

  /** Returns when everything that was written lasts. */
  sync(): void {
    this.#files.active.sync();
  }

  /** Where the payload of an entry lies that is here. */
  place(index: LogIndex): PayloadPlace {
    const { file, offset } = this.#find(index);
    return { file, offset };
  }

  read(index: LogIndex): LogEntry {
    const entry = this.#find(index);
    let file = this.#readers.get(entry.file);
    if (file === undefined) {
      file = this.#layer.open(segmentPath(this.#directory, entry.file), 'read');
      this.#readers.set(entry.file, file);
    }
    const payload = Buffer.allocUnsafe(entry.bytes);
    file.read(payload, entry.offset);
    return { index, epoch: entry.epoch, payload };
  }

  /** Gives up segments that hold nothing after an index, except the newest of them. Returns the newest entry that went with them. */
  forget(through: LogIndex): LogIndex | undefined {
    this.#needed = this.#entries.find(({ index }) => index > through)?.file ?? this.#files.generation;
    const idle = this.#files.generations.filter((generation) => generation < this.#needed);
    const firstFile = idle[Math.max(0, idle.length - this.#retainedMax)] ?? this.#needed;
    for (const generation of this.#files.generations.filter((candidate) => candidate < firstFile)) {
      this.#readers.get(generation)?.close();
      this.#readers.delete(generation);
      this.#files.retire(generation);
    }
    const count = this.#entries.findIndex(({ file }) => file >= firstFile);
    return this.#entries.splice(0, count < 0 ? 0 : count).at(-1)?.index;
  }

  /** Makes the segment that will be needed next, while nobody waits for it. */
  async prepareNext(): Promise<void> {
    await this.#files.prepare();
  }

  close(): void {
    for (const file of this.#readers.values()) file.close();
    this.#readers.clear();
    this.#files.close();
  }

  #find(index: LogIndex): Entry {
    const first = this.#entries[0];
    const entry = first && this.#entries[index - first.index];
    assert(entry !== undefined, 'L1: the log has no holes');
    return entry;
  }

  #nextSegment(): void {
    try {
      this.#files.next();
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      throw noSpace(`${this.#directory}: no space for another segment of the log`, error);
    }
    this.#offset = 0;
  }
}
