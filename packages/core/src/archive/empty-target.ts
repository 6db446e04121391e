import { BatonError } from '../errors.ts';
import { printable } from '../files/names.ts';
import { listDirectory } from '../files/open.ts';
import { noteName, type StagingJob, stagingName } from '../transfer/staging-names.ts';
import { isAt, type Moves } from './moves.ts';

/** A file system's own, at its top. */
const lostAndFound = Buffer.from('lost+found');

/**
 * The first thing in an open target directory that is neither the file system's, nor this copy's, nor on its way by `moves`. What
 * other copies have there counts: two archives are not mixed.
 */
export function occupantOf(target: number, job: StagingJob, moves: Moves | undefined): Uint8Array | undefined {
  const ours = [lostAndFound, stagingName(job), noteName(job)].map((name) => Buffer.from(name));
  const moved = new Map(moves?.moves.map((move) => [Buffer.from(move.name).toString('latin1'), move]));
  return listDirectory(target, () => 'the target directory').find((name) => {
    if (ours.some((own) => own.equals(name))) return false;
    const move = moved.get(Buffer.from(name).toString('latin1'));
    return move === undefined || !isAt(target, move);
  });
}

/** Says that a directory is not empty. */
export function notEmpty(directory: string, occupant: Uint8Array): BatonError {
  return new BatonError('EXISTS', `${directory} is not empty: it has ${printable(occupant)}`, {
    hint: 'an archive is unpacked into an empty directory only: choose another one, or move that away (leftovers of copies: baton copy clean DIR)',
  });
}
