import { Writable } from 'node:stream';
import { BatonError } from '@batondb/core/errors';
import type { ShareBehind } from './share-behind.ts';
import type { BackupTool } from './tool.ts';
import { startTool } from './tool-process.ts';
import { WriteBehind } from './write-behind.ts';
import { StreamCheck, type StreamSummary } from './xbstream.ts';

/** An existing empty directory, or one whose content is to share blocks with an older state while it comes; `room` and `finish` are the caller's to wait for. */
export type UnpackInto = string | ShareBehind;

/** A running unpacker. Leaving its block ends it. */
export type RunningUnpack = AsyncDisposable & {
  readonly pid: number;
  /**
   * Takes the stream; `end()` says that it is complete. Is destroyed with the error that `done` rejects with as soon as the stream
   * makes no sense or the unpacker ends early.
   */
  readonly stdin: Writable;
  /**
   * Resolves when the unpacker has ended with 0 and the stream was whole: every file closed, and among them the one that is written
   * last. Rejects with BACKUP_FAILED (also for a truncated stream), PROTOCOL (not the format), NOT_TRUSTED (a path that leaves the
   * directory), LIMIT, or the signal's reason. What was unpacked by then is worthless. Nobody has to listen.
   */
  readonly done: Promise<StreamSummary>;
};

/**
 * Unpacks a backup's stream. Nothing is synced to disk. Throws CHILD_FAILED when the unpacker cannot be
 * started, and the signal's reason; everything later comes by `done`.
 */
export async function startUnpack(into: UnpackInto, tool: BackupTool, signal: AbortSignal): Promise<RunningUnpack> {
  const [directory, sharing] = typeof into === 'string' ? [into, undefined] : [into.directory, into];
  const argv = [tool.unpackProgram, '-x', '-C', directory];
  const { child, done } = await startTool({ argv, what: 'unpacking the backup', needsLastWord: false }, signal);
  child.stdout.resume();
  const behind = new WriteBehind(directory);
  const dialect = tool.kind === 'mariadb-backup' ? 'mariadb' : 'percona';
  const check = new StreamCheck(dialect, (part) => {
    behind.given(part);
    sharing?.given(part);
  });
  const ended = Promise.withResolvers<StreamSummary>();
  const stdin = new Writable({
    write(chunk: Buffer, _encoding, callback) {
      try {
        check.push(chunk);
      } catch (error) {
        return callback(error as Error);
      }
      // Not its error but how the child ended tells what happened; see below.
      child.stdin.write(chunk, () => callback());
    },
    final(callback) {
      try {
        ended.resolve(check.end());
      } catch (error) {
        return callback(error as Error);
      }
      child.stdin.end(() => callback());
    },
    destroy(error, callback) {
      ended.reject(error ?? new BatonError('INTERRUPTED', 'the stream of the backup was given up'));
      callback(error);
    },
  });
  // Whoever writes hears of it by the pipeline; without a listener an early error would end the process.
  stdin.on('error', () => undefined);
  const result = finish(ended.promise, done, () => child.terminate(0));
  result.catch((error: unknown) => stdin.destroy(error as Error));
  return {
    pid: child.pid,
    stdin,
    done: result,
    [Symbol.asyncDispose]: () => child.terminate(0),
  };
}

/** The first of the two to fail decides; the unpacker never outlives a stream that has failed. */
async function finish(
  ended: Promise<StreamSummary>,
  done: Promise<void>,
  terminate: () => Promise<void>,
): Promise<StreamSummary> {
  const early = done.then(() => {
    throw new BatonError('BACKUP_FAILED', 'unpacking the backup failed: the unpacker ended before the stream did');
  });
  // The stream ends before the unpacker does, so that an unpacker that succeeds first has not seen all of it.
  early.catch(() => undefined);
  try {
    const summary = await Promise.race([ended, early]);
    await done;
    return summary;
  } catch (error) {
    await terminate();
    throw error;
  }
}
