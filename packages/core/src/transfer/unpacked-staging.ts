import { notEmpty, occupantOf } from '../archive/empty-target.ts';
import { type Moves, readMoves } from '../archive/moves.ts';
import { close, flags, openat } from '../files/libc.ts';
import { listDirectory } from '../files/open.ts';
import { removeTree } from '../files/remove.ts';
import { tryStatAt } from '../files/stat.ts';
import { type PublishedCopy, readNote, writeNote } from './published-note.ts';
import { peekStaging, type StagingPeek } from './staging.ts';
import { noteName, type StagingJob, stagingName } from './staging-names.ts';
import type { WorkerPool } from './worker-pool.ts';

// The staging directory of an archive that is unpacked: as Staging, but what is published is not one thing with the copy's name. It
// holds `unpacked` beside `tree`, and `moves` once that is on its way into the target directory. The note of a copy that is done
// speaks of one entry of the archive's top.

/** What a look at it tells, without changing anything. */
export type UnpackedPeek = StagingPeek & {
  /** What has to go before the archive can be unpacked: EXISTS. */
  readonly occupied: Error | undefined;
};

/** Looks at what an earlier run of the same copy left in an open target directory. `directory`: its path for people. */
export async function peekUnpacked(
  target: number,
  directory: string,
  job: StagingJob,
  pool: WorkerPool,
): Promise<UnpackedPeek> {
  const staged = await peekStaging(target, job, pool);
  if (staged.error !== undefined) return { ...staged, isPublished: false, occupied: undefined };
  if (findUnpacked(target, job) !== undefined) return { ...staged, isPublished: true, occupied: undefined };
  const moves = peekMoves(target, job);
  const occupant = occupantOf(target, job, moves);
  const occupied = occupant === undefined ? undefined : notEmpty(directory, occupant);
  return { ...staged, isPublished: moves !== undefined, occupied };
}

/** What an earlier run was about to move into the target directory. */
export function peekMoves(target: number, job: StagingJob): Moves | undefined {
  const staging = openat(target, stagingName(job), flags.O_RDONLY | flags.O_DIRECTORY | flags.O_NOFOLLOW);
  if (staging < 0) return undefined;
  try {
    return readMoves(staging);
  } finally {
    close(staging);
  }
}

/** What an earlier run has unpacked, by its note, if it is still there. */
export function findUnpacked(target: number, job: StagingJob): PublishedCopy | undefined {
  const said = readNote(target, noteName(job));
  if (said === undefined) return undefined;
  const names = listDirectory(target, () => 'the target directory');
  const isThere = names.some((name) => {
    const found = tryStatAt(target, name);
    return typeof found !== 'number' && found.inode === said.inode && found.device === said.device;
  });
  return isThere ? said : undefined;
}

/** Leaves a note that the archive is unpacked in place of the staging directory. Throws SystemError, BUSY. */
export function replaceByNote(target: number, job: StagingJob, published: PublishedCopy): void {
  writeNote(target, noteName(job), published);
  removeTree(target, stagingName(job));
}
