import { BatonError } from '../errors.ts';
import { check, close, flags, openat } from '../files/libc.ts';
import { printable } from '../files/names.ts';
import type { NotKept } from '../files/not-kept.ts';
import { chmodAt } from '../files/open.ts';
import { syncFileSystem } from '../files/publish.ts';
import { removeTree } from '../files/remove.ts';
import { statDescriptor, tryStatAt } from '../files/stat.ts';
import type { StagingJob } from '../transfer/staging-names.ts';
import { archiveFormatOf, contentOf } from './decompress.ts';
import { notEmpty, occupantOf } from './empty-target.ts';
import { carryOut, readMoves, type UnpackedCount, unpackedName, writeMoves } from './moves.ts';
import { TarReader } from './tar-reader.ts';
import { listTop } from './top.ts';
import { Unpacker, type UnpackReport } from './unpacker.ts';

/** What is unpacked, and where to. Descriptors belong to the process. */
export type UnpackTask = {
  readonly stagingDescriptor: number;
  readonly targetDescriptor: number;
  /** The target directory, for people. */
  readonly directory: string;
  readonly job: StagingJob;
  /** The archive's name in the staging directory; undefined: only what an earlier run unpacked is moved to its place. */
  readonly archiveName: Uint8Array | undefined;
  /** Digests of the copy of the archive, hexadecimal. */
  readonly manifestDigest: string;
  readonly treeDigest: string;
};

/** How far it is. */
export type UnpackProgress = { readonly readBytes: number; readonly entries: number };

/** What has become of it. */
export type UnpackResult = {
  readonly count: UnpackedCount;
  readonly notKept: readonly NotKept[];
  /** An entry of its top, by which it is found again. */
  readonly inode: bigint;
  readonly manifestDigest: string;
  readonly treeDigest: string;
};

/**
 * Unpacks an archive that lies complete in its staging directory, and moves it into the target directory: U1, nothing of it is there
 * before all of it is unpacked and synced, and only if the directory is empty. What an earlier run had begun to move is moved on
 * instead. Throws BAD_ARCHIVE, EXISTS, NO_SPACE and others; then nothing of what was unpacked is left, unless it was on its way.
 */
export async function unpackArchive(task: UnpackTask, tell: (progress: UnpackProgress) => void): Promise<UnpackResult> {
  const { stagingDescriptor, targetDescriptor, directory, job } = task;
  if (readMoves(stagingDescriptor) === undefined) await unpackAnew(task, tell);
  const moves = readMoves(stagingDescriptor);
  const [first] = moves?.moves ?? [];
  if (moves === undefined || first === undefined) throw new Error('U2: what is moved is written down before');
  const occupant = occupantOf(targetDescriptor, job, moves);
  if (occupant !== undefined) throw notEmpty(directory, occupant);
  carryOut(stagingDescriptor, targetDescriptor, moves, directory);
  const { count, notKept, manifestDigest, treeDigest } = moves;
  return { count, notKept, inode: first.inode, manifestDigest, treeDigest };
}

async function unpackAnew(task: UnpackTask, tell: (progress: UnpackProgress) => void): Promise<void> {
  const { stagingDescriptor, targetDescriptor, directory, job, manifestDigest, treeDigest } = task;
  // Nobody knows how far an earlier run came with it.
  removeTree(stagingDescriptor, unpackedName);
  try {
    const { notKept, ...count } = await unpackFile(task, tell);
    const moves = listTop(stagingDescriptor);
    syncFileSystem(stagingDescriptor);
    const occupant = occupantOf(targetDescriptor, job, undefined);
    if (occupant !== undefined) throw notEmpty(directory, occupant);
    // A file system's own, which does not count as long as the archive has none.
    const taken = moves.find(({ name }) => typeof tryStatAt(targetDescriptor, name) !== 'number');
    if (taken !== undefined) throw notEmpty(directory, taken.name);
    writeMoves(stagingDescriptor, { manifestDigest, treeDigest, count, notKept, moves });
  } catch (error) {
    removeTree(stagingDescriptor, unpackedName);
    throw error;
  }
}

async function unpackFile(task: UnpackTask, tell: (progress: UnpackProgress) => void): Promise<UnpackReport> {
  const { stagingDescriptor, archiveName, job } = task;
  const format = archiveFormatOf(job.name);
  if (format === undefined || archiveName === undefined)
    throw new BatonError('UNSUPPORTED', `${printable(job.name)} is no archive that can be unpacked`);
  // It has its mode from the source by now, which may keep its own owner out.
  check(chmodAt(stagingDescriptor, archiveName, 0o600), 'chmod', () => printable(job.name));
  const openFlags = flags.O_RDONLY | flags.O_NOFOLLOW;
  const descriptor = check(openat(stagingDescriptor, archiveName, openFlags), 'openat', () => printable(job.name));
  try {
    using unpacker = new Unpacker(stagingDescriptor, unpackedName);
    const reader = new TarReader();
    const { sizeBytes } = statDescriptor(descriptor);
    let readBytes = 0;
    const onRead = (bytes: number): void => {
      readBytes += bytes;
      tell({ readBytes, entries: unpacker.entries });
    };
    for await (const chunk of contentOf({ descriptor, sizeBytes, format }, onRead))
      for (const event of reader.feed(chunk)) unpacker.take(event);
    reader.finish();
    return unpacker.finish();
  } finally {
    close(descriptor);
  }
}
