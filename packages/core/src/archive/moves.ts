import { BatonError } from '../errors.ts';
import {
  check,
  close,
  errnos,
  flags,
  fsync,
  ftruncate,
  openat,
  pread,
  pwrite,
  renameat2,
  SystemError,
} from '../files/libc.ts';
import { printable } from '../files/names.ts';
import type { NotKept } from '../files/not-kept.ts';
import { chmodAt, openOwnDirectory } from '../files/open.ts';
import { renameNoReplace, syncDirectory } from '../files/publish.ts';
import { statDescriptor, tryStatAt } from '../files/stat.ts';

// How an unpacked archive gets to its place: by one rename for each entry of its top, in the order of their names. What will be
// moved is written down before, with inodes, so that whoever is killed in between is followed by one who goes on (U2).

/** The note in a staging directory that says what is being moved. */
const movesName = Buffer.from('moves');
const newMovesName = Buffer.from('moves.new');
/** Where the archive is unpacked to, in its staging directory. */
export const unpackedName: Uint8Array = Buffer.from('unpacked');
const formatVersion = 1;
/** Some millions of names in one directory. */
const bytesMax = 512 * 1024 * 1024;

/** One entry of the archive's top. */
export type Move = {
  readonly name: Uint8Array;
  readonly inode: bigint;
  readonly mode: number;
  readonly isDirectory: boolean;
};

/** What was unpacked, for the summary. */
export type UnpackedCount = {
  readonly entries: number;
  readonly files: number;
  /** Content of files, without holes. */
  readonly contentBytes: number;
  /** Members that have no name without their first component. */
  readonly skipped: number;
};

/** All that is moved, and of what it is the content. */
export type Moves = {
  readonly manifestDigest: string;
  readonly treeDigest: string;
  readonly count: UnpackedCount;
  readonly notKept: readonly NotKept[];
  readonly moves: readonly Move[];
};

/** Writes the note, all of it or nothing: from here on the archive is on its way. Throws SystemError. */
export function writeMoves(staging: number, { moves, ...rest }: Moves): void {
  const listed = moves.map(({ name, inode, mode, isDirectory }) => {
    return [Buffer.from(name).toString('base64'), String(inode), mode, isDirectory];
  });
  const text = Buffer.from(JSON.stringify({ formatVersion, ...rest, moves: listed }));
  const openFlags = flags.O_RDWR | flags.O_CREAT | flags.O_NOFOLLOW;
  const descriptor = check(openat(staging, newMovesName, openFlags, 0o600), 'openat', () => 'moves.new');
  try {
    check(ftruncate(descriptor, 0), 'ftruncate', () => 'moves.new');
    check(pwrite(descriptor, text, 0), 'pwrite', () => 'moves.new');
    check(fsync(descriptor), 'fsync', () => 'moves.new');
  } finally {
    close(descriptor);
  }
  check(renameat2(staging, newMovesName, staging, movesName, 0), 'renameat2', () => 'moves');
  syncDirectory(staging);
}

/** Reads the note in an open staging directory; undefined when nothing is on its way. Throws STAGING_DAMAGED, VERSION_MISMATCH. */
export function readMoves(staging: number): Moves | undefined {
  const descriptor = openat(staging, movesName, flags.O_RDONLY | flags.O_NOFOLLOW);
  if (descriptor === -errnos.ENOENT) return undefined;
  check(descriptor, 'openat', () => 'moves');
  try {
    const { sizeBytes } = statDescriptor(descriptor);
    const text = Buffer.alloc(Math.min(sizeBytes, bytesMax));
    check(pread(descriptor, text, 0), 'pread', () => 'moves');
    return parse(text.toString());
  } finally {
    close(descriptor);
  }
}

function parse(text: string): Moves {
  type Listed = readonly [string, string, number, boolean];
  type Written = Omit<Moves, 'moves'> & { readonly formatVersion: number; readonly moves: readonly Listed[] };
  let written: Written;
  try {
    written = JSON.parse(text) as Written;
    if (written.formatVersion > formatVersion) throw newer(written.formatVersion);
    const moves = written.moves.map(([name, inode, mode, isDirectory]) => {
      return { name: new Uint8Array(Buffer.from(name, 'base64')), inode: BigInt(inode), mode, isDirectory };
    });
    const { manifestDigest, treeDigest, count, notKept } = written;
    return { manifestDigest, treeDigest, count, notKept, moves };
  } catch (error) {
    if (error instanceof BatonError) throw error;
    throw new BatonError('STAGING_DAMAGED', 'the note of what is moved out of the staging directory cannot be read', {
      hint: 'look for disk errors; then empty the target directory and run the same command again',
      cause: error,
    });
  }
}

function newer(version: number): BatonError {
  return new BatonError('VERSION_MISMATCH', `the note of what is moved has format ${version}, and this baton knows 1`, {
    hint: 'continue with the newer baton, or remove it with: baton copy clean DIR',
  });
}

/** Moves what is not moved yet, and makes that last. `directory`: the target's path for people. Throws EXISTS, STAGING_DAMAGED, SystemError. */
export function carryOut(staging: number, target: number, { moves }: Moves, directory: string): void {
  const unpacked = check(openOwnDirectory(staging, unpackedName), 'openat', () => 'unpacked');
  try {
    for (const move of moves) carry(unpacked, target, move, directory);
    for (const descriptor of [target, unpacked, staging]) syncDirectory(descriptor);
  } finally {
    close(unpacked);
  }
}

function carry(unpacked: number, target: number, move: Move, directory: string): void {
  const { name, inode, mode, isDirectory } = move;
  const path = `${directory.replace(/\/$/, '')}/${printable(name)}`;
  const from = tryStatAt(unpacked, name);
  if (typeof from === 'number') {
    if (isAt(target, move)) return closeAgain(target, move);
    throw new BatonError(
      'STAGING_DAMAGED',
      `${path} was unpacked and moved by an earlier run, and is not there any more`,
      {
        hint: 'remove what is there of the archive, with baton copy clean DIR what is left of the copy, and copy again',
      },
    );
  }
  if (from.inode !== inode) throw new Error('U2: what is moved is what was written down');
  // To be moved, a directory has to be writable for its owner, since `..` in it changes.
  const isClosed = isDirectory && (mode & 0o200) === 0 && process.geteuid?.() !== 0;
  if (isClosed) check(chmodAt(unpacked, name, mode | 0o700), 'chmod', () => path);
  try {
    renameNoReplace(unpacked, name, target, name);
  } catch (error) {
    if (isClosed) chmodAt(unpacked, name, mode);
    throw error instanceof SystemError && error.errno === errnos.EEXIST ? taken(path, error) : error;
  }
  closeAgain(target, move);
}

/** Whether the target has what a move speaks of. */
export function isAt(target: number, { name, inode }: Pick<Move, 'name' | 'inode'>): boolean {
  const found = tryStatAt(target, name);
  return typeof found !== 'number' && found.inode === inode;
}

function closeAgain(target: number, { name, mode, isDirectory }: Move): void {
  if (isDirectory && (mode & 0o200) === 0) check(chmodAt(target, name, mode), 'chmod', () => printable(name));
}

function taken(path: string, cause: SystemError): BatonError {
  return new BatonError('EXISTS', `${path} has appeared during the copy, and nothing existing is ever overwritten`, {
    cause,
    hint: 'move it away, and run the same command again: the archive is unpacked but for its place',
  });
}
