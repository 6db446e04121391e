import { BatonError } from '@batondb/core/errors';
import { freeSpace } from '@batondb/core/files/space';
import { formatBytes } from '@batondb/core/text/format';
import { limits } from '../limits.ts';
import type { Position } from '../machine/position.ts';
import type { Caller } from '../node/call-port.ts';
import { withCheckThread } from '../node/node-thread.ts';
import type { WriterCalls } from '../node/request.ts';

/** What becomes of a file. */
export type ImportOptions = {
  /** Whoever has the name is dropped in the moment in which the new one gets it; its file is kept. Default: false, and EXISTS. */
  readonly replaces?: boolean;
  /** What errors call the file. Default: its path. */
  readonly called?: string;
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
};

/**
 * Takes a SQLite file over as a database (B6), while clients go on. Resolves to the position from which on everybody sees it. The file itself is
 * only read. Throws UNSUPPORTED, CHANGED, DIGEST_MISMATCH, NOT_FOUND, EXISTS, USAGE, NO_SPACE.
 */
export async function importFile(
  writer: Caller<WriterCalls>,
  { path, name, directory }: { readonly path: string; readonly name: string; readonly directory: string },
  { replaces = false, called = path, onProgress = () => undefined }: ImportOptions,
  signal: AbortSignal,
): Promise<Position> {
  return await withCheckThread(signal, async (file) => {
    const { pageBytes, pageCount, checksum } = await file.call('inspect', { path, called });
    checkRoom(directory, pageCount * pageBytes);
    const database = await writer.call('beginImport', { name, replaces, pageBytes });
    try {
      const count = Math.max(1, Math.floor(limits.importBytes / pageBytes));
      for (let first = 1; first <= pageCount; first += count) {
        const content = await file.call('pages', { first, count: Math.min(count, pageCount - first + 1) });
        await writer.call('importPages', { database, first, content }, [content.buffer]);
        onProgress(Math.min(first - 1 + count, pageCount) * pageBytes, pageCount * pageBytes);
      }
      return await writer.call('endImport', { database, name, replaces, checksum });
    } catch (error) {
      // A node that cannot even do this drops it at its next start.
      await writer.call('dropImport', { database }).catch(() => undefined);
      throw error;
    }
  });
}

/** Refused before it begins: an import that fills the disk stops everybody else's writes, too. */
function checkRoom(directory: string, bytes: number): void {
  const { freeBytes } = freeSpace(Buffer.from(directory));
  const neededBytes = bytes + limits.importReserveBytes;
  if (freeBytes >= neededBytes) return;
  throw new BatonError(
    'NO_SPACE',
    `${directory} has ${formatBytes(freeBytes)} free, and the import needs ${formatBytes(neededBytes)}`,
    { retryable: true, hint: 'make space' },
  );
}
