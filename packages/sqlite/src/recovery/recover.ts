import { constants, copyFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { BatonError } from '@batondb/core/errors';
import { type FileLayer, nodeFileLayer } from '../log/file-layer.ts';
import { eraseRecord } from '../log/segment-records.ts';
import { Paths } from '../machine/paths.ts';
import { formatPosition } from '../machine/position.ts';
import { forkHistory, writeState } from '../machine/state-record.ts';
import { lockNodeDirectory } from '../node/lock.ts';
import { inspect, type LogReport, requireNodeDirectory } from './check.ts';

/** What recovery did, or would do. */
export type Recovery = {
  readonly report: LogReport;
  /** Where a copy of everything that was changed is kept; undefined: nothing had to be changed. */
  readonly keptAt?: string;
};

export type RecoverOptions = {
  /** Say what would be done, and do nothing. */
  readonly dryRun: boolean;
  /** A name for what is kept, such as the time. */
  readonly stamp: string;
};

/**
 * Cuts a damaged log at its first entry that cannot be read or applied, so that a node starts again at the position before it. The log gets a
 * new name, since its history is another one from there on: replicas begin again. Of every file that is changed a copy is kept first.
 * May run again after a crash at any moment (F1). Throws LOG_DAMAGED when the databases' files are not one state without what is lost, and
 * USAGE for a directory that follows another one.
 */
export function recoverLog(directory: string, { dryRun, stamp }: RecoverOptions): Recovery {
  const path = resolve(directory);
  requireNodeDirectory(path);
  using _lock = lockNodeDirectory(path);
  const { report, record } = inspect(path);
  requireHope(report);
  if (report.verdict !== 'damaged') return { report };
  const layer = nodeFileLayer;
  const paths = new Paths(path);
  const keptAt = join(paths.own, `before-recovery-${stamp}`);
  if (dryRun) return { report, keptAt };
  keep(layer, paths, report, keptAt);
  // The name comes first: were the log cut before a crash and not renamed, replicas would take it for the old one.
  writeState(layer, paths, forkHistory(record));
  for (const found of report.cut) eraseRecord(layer, paths.log, found);
  return { report, keptAt };
}

function requireHope({ directory, verdict, follows, recoverable }: LogReport): void {
  if (follows !== undefined) {
    throw new BatonError('USAGE', `${directory} follows ${follows}, and the log that counts is there`, {
      hint: 'start it with --follow, and it takes what is missing from there',
    });
  }
  if (verdict !== 'hopeless') return;
  const where = formatPosition(recoverable);
  throw new BatonError(
    'LOG_DAMAGED',
    `${directory}: the log can be read through ${where}, and the databases' files hold parts of what comes after it`,
    { hint: 'restore a backup' },
  );
}

/** Copies whole files: whoever looks at them later has everything that was there. */
function keep(layer: FileLayer, paths: Paths, { segments }: LogReport, keptAt: string): void {
  layer.makeDirectory(keptAt);
  for (const path of [paths.state, ...segments.map((segment) => segment.path)]) {
    const copy = join(keptAt, basename(path));
    copyFileSync(path, copy, constants.COPYFILE_FICLONE);
    const file = layer.open(copy, 'read');
    try {
      file.sync();
    } finally {
      file.close();
    }
  }
  layer.syncDirectory(keptAt);
  layer.syncDirectory(paths.own);
}
