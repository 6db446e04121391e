import { limits } from '../limits.ts';
import type { FramesToWrite } from './command.ts';
import { type Database, lockPage } from './database.ts';
import { pageDigest } from './state-checksum.ts';

/** Reads a part of a page of the published state. */
export type ReadPublished = (database: Database, page: number, into: Uint8Array) => void;

/**
 * The frames of a database's transactions that are not published, as if they were one transaction: of each page the last version.
 * Pages that appeared without being written are written as zeros, so that every copy of the database has the same bytes.
 */
export function mergeGroup(database: Database, readPublished: ReadPublished): FramesToWrite {
  const { id, pageBytes, overlay, published, digests } = database;
  const ends = database.ends.slice(0, limits.groupTransactionsMax);
  const through = ends.at(-1)!.sequence;
  const { pages: written, pageCountMin, pageCount } = overlay.merge(published.sequence, through);
  const locked = lockPage(pageBytes);
  const inWritten = new Set(written);
  const zeros: number[] = [];
  for (let page = Math.min(pageCountMin, published.pageCount) + 1; page <= pageCount; page++)
    if (page !== locked && !inWritten.has(page)) zeros.push(page);

  const buffer = Buffer.allocUnsafe(pageBytes);
  const digestBefore = (page: number): bigint => {
    const known = digests.get(page);
    if (known !== 0n) return known;
    readPublished(database, page, buffer);
    return pageDigest(page, buffer);
  };
  const read = (page: number, into: Uint8Array): void => {
    if (!inWritten.has(page) || !overlay.read(page, through, 0, into)) into.fill(0);
  };
  let after = published.checksum;
  const cutFrom = Math.min(pageCountMin, published.pageCount) + 1;
  for (let page = cutFrom; page <= published.pageCount; page++) if (page !== locked) after ^= digestBefore(page);
  const pages = zeros.length === 0 ? written : [...written, ...zeros].sort((a, b) => a - b);
  const fresh: (readonly [number, bigint])[] = [];
  for (const page of pages) {
    if (page < cutFrom) after ^= digestBefore(page);
    read(page, buffer);
    const digest = pageDigest(page, buffer);
    after ^= digest;
    fresh.push([page, digest]);
  }
  for (let page = pageCount + 1; page <= published.pageCount; page++) digests.set(page, 0n);
  for (const [page, digest] of fresh) digests.set(page, digest);
  return {
    kind: 'frames',
    database: id,
    sequence: published.sequence + 1,
    pageBytes,
    pages,
    commit: { ends, pageCount, before: published.checksum, after },
    read,
  };
}
