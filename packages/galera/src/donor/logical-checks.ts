// What a dump cannot carry, found before the cluster is troubled.
import { BatonError } from '@batondb/core/errors';
import type { Server } from '@batondb/mariadb';
import { logicalLimits } from '../logical-limits.ts';

/** A table by its schema and its name. */
export type TableName = { readonly schema: string; readonly name: string };

/** What of a server is dumped beside the system's own schemas. */
export type DumpPlan = {
  readonly schemas: readonly string[];
  /** All tables with rows, each InnoDB's. */
  readonly tables: readonly TableName[];
};

const systemSchemas = "('mysql', 'sys', 'information_schema', 'performance_schema')";
/** All of them for the whole server: what a user may not see is missing in a dump without a word. */
export const dumpPrivileges = ['SELECT', 'SHOW VIEW', 'TRIGGER', 'EVENT', 'EXECUTE'] as const;

/** Looks for what a dump would lose, and for how much there is to dump. Throws ACCESS_DENIED, UNSUPPORTED, LIMIT, and what the server says. */
export async function planDump(server: Server, signal: AbortSignal): Promise<DumpPlan> {
  if (server.version.family !== 'mariadb') {
    throw new BatonError('UNSUPPORTED', `method=logical is for MariaDB, and this server is ${server.version.text}`);
  }
  await checkPrivileges(server, signal);
  await checkGtidMode(server, signal);
  await checkSyncWait(server, signal);
  await checkEngines(server, signal);
  await checkColumns(server, signal);
  const schemas = await server.query(
    `SELECT schema_name AS s FROM information_schema.schemata WHERE schema_name NOT IN ${systemSchemas} ORDER BY BINARY s`,
    signal,
  );
  const tables = await server.query(
    `SELECT table_schema AS s, table_name AS t FROM information_schema.tables WHERE table_schema NOT IN ${systemSchemas}
     AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') ORDER BY BINARY s, BINARY t`,
    signal,
  );
  if (tables.length > logicalLimits.tablesMax) {
    const message = `this server has ${tables.length} tables, and method=logical takes at most ${logicalLimits.tablesMax}`;
    throw new BatonError('LIMIT', message, { hint: instead });
  }
  return {
    schemas: schemas.map((row) => row.get('s') ?? ''),
    tables: tables.map((row) => ({ schema: row.get('s') ?? '', name: row.get('t') ?? '' })),
  };
}

const instead = 'use method=backup, which takes the files as they are';

async function checkPrivileges(server: Server, signal: AbortSignal): Promise<void> {
  const rows = await server.query(
    `SELECT privilege_type AS p FROM information_schema.user_privileges
     WHERE grantee = CONCAT("'", REPLACE(CURRENT_USER(), '@', "'@'"), "'")`,
    signal,
  );
  const held = new Set(rows.map((row) => row.get('p')));
  const missing = dumpPrivileges.filter((name) => !held.has(name));
  if (missing.length === 0) return;
  throw new BatonError('ACCESS_DENIED', `the user of the transfer may not ${missing.join(', ')} on the whole server`, {
    hint: `a dump would miss what it may not see: GRANT ${dumpPrivileges.join(', ')} ON *.* to the user of wsrep_sst_auth`,
  });
}

/** Galera keeps the GTID of the last transaction beside its position in InnoDB, and nothing but a transaction of the cluster sets it. */
async function checkGtidMode(server: Server, signal: AbortSignal): Promise<void> {
  const [row] = await server.query('SELECT @@GLOBAL.wsrep_gtid_mode AS m', signal);
  if (row?.get('m') === '0') return;
  const message = 'wsrep_gtid_mode is on, and a dump cannot bring the GTID that InnoDB keeps for it';
  throw new BatonError('UNSUPPORTED', message, { hint: instead });
}

/** The dump program's own statements would wait for transactions that wait for it. */
async function checkSyncWait(server: Server, signal: AbortSignal): Promise<void> {
  const [row] = await server.query('SELECT @@GLOBAL.wsrep_sync_wait AS w', signal);
  if (row?.get('w') === '0') return;
  const message = `wsrep_sync_wait is ${row?.get('w')} for all sessions, and a dump would wait for transactions that wait for it`;
  throw new BatonError('UNSUPPORTED', message, { hint: 'set it in the sessions that need it, or use method=backup' });
}

/** A snapshot holds the rows of InnoDB alone. */
async function checkEngines(server: Server, signal: AbortSignal): Promise<void> {
  const [row] = await server.query(
    `SELECT table_schema AS s, table_name AS t, engine AS e FROM information_schema.tables
     WHERE table_schema NOT IN ${systemSchemas} AND table_type <> 'VIEW' AND COALESCE(engine, '') <> 'InnoDB' LIMIT 1`,
    signal,
  );
  if (row === undefined) return;
  const table = `${row.get('s')}.${row.get('t')}`;
  throw new BatonError(
    'UNSUPPORTED',
    `${table} is a table of the engine ${row.get('e')}, of which no snapshot holds rows`,
    {
      hint: `${instead}, or: ALTER TABLE ${table} ENGINE=InnoDB`,
    },
  );
}

/** FLOAT is printed with six digits, and a number of a transaction in a versioned table means nothing elsewhere. */
async function checkColumns(server: Server, signal: AbortSignal): Promise<void> {
  const [row] = await server.query(
    `SELECT CONCAT_WS('.', table_schema, table_name, column_name) AS c, data_type AS d FROM information_schema.columns
     JOIN information_schema.tables USING (table_schema, table_name)
     WHERE table_schema NOT IN ${systemSchemas} AND table_type <> 'VIEW' AND (data_type = 'float'
       OR (data_type = 'bigint' AND generation_expression IN ('ROW START', 'ROW END'))) LIMIT 1`,
    signal,
  );
  if (row === undefined) return;
  const why =
    row.get('d') === 'float'
      ? 'is FLOAT, which a dump rounds to six digits'
      : 'holds numbers of transactions, which mean nothing in another server';
  throw new BatonError('UNSUPPORTED', `${row.get('c')} ${why}`, { hint: instead });
}
