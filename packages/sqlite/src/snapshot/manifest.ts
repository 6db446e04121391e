import type { EntryBase } from '@batondb/core/protocol/entry';
import { type Manifest, ManifestBuilder } from '@batondb/core/protocol/manifest';
import type { StateRecord } from '../machine/state-record.ts';
import { filesOf } from './contents.ts';

/** The name of the transferred directory at its source. Where it is received it has another one. */
const rootName = 'snapshot';
const idMask = (1n << 63n) - 1n;

/**
 * A snapshot as a tree to be transferred. A file's identity follows from its content alone: a database that nobody has written to between two
 * snapshots is not sent again when the first one broke off.
 */
export function manifestOf(record: StateRecord, state: Uint8Array): Manifest {
  const builder = new ManifestBuilder();
  builder.add({ ...entryBase(rootName, 0o700), parent: -1, kind: 'directory' });
  const history = BigInt(`0x${record.logId.slice(0, 16)}`) & idMask;
  for (const { name, bytes, database } of filesOf(record, state)) {
    const identity =
      database === undefined
        ? { device: history, inode: 0n, changeTimeNs: BigInt(record.position.index) }
        : { device: history, inode: BigInt(database.id), changeTimeNs: database.checksum & idMask };
    builder.add({
      ...entryBase(name, 0o600),
      parent: 0,
      kind: 'file',
      sizeBytes: bytes,
      modifyTimeNs: BigInt(database?.sequence ?? record.position.epoch),
      identity,
      extents: undefined,
    });
  }
  return builder.finish();
}

/** Root's numbers: who receives as root owns what it receives, and who does not cannot give it away. */
function entryBase(name: string, mode: number): Omit<EntryBase, 'parent'> {
  return { name: Buffer.from(name), mode, uid: 0, gid: 0, modifyTimeNs: 0n, accessTimeNs: 0n, xattrs: [] };
}
