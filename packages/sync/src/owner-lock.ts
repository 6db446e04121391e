import { fstatSync, ftruncateSync, readFileSync, statSync, writeSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { check, errnos, flags, flock } from '@batondb/core/files/libc';
import { toBatonError } from '@batondb/core/files/system-error';

// Who may write to a file: the process that has the lock of a small file beside it. The kernel frees the lock however its process ends; the file stays,
// since removing it could give two processes a lock each.

/** Short enough that nobody notices a hand-over, long enough to cost nothing. */
const retryMs = 200;

/**
 * Takes the lock beside a file, `FILE.lock`, and waits while another process has it; `onWait` is told once, of whom. Disposing frees it. The lock is not
 * one of the file itself: SQLite's own would be lost with any descriptor of its file that we close.
 */
export async function ownFile(
  path: string,
  signal: AbortSignal,
  onWait: (owner: string) => void,
): Promise<AsyncDisposable> {
  const lockPath = `${path}.lock`;
  for (let isTold = false; ; await sleep(retryMs, undefined, { signal })) {
    signal.throwIfAborted();
    const file = await openLock(lockPath);
    if (isLocked(file, lockPath)) {
      ftruncateSync(file.fd);
      writeSync(file.fd, `process ${process.pid} on ${hostname()}\n`, 0);
      return { [Symbol.asyncDispose]: () => file.close() };
    }
    await file.close();
    if (!isTold) onWait(ownerIn(lockPath));
    isTold = true;
  }
}

async function openLock(lockPath: string): Promise<FileHandle> {
  try {
    return await open(lockPath, 'a', 0o644);
  } catch (error) {
    throw toBatonError(error, { path: lockPath });
  }
}

/** False too when the file that we have locked is not the one of that name any more: somebody removed it between. */
function isLocked(file: FileHandle, lockPath: string): boolean {
  const result = flock(file.fd, flags.LOCK_EX_NB);
  if (result === -errnos.EAGAIN) return false;
  check(result, 'flock', () => lockPath);
  const named = statSync(lockPath, { throwIfNoEntry: false });
  return named !== undefined && named.ino === fstatSync(file.fd).ino;
}

function ownerIn(lockPath: string): string {
  const owner = readFileSync(lockPath, 'utf8').trim();
  return owner === '' ? 'another process' : owner;
}
