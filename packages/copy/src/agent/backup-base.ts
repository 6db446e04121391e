import type { BigIntStats } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { BatonError } from '@batondb/core/errors';
import { toBatonError } from '@batondb/core/files/system-error';
import { spawnTethered } from '@batondb/core/process/tethered';
import { isStagingName } from '@batondb/core/transfer/staging-names';
import { checkNotInUse, readBase } from '@batondb/mariadb';
import { fromBase64 } from '../bytes.ts';
import type { RequestParams, RequestResult } from '../control/messages.ts';
import type { Incremental } from '../events.ts';

// B1: the base of an incremental backup is a directory of this host that is only ever read.

/** What find(1) leaves out at the top of a base: the file system's own, and notes of the copy that made it. */
const notCopied = ['!', '-name', 'lost+found', '!', '-name', '.baton-*'];

/** Looks at a base. Throws what preflight reports. */
export async function inspectBase(
  { base, directory, isApplied }: RequestParams<'inspectBase'>,
  signal: AbortSignal,
): Promise<RequestResult<'inspectBase'>> {
  const path = await resolveBase(base);
  await checkApart(base, path, Buffer.from(fromBase64(directory)).toString());
  await checkNotInUse(path);
  if ((await readdir(path)).some(isUnfinished)) throw unfinished(base);
  const { toLsn, incremental, serverVersion, serverUuid, bytes } = await readBase(path, signal);
  if (isApplied && incremental) throw notApplicable(base);
  return { toLsn: String(toLsn), serverVersion, bytes, ...(serverUuid === undefined ? {} : { serverUuid }) };
}

/**
 * Copies a base into an empty directory, without another disk's worth where the file system can share blocks. What it holds belongs to
 * us there. Throws NO_SPACE, BACKUP_FAILED, and the signal's reason.
 */
export async function copyBase({ base, fromLsn }: Incremental, into: string, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const copy = ['cp', '-dR', '--preserve=mode', '--reflink=auto', '-t', into, '--', '{}', '+'];
  const argv = ['find', '-H', base, '-mindepth', '1', '-maxdepth', '1', ...notCopied, '-exec', ...copy];
  await using child = await spawnTethered(argv, { env: { ...process.env, LC_ALL: 'C' } });
  const end = (): void => void child.terminate(0);
  signal.addEventListener('abort', end, { once: true });
  child.stdin.end();
  child.stdout.resume();
  const { code, stderrTail } = await child.exited;
  signal.removeEventListener('abort', end);
  signal.throwIfAborted();
  if (code !== 0) throw notCopiable(base, stderrTail);
  const { toLsn } = await readBase(into, signal);
  if (String(toLsn) === fromLsn) return;
  const message = `the base ${base} ended at LSN ${fromLsn}, and now ends at LSN ${toLsn}: something has changed it`;
  throw new BatonError('BACKUP_FAILED', message);
}

async function resolveBase(base: string): Promise<string> {
  try {
    const path = await realpath(base);
    if ((await stat(path)).isDirectory()) return path;
  } catch (error) {
    const translated = toBatonError(error, { path: base });
    if (translated.code !== 'NOT_FOUND') throw translated;
    throw new BatonError('NOT_FOUND', `the base ${base} does not exist`, {
      hint: 'every target needs it under this path; where it has another one, run a command of its own',
    });
  }
  throw new BatonError('NOT_A_DIRECTORY', `${base} is not a directory, and a base is that of a backup`);
}

/** Throws UNSUPPORTED when one of the two directories is in the other one, by whatever name. */
async function checkApart(base: string, path: string, directory: string): Promise<void> {
  const target = await realpath(directory).catch(() => undefined);
  // Preflight says of the target directory itself that it is not there.
  if (target === undefined) return;
  const isInside = await isWithin(path, target);
  const isAround = await isWithin(target, path);
  if (!isInside && !isAround) return;
  const where = isInside && isAround ? 'is' : isInside ? 'is inside of' : 'is around';
  throw new BatonError('UNSUPPORTED', `the base ${base} ${where} the target directory ${directory}`, {
    hint: 'a base is only read: name another target directory, beside it',
  });
}

/** Whether a path leads through a directory, or ends at it. Both are without symlinks; mounts are seen through. */
async function isWithin(path: string, directory: string): Promise<boolean> {
  const wanted = await stat(directory, { bigint: true });
  const isWanted = ({ dev, ino }: BigIntStats): boolean => dev === wanted.dev && ino === wanted.ino;
  for (let at = path; ; at = dirname(at)) {
    if (isWanted(await stat(at, { bigint: true }))) return true;
    if (at === dirname(at)) return false;
  }
}

/** What a copy has in its target directory while it is at work, or when it was killed. */
function isUnfinished(name: string): boolean {
  return isStagingName(Buffer.from(name)) && name.endsWith('.partial');
}

function notCopiable(base: string, words: string): BatonError {
  const code = words.includes('No space left on device') ? 'NO_SPACE' : 'BACKUP_FAILED';
  return new BatonError(code, `the base ${base} could not be copied: ${words}`, {
    hint: 'look at what cp says; the next attempt is a new backup',
  });
}

function unfinished(base: string): BatonError {
  return new BatonError('BUSY', `${base} is not complete: a copy is at work there, or was killed at it`, {
    hint: 'wait for it; if it was killed, the command that made it moves the rest there',
  });
}

function notApplicable(base: string): BatonError {
  const message = `${base} is itself an incremental backup that was not applied, so that nothing can be prepared with it`;
  return new BatonError('UNSUPPORTED', message, {
    hint: 'name a full backup or a prepared one as the base; or copy without --prepare, and apply both to their full backup later',
  });
}
