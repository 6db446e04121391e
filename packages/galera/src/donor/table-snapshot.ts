import { logicalLimits } from '../logical-limits.ts';
import { quoteName, type SqlSession } from '../sql-session.ts';
import { checksumLine } from '../table-checksums.ts';
import type { TableName } from './logical-checks.ts';

/** All tables as they are at one moment, in one transaction. */
export type TableSnapshot = {
  /** Checksums of all tables, a line each. Throws CHILD_FAILED with the server's words when a definition was changed meanwhile. */
  readonly checksums: (signal: AbortSignal) => Promise<readonly string[]>;
};

/**
 * Opens a snapshot by a connection that is there for nothing else. From then on no definition of a table can change without a word: DDL of
 * the cluster goes before us and ends this transaction.
 */
export async function openSnapshot(
  connection: SqlSession,
  tables: readonly TableName[],
  signal: AbortSignal,
): Promise<TableSnapshot> {
  const named = ({ schema, name }: TableName): string => `${quoteName(schema)}.${quoteName(name)}`;
  const seconds = logicalLimits.checksumMsMax / 1000;
  const begin = `SET SESSION wait_timeout = ${seconds}, max_statement_time = 0;
    SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ; START TRANSACTION WITH CONSISTENT SNAPSHOT;`;
  // Each leaves the lock of its table's definition to the transaction.
  const locks = tables.map((table) => `SELECT 1 FROM ${named(table)} LIMIT 0;`);
  await connection.ask([begin, ...locks].join('\n'), signal);
  return {
    checksums: async (until) => {
      const lines: string[] = [];
      for (const table of tables) {
        const [answer = ''] = await connection.ask(`CHECKSUM TABLE ${named(table)} EXTENDED;`, until);
        lines.push(checksumLine(table, answer));
      }
      return lines;
    },
  };
}
