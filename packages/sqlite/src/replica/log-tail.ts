import { BatonError } from '@batondb/core/errors';
import { limits } from '../limits.ts';
import type { FileLayer, LayerFile } from '../log/file-layer.ts';
import type { LogEntry, LogIndex } from '../log/log.ts';
import {
  blockBytes,
  decodeHeader,
  isIntact,
  type RecordHeader,
  recordBytes,
  recordHeaderBytes,
} from '../log/record.ts';
import { segmentNumbers, segmentPath } from '../log/segment-files.ts';
import type { PageIndex } from '../machine/page-index.ts';
import { formatPosition, type Position } from '../machine/position.ts';

// Reads the segments of a log that another thread writes, through the position that it has published (R1). Nothing is locked: a segment that
// is used again while it is read names another generation, and a record that was half written over is not what its digest says.

/** What a tail reads from. */
export type TailPlace = {
  readonly layer: FileLayer;
  /** Where the segments are. */
  readonly directory: string;
  readonly index: PageIndex;
};

type Spot = { readonly generation: number; readonly file: LayerFile; readonly bytes: number; offset: number };

/** The end of a log, read once from a position on. */
export class LogTail implements Disposable {
  readonly #place: TailPlace;
  readonly #buffer: Buffer = Buffer.allocUnsafeSlow(limits.batchBytes);
  #next: LogIndex;
  #spot: Spot | undefined;

  private constructor(place: TailPlace, next: LogIndex, spot: Spot | undefined) {
    this.#place = place;
    this.#next = next;
    this.#spot = spot;
  }

  /**
   * What comes after a position that somebody else is at. Throws HISTORY_LOST when the log does not hold the entry at it any more, so that nobody
   * can say whether it is the same one, and DIVERGED when it is another one, or the log ends before it.
   */
  static open(place: TailPlace, after: Position): LogTail {
    const { position } = place.index.published();
    const tail = new LogTail(place, after.index + 1, undefined);
    if (after.index === position.index && after.epoch === position.epoch) return tail;
    if (after.index >= position.index) throw diverged(after, position);
    // Nothing comes before the first entry of all.
    const isAtStart = after.index === 0;
    const found = tail.#seek(isAtStart ? 1 : after.index);
    if (!isAtStart) {
      tail.#spot!.offset += recordBytes(found.payloadBytes);
      if (found.epoch !== after.epoch) {
        tail[Symbol.dispose]();
        throw diverged(after, { epoch: found.epoch, index: found.index });
      }
    }
    return tail;
  }

  /** The entries that come next, at least one if any is published. Their payloads are good until the next call. Throws HISTORY_LOST, LOG_DAMAGED. */
  read(): LogEntry[] {
    const through = this.#place.index.published().position.index;
    if (this.#next > through) return [];
    if (this.#spot === undefined || !this.#isHere(this.#spot)) this.#seek(this.#next);
    const spot = this.#spot!;
    const wanted = Math.min(this.#buffer.length, spot.bytes - spot.offset);
    const piece = this.#buffer.subarray(0, spot.file.read(this.#buffer.subarray(0, wanted), spot.offset));
    const entries = this.#entriesOf(spot, piece, through);
    return entries.length > 0 ? entries : [this.#largeEntry(spot)];
  }

  /** Waits until there is something to read. False: there was nothing within the time. */
  wait(timeoutMs: number): Promise<boolean> {
    return this.#place.index.waitFor(this.#next, timeoutMs);
  }

  [Symbol.dispose](): void {
    this.#spot?.file.close();
    this.#spot = undefined;
  }

  /** Whole records at the start of a piece, as far as they are published and follow one another. */
  #entriesOf(spot: Spot, piece: Buffer, through: LogIndex): LogEntry[] {
    const entries: LogEntry[] = [];
    for (let at = 0; this.#next <= through && entries.length < limits.batchEntriesMax; ) {
      const header = decodeHeader(piece.subarray(at, at + blockBytes), spot.generation, spot.bytes - spot.offset);
      if (header?.index !== this.#next) break;
      const record = piece.subarray(at, at + recordBytes(header.payloadBytes));
      if (record.length < recordBytes(header.payloadBytes)) break;
      entries.push(this.#take(spot, header, record));
      at += record.length;
    }
    return entries;
  }

  /** A record that is longer than the buffer. */
  #largeEntry(spot: Spot): LogEntry {
    const header = this.#headerAt(spot);
    if (header?.index !== this.#next) throw lost(this.#next);
    const record = Buffer.allocUnsafe(recordBytes(header.payloadBytes));
    spot.file.read(record, spot.offset);
    return this.#take(spot, header, record);
  }

  #take(spot: Spot, header: RecordHeader, record: Buffer): LogEntry {
    if (!isIntact(record, header.payloadBytes)) throw this.#unreadable(spot, header.index);
    spot.offset += record.length;
    this.#next += 1;
    const payload = record.subarray(recordHeaderBytes, recordHeaderBytes + header.payloadBytes);
    return { index: header.index, epoch: header.epoch, payload };
  }

  /** Whether the next record begins where the last one ended; else it is in another segment. */
  #isHere(spot: Spot): boolean {
    return this.#headerAt(spot)?.index === this.#next;
  }

  /** Finds the record of an entry and leaves the spot at it. */
  #seek(index: LogIndex): RecordHeader {
    this[Symbol.dispose]();
    const { layer, directory } = this.#place;
    for (const generation of segmentNumbers(layer, directory).reverse()) {
      const spot = this.#open(generation);
      if (spot === undefined) continue;
      const first = this.#headerAt(spot);
      // One that no record was written to yet says nothing.
      if (first === undefined || first.index > index) {
        spot.file.close();
        continue;
      }
      this.#spot = spot;
      for (let header: RecordHeader | undefined = first; header !== undefined; header = this.#headerAt(spot)) {
        if (header.index === index) return header;
        spot.offset += recordBytes(header.payloadBytes);
      }
      break;
    }
    throw lost(index);
  }

  /** Undefined: it was recycled since its name was read. */
  #open(generation: number): Spot | undefined {
    const { layer, directory } = this.#place;
    try {
      const file = layer.open(segmentPath(directory, generation), 'read');
      return { generation, file, bytes: file.size(), offset: 0 };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  #headerAt({ generation, file, bytes, offset }: Spot): RecordHeader | undefined {
    if (offset + blockBytes > bytes) return undefined;
    const head = this.#buffer.subarray(0, recordHeaderBytes);
    file.read(head, offset);
    return decodeHeader(head, generation, bytes - offset);
  }

  #unreadable({ generation }: Spot, index: LogIndex): BatonError {
    const { layer, directory } = this.#place;
    const path = segmentPath(directory, generation);
    if (layer.stat(path) === undefined) return lost(index);
    return new BatonError('LOG_DAMAGED', `${path}: entry ${index} is not what its digest says`, {
      hint: 'look at the disk; a restart says what can be recovered',
    });
  }
}

function lost(index: LogIndex): BatonError {
  return new BatonError('HISTORY_LOST', `the log does not hold entry ${index} any more`, {
    hint: 'begin with a snapshot; a larger --retain (retainBytes) keeps more of the log',
  });
}

function diverged(after: Position, found: Position): BatonError {
  return new BatonError(
    'DIVERGED',
    `the follower is at ${formatPosition(after)}, and here is ${formatPosition(found)}: its history is another one`,
    { hint: 'begin with a snapshot' },
  );
}
