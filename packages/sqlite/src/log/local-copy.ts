import { assert } from '@batondb/core/errors';
import type { FileLayer } from './file-layer.ts';
import type { LogEntry, LogIndex } from './log.ts';
import { type PayloadPlace, SegmentEntries } from './segment-entries.ts';
import { SegmentFiles } from './segment-files.ts';

// What a node keeps of a log that is elsewhere: entries that the log has accepted, in segments like those of the file log, so that pages,
// checkpoints and followers find them in the same way. Nothing waits for the disk here: what a crash takes comes from the log again.

/** How a local copy is opened. */
export type LocalCopyOptions = {
  readonly layer: FileLayer;
  /** Made when it is missing; emptied when it is not. */
  readonly directory: string;
  /** Everything through this entry is in the databases' own files: the first entry that is kept is the one after it. */
  readonly checkpoint: LogIndex;
  readonly segmentBytes: number;
  /** How much of what nobody needs here any more stays for followers. */
  readonly retainBytes: number;
};

/** Entries of a log that is kept elsewhere (P1 to P3). */
export class LocalCopy {
  readonly #entries: SegmentEntries;
  #head: LogIndex;

  private constructor(entries: SegmentEntries, head: LogIndex) {
    this.#entries = entries;
    this.#head = head;
  }

  /** Begins anew: whether what an earlier process wrote is whole, nobody knows (P1). */
  static open({ layer, directory, checkpoint, segmentBytes, retainBytes }: LocalCopyOptions): LocalCopy {
    const files = SegmentFiles.openEmpty(layer, directory, { segmentBytes, lasts: false });
    return new LocalCopy(
      new SegmentEntries(layer, directory, files, { kept: [], end: undefined, retainBytes }),
      checkpoint,
    );
  }

  /** The newest entry that is kept. */
  get head(): LogIndex {
    return this.#head;
  }

  /** Entries after it can be read. */
  get trimmed(): LogIndex {
    return (this.#entries.first ?? this.#head + 1) - 1;
  }

  /** Bytes of all segments that hold entries. */
  get bytes(): number {
    return this.#entries.bytes;
  }

  /**
   * Sees to it that an entry with such a payload can be kept: to be called before the log is asked to accept it, since an entry that is accepted
   * has to be applied (P2). Throws NO_SPACE.
   */
  reserve(payloadBytes: number): void {
    this.#entries.reserve(payloadBytes);
  }

  /** Keeps the entry after the newest one, which the log has accepted, and says where its payload lies. Throws NO_SPACE. */
  place(entry: LogEntry): PayloadPlace {
    assert(entry.index === this.#head + 1, 'L1: the log has no holes');
    this.#entries.reserve(entry.payload.length);
    // That anything is on the disk is not claimed: who opens these segments as a log takes what is missing for a torn tail (P3).
    this.#entries.write(entry, 0);
    this.#head = entry.index;
    return this.#entries.place(entry.index);
  }

  /** Lets go of what nobody reads here any more. It may keep more than it has to. */
  forget(through: LogIndex): void {
    this.#entries.forget(Math.min(through, this.#head - 1));
  }

  /** Makes the segment that will be needed next, while nobody waits for it. */
  async prepareNext(): Promise<void> {
    await this.#entries.prepareNext();
  }

  close(): void {
    this.#entries.close();
  }
}
