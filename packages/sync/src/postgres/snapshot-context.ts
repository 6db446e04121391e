import type pg from 'pg';

/** Opens a connection to the primary with our session settings; values come as PostgreSQL's text. */
export type Connect = (options?: { readonly replication?: boolean }) => Promise<pg.Client>;

/** What all parts of a snapshot need to reach their server. */
export type SnapshotContext = {
  /** The server, for people. */
  readonly node: string;
  readonly serverVersion: number;
  readonly connect: Connect;
  /** The server waits for transactions that are open; told again every few seconds, with the longest of them. */
  readonly onWait: (reason: string) => void;
};
