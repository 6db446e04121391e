import type { FileLayer } from '../log/file-layer.ts';
import { FileLog } from '../log/file-log.ts';
import { LocalCopy } from '../log/local-copy.ts';
import type { Epoch, LogIndex, ReplicatedLog } from '../log/log.ts';
import { segmentPath } from '../log/segment-files.ts';
import type { PayloadPlaces } from '../machine/machine.ts';
import type { Paths } from '../machine/paths.ts';
import { FollowedLog } from '../replica/followed-log.ts';
import type { NodeSettings } from './options.ts';

/** A log, and where the payloads of its entries can be read again. */
export type OpenedLog = {
  readonly log: ReplicatedLog;
  readonly places: PayloadPlaces;
  readonly pathOf: (file: number) => string;
  readonly bytes: () => number;
  /** Makes what will be needed next, while nobody waits for it. */
  readonly prepare: () => Promise<void>;
  /** Bound of an entry, if it is lower than others. */
  readonly entryBytesMax?: number;
  /** Backups hold everything through an index: for a log that keeps what is in none yet, since others may need it. */
  readonly backedUp?: (through: LogIndex) => void;
  /** Lets another node lead: before all else that a stop does. */
  readonly resign?: () => Promise<void>;
  readonly close: () => Promise<void>;
};

/** Opens a log for a directory whose databases hold everything through a checkpoint. */
export type OpenLog = (
  layer: FileLayer,
  paths: Paths,
  checkpoint: { readonly index: LogIndex; readonly epoch: Epoch },
  settings: NodeSettings,
) => OpenedLog;

/** The log that a node has unless it is told otherwise. */
export function openFileLog(
  layer: FileLayer,
  paths: Paths,
  { index, epoch }: { readonly index: LogIndex; readonly epoch: Epoch },
  { segmentBytes, retainBytes }: NodeSettings,
): OpenedLog {
  const log = FileLog.open({ layer, directory: paths.log, checkpoint: index, epoch, segmentBytes, retainBytes });
  const places = {
    reserve: () => undefined,
    place: (entry: { readonly index: LogIndex }) => log.place(entry.index),
    forget: () => undefined,
  };
  return {
    log,
    places,
    pathOf: (file) => segmentPath(paths.log, file),
    bytes: () => log.bytes,
    prepare: () => log.prepareNext(),
    close: () => log[Symbol.asyncDispose](),
  };
}

/** A copy of the leader's log, as far as it is not in the databases' files. */
export function openFollowedLog(
  layer: FileLayer,
  paths: Paths,
  { index }: { readonly index: LogIndex },
  { segmentBytes, retainBytes }: NodeSettings,
): OpenedLog {
  const copy = LocalCopy.open({ layer, directory: paths.log, checkpoint: index, segmentBytes, retainBytes });
  const log = new FollowedLog(copy);
  return {
    log,
    places: copy,
    pathOf: (file) => segmentPath(paths.log, file),
    bytes: () => copy.bytes,
    prepare: () => copy.prepareNext(),
    close: () => log[Symbol.asyncDispose](),
  };
}
