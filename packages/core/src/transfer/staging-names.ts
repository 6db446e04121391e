import { blake3 } from '@napi-rs/blake-hash';

// The names of what a copy has in its target directory until it is done, beside the copy itself.

/** What is copied, and to which name. */
export type StagingJob = {
  /** The source as the user wrote it. */
  readonly source: string;
  /** The final name, one component. */
  readonly name: Uint8Array;
  /** It is an archive, unpacked at the target: another copy than that of the file itself. */
  readonly unpacks?: true;
  /** It takes the place of what has the name. The same copy otherwise: what a run of one kind left, the other goes on with. */
  readonly updates?: true;
};

type Ending = 'partial' | 'published';
const stagingPattern = /^\.baton-[0-9a-f]{16}\.(partial|published)$/;

/** The name of a copy's staging directory. */
export function stagingName(job: StagingJob): Uint8Array {
  return nameWith(job, 'partial');
}

/** The name of the note that a copy leaves while its staging directory is removed (published-note.ts). */
export function noteName(job: StagingJob): Uint8Array {
  return nameWith(job, 'published');
}

function nameWith(job: StagingJob, ending: Ending): Uint8Array {
  const how = Buffer.from(job.unpacks === true ? '\0unpack' : '');
  const key = blake3(Buffer.concat([Buffer.from(job.source), Buffer.of(0), job.name, how]));
  return Buffer.from(`.baton-${key.toString('hex', 0, 8)}.${ending}`);
}

/** Whether a name is that of a staging directory, or of the note that a copy leaves while it removes its own. */
export function isStagingName(name: Uint8Array): boolean {
  return stagingPattern.test(Buffer.from(name).toString('latin1'));
}

/** What copies have left, out of the names in a directory: one name for each copy, in their order. */
export function stagingNames(names: readonly Uint8Array[]): Uint8Array[] {
  const sorted = names.filter(isStagingName).sort((one, other) => Buffer.compare(one, other));
  return sorted.filter(
    (name, index) => index === 0 || !Buffer.from(directoryOf(name)).equals(sorted[index - 1] ?? name),
  );
}

/** The staging directory of the copy that a name of `isStagingName` belongs to. */
export function directoryOf(name: Uint8Array): Uint8Array {
  return withEnding(name, 'partial');
}

/** The note of the copy that a name of `isStagingName` belongs to. */
export function noteOf(name: Uint8Array): Uint8Array {
  return withEnding(name, 'published');
}

function withEnding(name: Uint8Array, ending: Ending): Uint8Array {
  const text = Buffer.from(name).toString('latin1');
  return Buffer.from(text.replace(/[a-z]+$/, ending));
}
