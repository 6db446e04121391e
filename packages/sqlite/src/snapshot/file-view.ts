import { BatonError } from '@batondb/core/errors';
import { lockLevels, results } from '../engine/codes.ts';
import type { PageSource } from '../engine/page-source.ts';
import type { LayerFile } from '../log/file-layer.ts';
import { isPageSize } from '../machine/command.ts';

// A SQLite file as it lies on the disk, for looking at it. Fields of the header: https://www.sqlite.org/fileformat2.html#the_database_header.

const headerBytes = 100;
/** What SQLite gives a new database. */
const pageBytesUsual = 4096;
const offsets = { pageBytes: 16, writeVersion: 18, readVersion: 19, changes: 24, pageCount: 28, validFor: 92 } as const;

/** What a file's first bytes say; without any it is a database in which nothing was ever written. Throws UNSUPPORTED for what is no SQLite database, or has a format this release does not know. */
export function readHeader(file: LayerFile, path: string): { readonly pageBytes: number; readonly pageCount: number } {
  if (file.size() === 0) return { pageBytes: pageBytesUsual, pageCount: 0 };
  const header = Buffer.alloc(headerBytes);
  if (file.read(header, 0) < headerBytes || header.toString('latin1', 0, 16) !== 'SQLite format 3\0')
    throw new BatonError('UNSUPPORTED', `${path} is not a SQLite database`);
  const stored = header.readUInt16BE(offsets.pageBytes);
  const pageBytes = stored === 1 ? 65_536 : stored;
  const version = Math.max(header[offsets.readVersion] ?? 0, header[offsets.writeVersion] ?? 0);
  if (!isPageSize(pageBytes) || version > 2) {
    throw new BatonError('UNSUPPORTED', `${path} has pages of ${pageBytes} bytes and format version ${version}`);
  }
  const told = header.readUInt32BE(offsets.pageCount);
  const isTold = told > 0 && header.readUInt32BE(offsets.changes) === header.readUInt32BE(offsets.validFor);
  return { pageBytes, pageCount: isTold ? told : Math.floor(file.size() / pageBytes) };
}

/**
 * A file as a database to be read. Its header is given as one that says its size and has no write-ahead log: what an old SQLite, or one
 * in WAL mode with nothing in its log, would have left.
 */
export class FileView implements PageSource {
  readonly pageBytes: number;
  readonly #file: LayerFile;
  readonly #pageCount: number;

  constructor(file: LayerFile, { pageBytes, pageCount }: { readonly pageBytes: number; readonly pageCount: number }) {
    this.#file = file;
    this.pageBytes = pageBytes;
    this.#pageCount = pageCount;
  }

  lock(level: number): number {
    return level > lockLevels.SHARED ? results.READONLY : results.OK;
  }

  unlock(): void {}

  isReserved(): boolean {
    return false;
  }

  pageCount(): number {
    return this.#pageCount;
  }

  read(page: number, offset: number, into: Uint8Array): void {
    const at = (page - 1) * this.pageBytes + offset;
    into.fill(0, this.#file.read(into, at));
    if (at < headerBytes) this.#setHeader(at, into);
  }

  write(): void {
    throw new BatonError('BUG', 'a file that is looked at was written to');
  }

  truncate(): void {
    throw new BatonError('BUG', 'a file that is looked at was truncated');
  }

  commit(): void {}

  #setHeader(at: number, into: Uint8Array): void {
    const header = Buffer.alloc(headerBytes);
    this.#file.read(header, 0);
    header[offsets.writeVersion] = 1;
    header[offsets.readVersion] = 1;
    header.writeUInt32BE(this.#pageCount, offsets.pageCount);
    header.copy(header, offsets.validFor, offsets.changes, offsets.changes + 4);
    into.set(header.subarray(at, at + into.length));
  }
}
