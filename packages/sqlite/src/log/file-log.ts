import { assert, BatonError } from '@batondb/core/errors';
import { limits } from '../limits.ts';
import type { FileLayer, LayerFile } from './file-layer.ts';
import type { AppendOutcome, Epoch, Leadership, LogEntry, LogIndex, ReplicatedLog } from './log.ts';
import { encodeRecord, recordBytes, recordHeaderBytes } from './record.ts';
import { type FoundRecord, judge, scanSegment } from './scan.ts';
import { SegmentFiles, segmentPath } from './segment-files.ts';

// A log in files of one machine: segments that were filled with zeros beforehand, so that an append is one write and one fdatasync
// of data, without metadata. Appending is synchronous: the thread that executes transactions has nothing better to do than to wait
// for the disk, while the next ones queue up and become the next group.

/** How a file log is opened. */
export type FileLogOptions = {
  readonly layer: FileLayer;
  /** Made when it is missing. */
  readonly directory: string;
  /** Everything through this entry is in the databases' own files. */
  readonly checkpoint: LogIndex;
  /** The highest epoch that the checkpoint knows of. */
  readonly epoch: Epoch;
  /** Default: limits.segmentBytes. */
  readonly segmentBytes?: number;
};

/** Where the payload of an entry lies: its file's number, and the offset in bytes. */
export type PayloadPlace = { readonly file: number; readonly offset: number };

type Entry = {
  readonly index: LogIndex;
  readonly file: number;
  readonly offset: number;
  readonly bytes: number;
  readonly epoch: Epoch;
};

/** The file log. One process at a time may open a directory: the caller holds a lock. */
export class FileLog implements ReplicatedLog {
  readonly #layer: FileLayer;
  readonly #directory: string;
  readonly #files: SegmentFiles;
  readonly #entries: Entry[];
  readonly #buffer: Buffer;
  readonly #readers = new Map<number, LayerFile>();
  #wakers: (() => void)[] = [];
  #epoch: Epoch;
  #head: LogIndex;
  #trimmed: LogIndex;
  #offset: number;
  #failure: unknown;

  private constructor(options: FileLogOptions, files: SegmentFiles, kept: readonly FoundRecord[]) {
    this.#layer = options.layer;
    this.#directory = options.directory;
    this.#files = files;
    // What ends below the checkpoint is of no use: the next entry would not follow it.
    const last = kept.at(-1);
    const useful = last !== undefined && last.index >= options.checkpoint ? kept : [];
    this.#entries = useful.map((record) => ({
      index: record.index,
      file: record.generation,
      offset: record.offset + recordHeaderBytes,
      bytes: record.payloadBytes,
      epoch: record.epoch,
    }));
    this.#head = Math.max(options.checkpoint, last?.index ?? 0);
    this.#trimmed = (useful[0]?.index ?? this.#head + 1) - 1;
    this.#epoch = Math.max(options.epoch, last?.epoch ?? 0);
    const isLastActive = last !== undefined && last.generation === files.generation;
    this.#offset = isLastActive ? last.offset + recordBytes(last.payloadBytes) : 0;
    this.#buffer = Buffer.alloc(recordBytes(Math.min(limits.entryBytesMax, files.segmentBytes - recordHeaderBytes)));
  }

  /**
   * Opens the log of a directory: cuts a torn tail, or throws LOG_DAMAGED when entries are lost that somebody was told of. Everything
   * that is erased is erased durably before this returns (L4).
   */
  static open(options: FileLogOptions): FileLog {
    const { layer, directory, checkpoint } = options;
    const files = SegmentFiles.open(layer, directory, options.segmentBytes ?? limits.segmentBytes);
    const records = files.generations.flatMap((generation) => scan(layer, directory, generation));
    const { kept, strays, lost } = judge(records, checkpoint);
    if (lost !== undefined) {
      const last = lost.from - 1;
      throw new BatonError(
        'LOG_DAMAGED',
        `${directory}: entries ${lost.from} to ${lost.through} were on the disk and cannot be read; everything through ${last} can`,
        { hint: `restore a backup, or give up what came after entry ${last}` },
      );
    }
    for (const stray of strays) erase(layer, directory, stray);
    // A killed process leaves records that are whole in memory and not on the disk: they count from now on, so they have to last.
    for (const generation of new Set(kept.map((record) => record.generation)))
      syncSegment(layer, directory, generation);
    return new FileLog(options, files, kept);
  }

  get head(): LogIndex {
    return this.#head;
  }

  /** The newest entry that may be missing: entries after it can be read. */
  get trimmed(): LogIndex {
    return this.#trimmed;
  }

  /** Bytes of all segments that hold entries. */
  get bytes(): number {
    return this.#files.generations.length * this.#files.segmentBytes;
  }

  lead(): Promise<Leadership> {
    this.#epoch += 1;
    return Promise.resolve({ epoch: this.#epoch, head: this.#head });
  }

  append(entry: LogEntry, fence: Epoch): Promise<AppendOutcome> {
    try {
      return Promise.resolve(this.#append(entry, fence));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Where the payload of an entry lies that is in the log. */
  place(index: LogIndex): PayloadPlace {
    const first = this.#entries[0];
    const entry = first && this.#entries[index - first.index];
    assert(entry !== undefined, 'L1: the log has no holes');
    return { file: entry.file, offset: entry.offset };
  }

  async *entries(after: LogIndex, signal: AbortSignal): AsyncGenerator<LogEntry, void, undefined> {
    for (let index = after + 1; ; index++) {
      while (index > this.#head) {
        if (signal.aborted) return;
        await this.#change(signal);
      }
      if (signal.aborted) return;
      yield this.#read(index);
    }
  }

  trim(through: LogIndex): Promise<void> {
    // The newest entry stays, so that the highest epoch and index can be read from the log alone.
    const end = Math.min(through, this.#head - 1);
    const kept = this.#entries.find(({ index }) => index > end);
    const firstFile = kept?.file ?? this.#files.generation;
    for (const generation of this.#files.generations.filter((candidate) => candidate < firstFile)) {
      this.#readers.get(generation)?.close();
      this.#readers.delete(generation);
      this.#files.retire(generation);
    }
    const count = this.#entries.findIndex(({ file }) => file >= firstFile);
    const removed = this.#entries.splice(0, count < 0 ? 0 : count);
    this.#trimmed = removed.at(-1)?.index ?? this.#trimmed;
    return Promise.resolve();
  }

  /** Makes the segment that will be needed next, while nobody waits for it. */
  async prepareNext(): Promise<void> {
    await this.#files.prepare();
  }

  [Symbol.asyncDispose](): Promise<void> {
    for (const file of this.#readers.values()) file.close();
    this.#readers.clear();
    this.#files.close();
    for (const wake of this.#wakers.splice(0)) wake();
    return Promise.resolve();
  }

  #append(entry: LogEntry, fence: Epoch): AppendOutcome {
    if (this.#failure !== undefined) throw stopped(this.#directory, this.#failure);
    if (fence !== this.#epoch) return 'refused';
    assert(entry.index === this.#head + 1, 'L1: the log has no holes');
    const bytes = recordBytes(entry.payload.length);
    assert(bytes <= this.#buffer.length, 'L5: an entry fits into a segment');
    if (this.#offset + bytes > this.#files.segmentBytes || this.#files.generation === 0) this.#nextSegment();
    const generation = this.#files.generation;
    const record = encodeRecord(entry, { generation, syncedThrough: this.#head }, this.#buffer);
    try {
      this.#files.active.write(record, this.#offset);
      this.#files.active.sync();
    } catch (error) {
      // The kernel may have dropped the dirty pages, and would report success at a second try (L6).
      this.#failure = error;
      throw stopped(this.#directory, error);
    }
    const offset = this.#offset + recordHeaderBytes;
    this.#entries.push({
      index: entry.index,
      file: generation,
      offset,
      bytes: entry.payload.length,
      epoch: entry.epoch,
    });
    this.#offset += bytes;
    this.#head = entry.index;
    for (const wake of this.#wakers.splice(0)) wake();
    return 'accepted';
  }

  #nextSegment(): void {
    try {
      this.#files.next();
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOSPC' && code !== 'EDQUOT') throw error;
      throw new BatonError('NO_SPACE', `${this.#directory}: no space for another segment of the log`, {
        retryable: true,
        hint: 'make space; writing goes on by itself then',
        cause: error,
      });
    }
    this.#offset = 0;
  }

  #read(index: LogIndex): LogEntry {
    if (index <= this.#trimmed) {
      throw new BatonError(
        'HISTORY_LOST',
        `the log begins after entry ${this.#trimmed}, and entry ${index} was asked for`,
        {
          hint: 'begin with a snapshot',
        },
      );
    }
    const entry = this.#entries[index - this.#entries[0]!.index]!;
    let file = this.#readers.get(entry.file);
    if (file === undefined) {
      file = this.#layer.open(segmentPath(this.#directory, entry.file), 'read');
      this.#readers.set(entry.file, file);
    }
    const payload = Buffer.allocUnsafe(entry.bytes);
    file.read(payload, entry.offset);
    return { index, epoch: entry.epoch, payload };
  }

  #change(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      this.#wakers.push(resolve);
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
  }
}

function stopped(directory: string, cause: unknown): BatonError {
  return new BatonError(
    'SYSTEM',
    `${directory}: the log could not be written, and nothing more is written by this process`,
    {
      hint: 'look at the disk, then start again: what was acknowledged is there',
      cause,
    },
  );
}

function scan(layer: FileLayer, directory: string, generation: number): FoundRecord[] {
  const file = layer.open(segmentPath(directory, generation), 'read');
  try {
    return scanSegment(file, generation);
  } finally {
    file.close();
  }
}

function syncSegment(layer: FileLayer, directory: string, generation: number): void {
  const file = layer.open(segmentPath(directory, generation), 'write');
  try {
    file.sync();
  } finally {
    file.close();
  }
}

function erase(layer: FileLayer, directory: string, { generation, offset, payloadBytes }: FoundRecord): void {
  const file = layer.open(segmentPath(directory, generation), 'write');
  try {
    file.write(new Uint8Array(recordBytes(payloadBytes)), offset);
    file.sync();
  } finally {
    file.close();
  }
}
