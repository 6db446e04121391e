import { check, errnos, unlinkat } from '@batondb/core/files/libc';
import { syncDirectory } from '@batondb/core/files/publish';
import { tryStatAt } from '@batondb/core/files/stat';
import { textToBytes } from '@batondb/core/text/bytes';
import { isClusterUuid, readGrastate } from './grastate.ts';
import { limits } from './limits.ts';
import { readSmallFile, replaceSmallFile } from './small-file.ts';
import { type Staging, savedStateName } from './staging.ts';

// What a data directory's position was before the server forgot it: it writes zeros into grastate.dat as soon as a transfer is asked for.
// Kept in the staging directory, so that a failed transfer leaves a node that needs no whole transfer (G8).

const formatVersion = 1;

/** A position that may be written back if InnoDB says the same. */
export type SavedState = {
  readonly uuid: string;
  /** As InnoDB has to recover it, too; -1 where nobody knew it. */
  readonly seqno: string;
  /** Whose position it is: of the data from before a transfer, or of new data whose swap was cut short. */
  readonly of: 'old data' | 'new data';
  /** Inode of the system tablespace's first file, `0` when it lies elsewhere: a saved position does not outlive the data it speaks of. */
  readonly inode: string;
};

/**
 * Saves the position that grastate.dat has now; to be called before `ready`. When the server has already forgotten it, what an earlier attempt
 * saved of the same data stays. `startPosition`: the server's `--wsrep_start_position`, which has the seqno after a crash. Returns what is saved; undefined
 * when nothing is known. It must be forgotten when the transfer ends well: Galera writes zeros also to mark data that is not to be trusted. Throws
 * NO_SPACE, NO_PERMISSION.
 */
export function saveState(staging: Staging, startPosition?: string): SavedState | undefined {
  const state = readGrastate(staging.dataDirectory);
  if (state === undefined || !isClusterUuid(state.uuid)) {
    const saved = readSavedState(staging);
    if (saved === undefined) forgetState(staging);
    return saved;
  }
  const [uuid, started = '-1'] = (startPosition ?? '').split(':');
  const known = uuid === state.uuid && /^\d{1,19}$/.test(started) ? started : '-1';
  const seqno = state.seqno >= 0n ? String(state.seqno) : known;
  return writeSavedState(staging, { uuid: state.uuid, seqno, of: 'old data' });
}

/** Saves a position of the data that is in place. */
export function writeSavedState(staging: Staging, state: Omit<SavedState, 'inode'>): SavedState {
  const saved = { ...state, inode: inodeNow(staging) };
  const text = `${JSON.stringify({ format: formatVersion, ...saved })}\n`;
  replaceSmallFile(staging.descriptor, savedStateName, text, { ...staging.owner, mode: 0o600 });
  return saved;
}

/** What was saved of the data that is in place; undefined when nothing was, when it speaks of other data, or cannot be read. */
export function readSavedState(staging: Staging): SavedState | undefined {
  const text = readSmallFile(staging.descriptor, savedStateName, limits.grastateBytesMax);
  const saved = text === undefined ? undefined : parse(text);
  return saved !== undefined && saved.inode === inodeNow(staging) ? saved : undefined;
}

/** From here on no position is written back. It is on the disk when this returns. Throws SystemError. */
export function forgetState(staging: Staging): void {
  const result = unlinkat(staging.descriptor, textToBytes(savedStateName));
  if (result === -errnos.ENOENT) return;
  check(result, 'unlinkat', () => savedStateName);
  syncDirectory(staging.descriptor);
}

function inodeNow(staging: Staging): string {
  const found = tryStatAt(staging.top, textToBytes('ibdata1'));
  return typeof found === 'number' ? '0' : String(found.inode);
}

/** What cannot be read is as good as nothing: a position that is lost costs a transfer, one that is wrong costs data. */
function parse(text: string): SavedState | undefined {
  try {
    const { format, uuid, seqno, of, inode } = JSON.parse(text) as SavedState & { readonly format: number };
    if (format !== formatVersion || !isClusterUuid(uuid)) return undefined;
    return { uuid, seqno, of, inode };
  } catch {
    return undefined;
  }
}
