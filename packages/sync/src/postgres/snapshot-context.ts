import type pg from 'pg';
import { toSourceError } from './failures.ts';

// What all parts of a snapshot need to reach their server.

/** Opens a connection to the primary with our session settings. It has a listener of errors. */
export type Connect = (options?: { readonly replication?: boolean }) => Promise<pg.Client>;

export type SnapshotContext = {
  /** The server, for people. */
  readonly node: string;
  readonly serverVersion: number;
  readonly connect: Connect;
  /** The server waits for transactions that are open; told again every few seconds, with the longest of them. */
  readonly onWait: (reason: string) => void;
};

export type TextRow = readonly (string | null)[];

/** One statement of the simple protocol; values as text. Throws BatonErrors. */
export async function run({ node }: SnapshotContext, client: pg.Client, sql: string): Promise<readonly TextRow[]> {
  try {
    return (await client.query<(string | null)[]>({ text: sql, rowMode: 'array' })).rows;
  } catch (error) {
    throw toSourceError(error, node);
  }
}

/** At once, whatever it is doing: its transaction only reads. */
export function closeNow(client: pg.Client): void {
  (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
}
