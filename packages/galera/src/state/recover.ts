import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { toBatonError } from '@batondb/core/files/system-error';
import { checkNotInUse } from '@batondb/mariadb';
import { noUuid, readGrastate, writeGrastate } from './grastate.ts';
import { progressMarkName } from './names.ts';
import { type RecoverCommand, recoverPosition } from './recovered-position.ts';
import { forgetState, readSavedState, type SavedState } from './saved-state.ts';
import { type Settled, settle } from './settle.ts';
import { openStaging, type Staging, savedStateName } from './staging.ts';

export type RecoverOptions = {
  readonly dataDirectory: string;
  /** How InnoDB is asked for its position: only when there is one to write back. */
  readonly command: RecoverCommand;
};

/** What became of the node's position. */
export type PositionReport =
  /** No earlier one was saved. */
  | { readonly kind: 'none' }
  /** grastate.dat has one, so the server never gave it up. */
  | { readonly kind: 'kept'; readonly uuid: string }
  /** Written back: the node can take an incremental transfer. */
  | { readonly kind: 'restored'; readonly uuid: string; readonly seqno: bigint; readonly of: SavedState['of'] }
  /** Not written back: the node takes a whole transfer. */
  | { readonly kind: 'refused'; readonly saved: string; readonly recovered: string };

/** What `recover` found and did. */
export type RecoverReport = { readonly swap: Settled; readonly position: PositionReport };

/**
 * Brings a data directory into order before its server starts: ends a swap that was cut short, then writes the old position back into grastate.dat if the
 * server has forgotten it, nothing of the data was touched, and InnoDB recovers the same (G8). Does nothing where no transfer has left anything. Can be
 * killed and repeated. Throws IN_USE (a server runs on it), BUSY (a transfer is at work), STAGING_DAMAGED, CHILD_FAILED, NO_PERMISSION.
 */
export async function recover({ dataDirectory, command }: RecoverOptions, signal: AbortSignal): Promise<RecoverReport> {
  using staging = openStaging(dataDirectory, { make: false });
  if (staging === undefined) return { swap: 'nothing', position: { kind: 'none' } };
  await checkNotInUse(staging.dataDirectory);
  signal.throwIfAborted();
  // Of a transfer that was killed with all beside it: health checks would go on sparing this node.
  rmSync(join(staging.dataDirectory, progressMarkName), { force: true });
  const swap = settleNamed(staging);
  // What a failed transfer had received is of no use to the next one, and takes the room that a server needs.
  staging.empty([savedStateName]);
  const position = await restorePosition(staging, command, signal);
  if (readSavedState(staging) === undefined) staging.remove();
  return { swap, position };
}

function settleNamed(staging: Staging): Settled {
  try {
    return settle(staging);
  } catch (error) {
    throw toBatonError(error, { path: staging.path });
  }
}

async function restorePosition(
  staging: Staging,
  command: RecoverCommand,
  signal: AbortSignal,
): Promise<PositionReport> {
  const saved = readSavedState(staging);
  if (saved === undefined) return { kind: 'none' };
  const now = readGrastate(staging.dataDirectory);
  if (now !== undefined && now.uuid !== noUuid) {
    forgetState(staging);
    return { kind: 'kept', uuid: now.uuid };
  }
  const recovered = await recoverPosition(command, signal);
  if (recovered === undefined || recovered.uuid !== saved.uuid || !isSameSeqno(saved, recovered.seqno)) {
    // It stays: with Galera switched on for the next start, InnoDB may yet tell.
    const found = recovered === undefined ? 'none, Galera is switched off' : `${recovered.uuid}:${recovered.seqno}`;
    if (recovered !== undefined) forgetState(staging);
    return { kind: 'refused', saved: `${saved.uuid}:${saved.seqno}`, recovered: found };
  }
  // InnoDB knows the seqno; -1 has the server ask it.
  writeGrastate(staging.dataDirectory, { uuid: saved.uuid, seqno: -1n, safeToBootstrap: false });
  forgetState(staging);
  return { kind: 'restored', uuid: recovered.uuid, seqno: recovered.seqno, of: saved.of };
}

/** Whether nothing was applied since: a server that has run on the old data knew its position by itself, and may have had a reason to give it up. */
function isSameSeqno({ of, seqno }: SavedState, recovered: bigint): boolean {
  return of === 'new data' || seqno === '-1' || BigInt(seqno) === recovered;
}
