import type { LayerFile } from './file-layer.ts';
import type { LogIndex } from './log.ts';
import { blockBytes, decodeHeader, isIntact, type RecordHeader, recordBytes } from './record.ts';

// What lies in segments after a crash. Unsynced writes reach a disk in any order, so good records may lie behind bad ones.

/** A record that is intact, and where it begins. */
export type FoundRecord = RecordHeader & { readonly offset: number };

/** Every intact record of a segment, also behind what is bad, in the order of offsets. */
export function scanSegment(file: LayerFile, generation: number): FoundRecord[] {
  const found: FoundRecord[] = [];
  const segmentBytes = file.size();
  const block = Buffer.alloc(blockBytes);
  for (let offset = 0; offset + blockBytes <= segmentBytes; ) {
    file.read(block, offset);
    const header = decodeHeader(block, generation, segmentBytes - offset);
    if (header === undefined || !isRecordIntact(file, offset, header)) {
      offset += blockBytes;
      continue;
    }
    found.push({ ...header, offset });
    offset += recordBytes(header.payloadBytes);
  }
  return found;
}

function isRecordIntact(file: LayerFile, offset: number, { payloadBytes }: RecordHeader): boolean {
  const record = Buffer.allocUnsafe(recordBytes(payloadBytes));
  return file.read(record, offset) === record.length && isIntact(record, payloadBytes);
}

/** What records mean. */
export type Judgement = {
  /** The log: records without a hole between them. */
  readonly kept: readonly FoundRecord[];
  /** Intact records behind a bad one. Nobody was told that they last; they have to be erased before something is added. */
  readonly strays: readonly FoundRecord[];
  /** Entries that were on the disk once and are not readable now: the first, and the last one known of. */
  readonly lost: { readonly from: LogIndex; readonly through: LogIndex } | undefined;
};

/**
 * Judges the records of all segments, in the order of generations and offsets. What is bad at or below the highest `syncedThrough` is
 * corruption; what is bad above it is a torn tail (L3). Holes below `checkpoint` do not matter: the databases hold those entries.
 */
export function judge(records: readonly FoundRecord[], checkpoint: LogIndex): Judgement {
  let kept: FoundRecord[] = [];
  let strays: readonly FoundRecord[] = [];
  for (const [position, record] of records.entries()) {
    const last = kept.at(-1);
    if (last === undefined ? record.index <= checkpoint + 1 : record.index === last.index + 1) {
      kept.push(record);
    } else if (record.index <= checkpoint + 1) {
      kept = [record];
    } else {
      strays = records.slice(position);
      break;
    }
  }
  const end = Math.max(checkpoint, kept.at(-1)?.index ?? 0);
  const synced = records.reduce((highest, { syncedThrough }) => Math.max(highest, syncedThrough), 0);
  return { kept, strays, lost: synced > end ? { from: end + 1, through: synced } : undefined };
}
