import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { BatonError } from '@batondb/core/errors';
import { type FileLayer, nodeFileLayer } from '../log/file-layer.ts';
import { recordHeaderBytes } from '../log/record.ts';
import { type FoundRecord, judge } from '../log/scan.ts';
import { segmentNumbers, segmentPath } from '../log/segment-files.ts';
import { readRecords } from '../log/segment-records.ts';
import { Paths } from '../machine/paths.ts';
import type { Position } from '../machine/position.ts';
import { decodeState, type StateRecord } from '../machine/state-record.ts';
import { lockNodeDirectory } from '../node/lock.ts';
import { type DatabaseOutlook, Replay } from './replay.ts';

// What lies in the log of a directory, told without changing anything: a start makes the same judgement, and refuses what is damaged.

/** One file of the log. */
export type SegmentReport = {
  readonly path: string;
  readonly generation: number;
  /** When it was last written, milliseconds of Unix time. */
  readonly modifiedMs: number;
  /** Intact records, and the first and last entry in them. */
  readonly records: number;
  readonly first?: number;
  readonly last?: number;
};

/**
 * `whole`: everything can be read. `torn`: something at the end was never acknowledged; a start cuts it off. `damaged`: entries are lost that
 * somebody was told of. `hopeless`: they are lost, and the databases' files are not one state without them.
 */
export type Verdict = 'whole' | 'torn' | 'damaged' | 'hopeless';

export type LogReport = {
  readonly directory: string;
  readonly verdict: Verdict;
  readonly logId: string;
  /** Whom the directory follows: then the log that counts is there. */
  readonly follows?: string;
  /** Through which entry the databases' own files hold everything. */
  readonly checkpoint: Position;
  /** Through which entry everything can be read. */
  readonly recoverable: Position;
  readonly segments: readonly SegmentReport[];
  /** Entries that were on the disk and cannot be read; the last one that is known of. */
  readonly lost?: { readonly from: number; readonly through: number };
  /** Why the entry after `recoverable` cannot be applied though it can be read. */
  readonly reason?: string;
  /** Intact entries behind what cannot be read: of no use without it. */
  readonly cut: readonly FoundRecord[];
  /** The databases at `recoverable`. */
  readonly databases: readonly DatabaseOutlook[];
};

/** Looks at the log of a directory that no node has in use. Throws NOT_FOUND, IN_USE; LOG_DAMAGED when even the checkpoint record is. */
export function checkLog(directory: string): LogReport {
  const path = resolve(directory);
  requireNodeDirectory(path);
  using _lock = lockNodeDirectory(path);
  return inspect(path).report;
}

/** Throws NOT_FOUND. Taking the lock of a directory would make it. */
export function requireNodeDirectory(path: string): void {
  if (nodeFileLayer.stat(new Paths(path).state) !== undefined) return;
  throw new BatonError('NOT_FOUND', `${path} is not the directory of a node: it has no .baton/state`, {
    hint: 'name the directory that baton sqlite serve was given',
  });
}

/** The report, and the checkpoint record that it stands on. The caller holds the lock. */
export function inspect(directory: string): { readonly report: LogReport; readonly record: StateRecord } {
  const layer = nodeFileLayer;
  const paths = new Paths(directory);
  const record = decodeState(readAll(layer, paths.state), paths.state);
  const generations = layer.stat(paths.log) === undefined ? [] : segmentNumbers(layer, paths.log);
  const scanned = generations.map((generation) => ({ generation, records: readRecords(layer, paths.log, generation) }));
  const { kept, strays, lost } = judge(
    scanned.flatMap(({ records }) => records),
    record.position.index,
  );
  const { applied, refused, reason, databases } = replay(layer, paths.log, record, kept);
  const recoverable = applied.at(-1) ?? record.position;
  const isSound = recoverable.index >= (record.foldingThrough?.index ?? 0);
  const isLost = lost !== undefined || reason !== undefined;
  const cut = [...refused, ...strays];
  return {
    record,
    report: {
      directory,
      verdict: !isSound ? 'hopeless' : isLost ? 'damaged' : cut.length > 0 ? 'torn' : 'whole',
      logId: record.logId,
      ...(record.follows === undefined ? {} : { follows: record.follows }),
      checkpoint: record.position,
      recoverable: { epoch: recoverable.epoch, index: recoverable.index },
      segments: scanned.map(({ generation, records }) => describeSegment(paths.log, generation, records)),
      ...(lost === undefined ? {} : { lost }),
      ...(reason === undefined ? {} : { reason }),
      cut,
      databases,
    },
  };
}

type Replayed = {
  readonly applied: readonly FoundRecord[];
  readonly refused: readonly FoundRecord[];
  readonly reason?: string;
  readonly databases: readonly DatabaseOutlook[];
};

/** Follows what can be read from the checkpoint on, up to the first entry that does not follow. */
function replay(layer: FileLayer, directory: string, record: StateRecord, kept: readonly FoundRecord[]): Replayed {
  const after = kept.filter(({ index }) => index > record.position.index);
  const followed = new Replay(record);
  for (const [position, found] of after.entries()) {
    const reason = followed.take({ ...found, payload: readPayload(layer, directory, found) });
    if (reason === undefined) continue;
    const [applied, refused] = [after.slice(0, position), after.slice(position)];
    return { applied, refused, reason, databases: followed.databases };
  }
  return { applied: after, refused: [], databases: followed.databases };
}

function describeSegment(directory: string, generation: number, records: readonly FoundRecord[]): SegmentReport {
  const path = segmentPath(directory, generation);
  const [first, last] = [records[0], records.at(-1)];
  return {
    path,
    generation,
    modifiedMs: Math.round(statSync(path).mtimeMs),
    records: records.length,
    ...(first === undefined ? {} : { first: first.index }),
    ...(last === undefined ? {} : { last: last.index }),
  };
}

function readPayload(layer: FileLayer, directory: string, { generation, offset, payloadBytes }: FoundRecord): Buffer {
  const file = layer.open(segmentPath(directory, generation), 'read');
  try {
    const payload = Buffer.alloc(payloadBytes);
    file.read(payload, offset + recordHeaderBytes);
    return payload;
  } finally {
    file.close();
  }
}

function readAll(layer: FileLayer, path: string): Buffer {
  const file = layer.open(path, 'read');
  try {
    const bytes = Buffer.alloc(file.size());
    file.read(bytes, 0);
    return bytes;
  } finally {
    file.close();
  }
}
