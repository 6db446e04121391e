/**
 * A database as SQLite's pager sees it: pages from 1 on, a lock, and a moment at which a transaction is complete. Result codes are
 * those of SQLite.
 */
export interface PageSource {
  readonly pageBytes: number;
  /** Takes a lock of a level of codes.ts. SHARED fixes what is seen until the lock is given back. */
  lock(level: number): number;
  unlock(level: number): void;
  /** True when somebody has a lock above SHARED. */
  isReserved(): boolean;
  pageCount(): number;
  /** Reads a part of a page; zeros where there is nothing. Throws when what was seen is no longer there. */
  read(page: number, offset: number, into: Uint8Array): void;
  write(page: number, content: Uint8Array): void;
  truncate(pageCount: number): void;
  /** Everything since the lock became RESERVED is one transaction, and it is complete. */
  commit(): void;
}
