import { logicalLimits } from '../logical-limits.ts';
import { quoteName, type SqlSession } from '../sql-session.ts';
import { checksumLine } from '../table-checksums.ts';
import type { TableName } from './logical-checks.ts';

/** All tables as they are at one moment, in one transaction. */
export type TableSnapshot = {
  /**
   * Opens it. From then on no definition of a table can change without a word: DDL of the cluster goes before us, ends this transaction,
   * and {@link checksums} throws.
   */
  readonly open: (signal: AbortSignal) => Promise<void>;
  /** Checksums of all tables, a line each. Throws when a definition was changed meanwhile. */
  readonly checksums: (onTable: () => void, signal: AbortSignal) => Promise<readonly string[]>;
};

/** A snapshot by a connection that is there for nothing else. */
export function openSnapshot(connection: SqlSession, tables: readonly TableName[]): TableSnapshot {
  const named = ({ schema, name }: TableName): string => `${quoteName(schema)}.${quoteName(name)}`;
  return {
    open: async (signal) => {
      const seconds = logicalLimits.checksumMsMax / 1000;
      const begin = `SET SESSION wait_timeout = ${seconds}, wsrep_sync_wait = 0; SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ;
        START TRANSACTION WITH CONSISTENT SNAPSHOT;`;
      // Each leaves the lock of its table's definition to the transaction.
      const locks = tables.map((table) => `SELECT 1 FROM ${named(table)} LIMIT 0;`);
      await connection.ask([begin, ...locks].join('\n'), signal);
    },
    checksums: async (onTable, signal) => {
      const lines: string[] = [];
      for (const table of tables) {
        const [answer = ''] = await connection.ask(`CHECKSUM TABLE ${named(table)} EXTENDED;`, signal);
        lines.push(checksumLine(table, answer));
        onTable();
      }
      return lines;
    },
  };
}
