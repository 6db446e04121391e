// What our processes say to their servers, a line each, without the line's end. The servers compare the words, and wait for more: a line
// that is not of the contract before `ready` lets a joiner wait for ever, and keeps a donor Desynced (G4).
import type { Dialect } from './call.ts';
import { formatPosition, type GaleraPosition } from './position.ts';

/** What a donor's process says to its server. */
export const donorLines = {
  /** The server holds back writes and makes `tables_flushed` in the data directory, with its position; `sst_error` when it cannot. */
  flushTables: 'flush tables',
  /** The cluster goes on: without it everybody waits until we end. */
  continue: 'continue',
  /** The donor is free, and Synced again. The server reads the position behind the word, and calls the transfer failed without it. */
  done: (position: GaleraPosition, dialect: Dialect): string => `done ${positionWords(position, dialect)}`,
} as const;

/** What a joiner's process says to its server, after the `ready` line. */
export const joinerLines = {
  /** How many bytes will come. Only MariaDB asks for it, by `--progress 1`. */
  total: (bytes: number): string => `total ${bytes}`,
  /** How many of them are here. */
  complete: (bytes: number): string => `complete ${bytes}`,
  /** The last line: the data in place is that of this position (G3). MariaDB takes the domain from it, and warns when there is none. */
  position: (position: GaleraPosition, dialect: Dialect): string => positionWords(position, dialect),
} as const;

/** Files that the donor's server makes in its data directory as the answer to `flush tables`; it never removes them. */
export const flushAnswerFiles = { done: 'tables_flushed', failed: 'sst_error' } as const;

function positionWords(position: GaleraPosition, dialect: Dialect): string {
  const hasDomain = dialect === 'mariadb' && position.domainId !== undefined;
  return hasDomain ? `${formatPosition(position)} ${position.domainId}` : formatPosition(position);
}
