import { assert, BatonError } from '@batondb/core/errors';
import { limits } from '../limits.ts';
import type { FileLayer } from './file-layer.ts';
import type { AppendOutcome, Epoch, Leadership, LogEntry, LogIndex, ReplicatedLog } from './log.ts';
import { type FoundRecord, judge } from './scan.ts';
import { type PayloadPlace, SegmentEntries } from './segment-entries.ts';
import { SegmentFiles, segmentPath } from './segment-files.ts';
import { eraseRecord, readRecords } from './segment-records.ts';

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
  /** How much of what was trimmed can be read all the same. Default: nothing. */
  readonly retainBytes?: number;
};

/** The file log. One process at a time may open a directory: the caller holds a lock. */
export class FileLog implements ReplicatedLog {
  readonly #directory: string;
  readonly #entries: SegmentEntries;
  #wakers: (() => void)[] = [];
  #epoch: Epoch;
  #head: LogIndex;
  #trimmed: LogIndex;
  #failure: unknown;

  private constructor(options: FileLogOptions, files: SegmentFiles, kept: readonly FoundRecord[]) {
    this.#directory = options.directory;
    // What ends below the checkpoint is of no use: the next entry would not follow it.
    const last = kept.at(-1);
    const useful = last !== undefined && last.index >= options.checkpoint ? kept : [];
    this.#entries = new SegmentEntries(options.layer, options.directory, files, {
      ...{ kept: useful, end: last },
      retainBytes: options.retainBytes ?? 0,
    });
    this.#head = Math.max(options.checkpoint, last?.index ?? 0);
    this.#trimmed = (this.#entries.first ?? this.#head + 1) - 1;
    this.#epoch = Math.max(options.epoch, last?.epoch ?? 0);
  }

  /**
   * Opens the log of a directory: cuts a torn tail, or throws LOG_DAMAGED when entries are lost that somebody was told of. Everything
   * that is erased is erased durably before this returns (L4).
   */
  static open(options: FileLogOptions): FileLog {
    const { layer, directory, checkpoint } = options;
    const files = SegmentFiles.open(layer, directory, {
      segmentBytes: options.segmentBytes ?? limits.segmentBytes,
      lasts: true,
    });
    const records = files.generations.flatMap((generation) => readRecords(layer, directory, generation));
    const { kept, strays, lost } = judge(records, checkpoint);
    if (lost !== undefined) {
      const last = lost.from - 1;
      throw new BatonError(
        'LOG_DAMAGED',
        `${directory}: entries ${lost.from} to ${lost.through} were on the disk and cannot be read; everything through ${last} can`,
        {
          hint: `see baton sqlite log check; restore a backup, or give up what came after entry ${last} with log recover`,
        },
      );
    }
    for (const stray of strays) eraseRecord(layer, directory, stray);
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
    return this.#entries.bytes;
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
    return this.#entries.place(index);
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
    this.#trimmed = this.#entries.forget(end) ?? this.#trimmed;
    return Promise.resolve();
  }

  /** Makes the segment that will be needed next, while nobody waits for it. */
  async prepareNext(): Promise<void> {
    await this.#entries.prepareNext();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#entries.close();
    for (const wake of this.#wakers.splice(0)) wake();
    return Promise.resolve();
  }

  #append(entry: LogEntry, fence: Epoch): AppendOutcome {
    if (this.#failure !== undefined) throw stopped(this.#directory, this.#failure);
    if (fence !== this.#epoch) return 'refused';
    assert(entry.index === this.#head + 1, 'L1: the log has no holes');
    this.#entries.reserve(entry.payload.length);
    try {
      this.#entries.write(entry, this.#head);
      this.#entries.sync();
    } catch (error) {
      // The kernel may have dropped the dirty pages, and would report success at a second try (L6).
      this.#failure = error;
      throw stopped(this.#directory, error);
    }
    this.#head = entry.index;
    for (const wake of this.#wakers.splice(0)) wake();
    return 'accepted';
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
    return this.#entries.read(index);
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

function syncSegment(layer: FileLayer, directory: string, generation: number): void {
  const file = layer.open(segmentPath(directory, generation), 'write');
  try {
    file.sync();
  } finally {
    file.close();
  }
}
