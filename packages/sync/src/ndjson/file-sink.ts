import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { BatonError } from '@batondb/core/errors';
import { toBatonError } from '@batondb/core/files/system-error';
import { ownFile } from '../owner-lock.ts';
import type { Sink, SinkState } from '../sink.ts';
import { lastCommit, readAt, readTables } from './file-commits.ts';
import { FileTarget } from './file-target.ts';
import { formatVersion, helloLine } from './lines.ts';
import { OwnedLines } from './owned-lines.ts';

export type NdjsonFileOptions = {
  /** The file; it is made when it is not there. */
  readonly path: string;
  /** What the rows come from: a file with rows of another source is refused. */
  readonly source: string;
};

/** A file of lines, exactly once: at a start it is cut back to its last commit line. */
export function ndjsonFileSink(options: NdjsonFileOptions): Sink {
  const path = resolve(options.path);
  return {
    address: `ndjson:${options.path}`,
    async own(signal, onWait) {
      await using held = new AsyncDisposableStack();
      held.use(await ownFile(path, signal, onWait));
      const file = await openFile(path);
      held.defer(() => file.close());
      const { target, state } = await resume(file, path, options.source);
      return new OwnedLines(target, held.move(), state, new AbortController().signal);
    },
  };
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, constants.O_RDWR | constants.O_CREAT, 0o644);
  } catch (error) {
    throw toBatonError(error, { path });
  }
}

async function resume(
  file: FileHandle,
  path: string,
  source: string,
): Promise<{ readonly target: FileTarget; readonly state: SinkState }> {
  const { size } = await file.stat();
  await expectOurs(file, path, source, size);
  const commit = await lastCommit(file, size);
  const end = commit?.end ?? 0;
  const tables = commit === undefined ? new Map() : await readTables(file, path, commit.state, end);
  // Torn lines, or a transaction that was not told to its end (Y1).
  if (end < size) {
    await file.truncate(end);
    await file.datasync();
  }
  const target = new FileTarget(path, file, end, tables, commit?.state);
  if (end === 0) target.add(helloLine(source));
  const state: SinkState = { position: commit?.position, isOpen: commit?.isOpen ?? false, tables };
  return { target, state };
}

/** Throws USAGE for a file that something else has written, and leaves it as it is. */
export async function expectOurs(file: FileHandle, path: string, source: string, size: number): Promise<void> {
  const wanted = Buffer.from(helloLine(source));
  const found = await readAt(file, 0, Math.min(size, 65_536));
  // Also when our own first line was torn.
  if (found.equals(wanted.subarray(0, found.length)) || found.subarray(0, wanted.length).equals(wanted)) return;
  const hint = { hint: 'name another file; nothing was changed in this one' };
  const first = found.toString('utf8').split('\n', 1)[0] ?? '';
  const hello = /^\{"op":"hello","version":(\d+),"source":(.*)\}$/.exec(first);
  if (hello === null) throw new BatonError('USAGE', `${path} holds something else than lines of baton sync`, hint);
  if (hello[1] !== String(formatVersion)) {
    throw new BatonError(
      'VERSION_MISMATCH',
      `${path} has format ${hello[1]}, and this program writes ${formatVersion}`,
      {
        hint: 'use the version of baton that wrote it, or begin a new file',
      },
    );
  }
  throw new BatonError('USAGE', `${path} has the rows of ${hello[2]}, not of ${JSON.stringify(source)}`, hint);
}
