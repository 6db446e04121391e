import { BatonError, type ErrorRecord, toErrorRecord } from '@batondb/core/errors';
import { close, errnos, faccessat } from '@batondb/core/files/libc';
import { printable } from '@batondb/core/files/names';
import { openDirectory } from '@batondb/core/files/open';
import { freeSpace } from '@batondb/core/files/space';
import { tryStatAt } from '@batondb/core/files/stat';
import { toBatonError } from '@batondb/core/files/system-error';
import type { EntryKind } from '@batondb/core/protocol/entry';
import { findBasis } from '@batondb/core/transfer/basis';
import { peekStaging } from '@batondb/core/transfer/staging';
import { noteName, type StagingJob, stagingName } from '@batondb/core/transfer/staging-names';
import { peekMoves, peekUnpacked, type UnpackedPeek } from '@batondb/core/transfer/unpacked-staging';
import type { WorkerPool } from '@batondb/core/transfer/worker-pool';
import { checkEmptyDataDirectory } from '@batondb/mariadb';
import { fromBase64 } from '../bytes.ts';
import type { RequestParams, RequestResult } from '../control/messages.ts';

type Inspection = RequestResult<'inspect'>;

const mayWriteAndSearch = 3;

/** The job that a request names. */
export function jobOf({ source, name, type }: RequestParams<'inspect'>): StagingJob {
  return {
    source,
    name: fromBase64(name),
    ...(type === 'decompress' ? { unpacks: true as const } : {}),
    ...(type === 'update' ? { updates: true as const } : {}),
  };
}

/** Looks at a target directory, changes nothing, and collects every finding rather than stopping at the first. */
export async function inspectDirectory(params: RequestParams<'inspect'>, pool: WorkerPool): Promise<Inspection> {
  const directory = fromBase64(params.directory);
  const job = jobOf(params);
  const findings: ErrorRecord[] = [];
  const type = params.type ?? 'file';
  const nothing = { resumedBytes: 0, published: false, type };
  const copyPath = `${printable(directory).replace(/\/$/, '')}/${printable(job.name)}`;
  const finalPath = job.unpacks === true || params.isBackup ? printable(directory) : copyPath;
  let descriptor: number;
  try {
    descriptor = openDirectory(directory);
  } catch (error) {
    return { findings: [toErrorRecord(missing(directory, error))], finalPath, ...nothing };
  }
  try {
    const { occupied, existing, ...staged } = await peek(descriptor, params, job, pool);
    if (staged.error !== undefined) findings.push(toErrorRecord(staged.error));
    const space = freeSpace(directory);
    if (space.readOnly) findings.push(readOnly(directory));
    else if (!mayWrite(descriptor)) findings.push(mayNotWrite(directory));
    const isStream = params.isStream ?? false;
    const isAnew = isStream && isLeftBehind(descriptor, job);
    if (occupied !== undefined) findings.push(toErrorRecord(occupied));
    if (params.isBackup)
      await checkBackupPlace(descriptor, params.directory, job).catch((error) => findings.push(toErrorRecord(error)));
    const { device, freeBytes, freeInodes, totalBytes } = space;
    // ramfs, and some file systems in user space, have no size to tell.
    const isKnown = totalBytes > 0;
    const inodes = freeInodes === undefined ? {} : { freeInodes };
    return {
      findings,
      finalPath,
      resumedBytes: isStream ? 0 : staged.claimedBytes,
      published: staged.isPublished,
      type,
      ...(existing === undefined ? {} : { existing }),
      ...(isAnew ? { isAnew } : {}),
      ...(isKnown ? { space: { device: String(device), freeBytes, mount: printable(directory), ...inodes } } : {}),
    };
  } finally {
    close(descriptor);
  }
}

/** `existing`: what is there to be brought up to date. */
type Peek = UnpackedPeek & { readonly existing?: EntryKind };

/** What an earlier run left, and what stands where the copy goes. */
async function peek(
  descriptor: number,
  params: RequestParams<'inspect'>,
  job: StagingJob,
  pool: WorkerPool,
): Promise<Peek> {
  const directory = fromBase64(params.directory);
  if (job.unpacks === true) return await peekUnpacked(descriptor, printable(directory), job, pool);
  const staged = await peekStaging(descriptor, job, pool);
  if (job.updates === true) return { ...staged, ...basisOf(descriptor, job) };
  const isOurs = staged.isPublished && params.isStream !== true;
  const isTaken = typeof tryStatAt(descriptor, job.name) !== 'number' && !isOurs;
  const finalPath = `${printable(directory).replace(/\/$/, '')}/${printable(job.name)}`;
  return { ...staged, occupied: isTaken ? exists(finalPath) : undefined };
}

function basisOf(descriptor: number, job: StagingJob): Pick<Peek, 'occupied' | 'existing'> {
  try {
    const basis = findBasis(descriptor, job.name);
    return basis === undefined ? { occupied: undefined } : { occupied: undefined, existing: basis.kind };
  } catch (error) {
    return { occupied: error instanceof Error ? error : new Error(String(error)) };
  }
}

/** Whether a broken run of a stream has left something. What was on its way to its place is whole, and still of use. */
function isLeftBehind(target: number, job: StagingJob): boolean {
  return typeof tryStatAt(target, stagingName(job)) !== 'number' && peekMoves(target, job) === undefined;
}

/** A backup is unpacked into an empty directory only, and never below a running server. */
async function checkBackupPlace(target: number, directory: string, job: StagingJob): Promise<void> {
  const moved = peekMoves(target, job)?.moves.map(({ name }) => name) ?? [];
  const own = [stagingName(job), noteName(job), ...moved].map((name) => Buffer.from(name).toString());
  await checkEmptyDataDirectory(Buffer.from(fromBase64(directory)).toString(), own);
}

function missing(directory: Uint8Array, error: unknown): BatonError {
  const translated = toBatonError(error, { path: printable(directory) });
  if (translated.code === 'NOT_A_DIRECTORY') {
    return new BatonError('NOT_A_DIRECTORY', translated.message, {
      hint: 'a target is the directory that the copy will lie in; the name of the copy is given with --as',
    });
  }
  if (translated.code !== 'NOT_FOUND') return translated;
  return new BatonError('NOT_FOUND', `${printable(directory)} does not exist`, {
    hint: 'a target is a directory that exists; make it, or check the path',
  });
}

function mayWrite(descriptor: number): boolean {
  // Root may write anywhere but on a directory marked immutable, which only trying would tell.
  const here = Buffer.from('.');
  return faccessat(descriptor, here, mayWriteAndSearch) !== -errnos.EACCES;
}

function readOnly(directory: Uint8Array): ErrorRecord {
  return {
    code: 'READ_ONLY',
    message: `${printable(directory)} is on a file system that is mounted read-only`,
    retryable: false,
    hint: 'mount it read-write, or choose another directory',
  };
}

function mayNotWrite(directory: Uint8Array): ErrorRecord {
  return {
    code: 'NO_PERMISSION',
    message: `user ${process.geteuid?.() ?? 0} may not write into ${printable(directory)}`,
    retryable: false,
    hint: 'copy as another user (user@host:…), or with --sudo',
  };
}

function exists(finalPath: string): BatonError {
  return new BatonError('EXISTS', `${finalPath} exists already, and nothing existing is ever overwritten`, {
    hint: 'move it away, choose another name with --as, or bring it up to date with --update',
  });
}
