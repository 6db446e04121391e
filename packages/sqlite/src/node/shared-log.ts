import { BatonError } from '@batondb/core/errors';
import { limits } from '../limits.ts';
import { EtcdLog } from '../log/etcd-log.ts';
import type { EtcdLogPlan } from '../log/etcd-settings.ts';
import type { FileLayer } from '../log/file-layer.ts';
import { LocalCopy } from '../log/local-copy.ts';
import { segmentPath } from '../log/segment-files.ts';
import { Paths } from '../machine/paths.ts';
import { readState, writeState } from '../machine/state-record.ts';
import type { OpenedLog, OpenLog } from './opened-log.ts';
import { checkRole, isNew } from './role.ts';

/** A log that is in etcd, for the writing side of one of its nodes. */
type Directory = {
  readonly directory: string;
  readonly adopt: readonly string[];
  readonly layer: FileLayer;
  readonly gate: SharedArrayBuffer;
};

/**
 * Connects a directory to the log of a plan, which is made for a new directory if it is not there. Afterwards the directory's record names the log, so
 * that no other one is ever taken for it. Throws what `EtcdLog.open` throws; USAGE when files are to be adopted.
 */
export async function openSharedLog(
  plan: EtcdLogPlan,
  given: Directory,
): Promise<{ readonly log: EtcdLog; readonly open: OpenLog }> {
  const { directory, adopt, layer, gate } = given;
  if (adopt.length > 0) {
    throw new BatonError(
      'USAGE',
      `${adopt.join(', ')}: a changed file is adopted by one node, and the log at ${plan.address} has several`,
      {
        hint: 'move the file away, and load it into the database',
      },
    );
  }
  const paths = new Paths(directory);
  layer.makeDirectory(paths.own);
  const record = readState(layer, paths);
  checkRole(record, { kind: 'share', plan }, directory);
  const { log, logId } = await EtcdLog.open(plan, gate, {
    ...record.position,
    logId: record.logId,
    isNew: isNew(record),
  });
  if (record.logId !== logId || record.follows !== plan.address)
    writeState(layer, paths, { ...record, logId, follows: plan.address });
  return { log, open: (...args) => openCopy(log, ...args) };
}

function openCopy(log: EtcdLog, ...[layer, paths, { index }, settings]: Parameters<OpenLog>): OpenedLog {
  const { segmentBytes, retainBytes } = settings;
  const copy = LocalCopy.open({ layer, directory: paths.log, checkpoint: index, segmentBytes, retainBytes });
  return {
    log,
    places: copy,
    entryBytesMax: limits.etcdEntryBytesMax,
    pathOf: (file) => segmentPath(paths.log, file),
    bytes: () => copy.bytes,
    prepare: async () => {
      await copy.prepareNext();
      await log.maintain();
    },
    backedUp: (through) => log.backedUp(through),
    resign: () => log[Symbol.asyncDispose](),
    close: () => {
      copy.close();
      return Promise.resolve();
    },
  };
}
