import type pg from 'pg';
import type { TableName } from '../table.ts';
import type { ReplicaIdentity } from './catalog.ts';
import { runQuery } from './connect.ts';
import { readSlot, type Slot } from './slot.ts';

// What setup and check want to know of a server. Read only, and of what everybody may read.

export type UserTable = TableName & {
  readonly kind: 'table' | 'partitioned' | 'partition';
  readonly identity: ReplicaIdentity;
  /** Its identity tells rows apart: updates and deletes can be published. */
  readonly isIdentified: boolean;
  readonly hasPrimaryKey: boolean;
  /** Logged, and not of another server: it can be published. */
  readonly isPublishable: boolean;
  /** Our user may read it. */
  readonly isReadable: boolean;
  readonly columns: readonly string[];
};

export type Publication = {
  readonly name: string;
  readonly isForAllTables: boolean;
  readonly isViaRoot: boolean;
  readonly operations: {
    readonly insert: boolean;
    readonly update: boolean;
    readonly delete: boolean;
    readonly truncate: boolean;
  };
  /** As subscribers see them. */
  readonly tables: readonly TableName[];
};

export type ServerFacts = {
  readonly serverVersion: number;
  readonly database: string;
  readonly user: string;
  readonly isSuperuser: boolean;
  readonly mayReplicate: boolean;
  /** By name, in the units of `pg_settings`: bytes, milliseconds and plain numbers. */
  readonly settings: ReadonlyMap<string, string>;
  readonly slotsUsed: number;
  readonly sendersUsed: number;
  readonly slot: Slot | undefined;
  readonly publications: readonly Publication[];
  readonly tables: readonly UserTable[];
  /** Seconds since the oldest transaction with a number of its own began; a new slot waits for it. Undefined: there is none, or nobody may see it. */
  readonly oldestTransactionSeconds: number | undefined;
  readonly isPatroni: boolean;
};

const settingNames = [
  'wal_level',
  'max_replication_slots',
  'max_wal_senders',
  'max_slot_wal_keep_size',
  'logical_decoding_work_mem',
  'wal_sender_timeout',
  'hot_standby_feedback',
  'synchronized_standby_slots',
];

export type FactsQuestion = {
  readonly slot: string;
  readonly publications: readonly string[];
  readonly node: string;
  readonly serverVersion: number;
};

/** `client` is an ordinary connection to a primary. */
export async function readFacts(client: pg.Client, question: FactsQuestion): Promise<ServerFacts> {
  const { slot, publications, node, serverVersion } = question;
  const ask = async (
    sql: string,
    values: readonly (readonly string[])[] = [],
  ): Promise<readonly (readonly (string | null)[])[]> => (await runQuery(client, sql, values, node)).rows;
  const [who] = await ask(`SELECT current_database(), current_user, rolsuper, rolreplication,
      (SELECT count(*) FROM pg_replication_slots),
      (SELECT count(*) FROM pg_stat_replication),
      (SELECT extract(epoch FROM clock_timestamp() - min(xact_start)) FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()),
      EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'Patroni heartbeat' OR application_name = 'Patroni')
    FROM pg_roles WHERE rolname = current_user`);
  const [database, user, isSuperuser, mayReplicate, slotsUsed, sendersUsed, oldest, isPatroni] = who ?? [];
  const settings = await ask('SELECT name, setting, unit FROM pg_settings WHERE name = ANY ($1)', [settingNames]);
  return {
    serverVersion,
    database: database ?? '',
    user: user ?? '',
    isSuperuser: isSuperuser === 't',
    mayReplicate: mayReplicate === 't' || isSuperuser === 't',
    settings: new Map(settings.map(([name, value, unit]) => [name ?? '', inBytes(value ?? '', unit ?? '')])),
    slotsUsed: Number(slotsUsed),
    sendersUsed: Number(sendersUsed),
    slot: await readSlot(client, slot, node),
    publications: await readPublications(ask, publications),
    tables: await readTables(ask),
    oldestTransactionSeconds: oldest === null || oldest === undefined ? undefined : Number(oldest),
    isPatroni: isPatroni === 't',
  };
}

const bytesOf: Readonly<Record<string, number>> = { kB: 1024, MB: 1_048_576 };

/** What is below zero is no size. */
function inBytes(value: string, unit: string): string {
  const bytes = bytesOf[unit];
  return bytes === undefined || Number(value) <= 0 ? value : String(Number(value) * bytes);
}

type Ask = (sql: string, values?: readonly (readonly string[])[]) => Promise<readonly (readonly (string | null)[])[]>;

async function readPublications(ask: Ask, names: readonly string[]): Promise<readonly Publication[]> {
  const sql = `SELECT json_build_object(
      'name', pubname, 'isForAllTables', puballtables, 'isViaRoot', COALESCE((to_jsonb(publication) ->> 'pubviaroot')::boolean, false),
      'operations', json_build_object('insert', pubinsert, 'update', pubupdate, 'delete', pubdelete, 'truncate', pubtruncate),
      'tables', coalesce((
        SELECT json_agg(json_build_object('schema', schemaname, 'name', tablename) ORDER BY schemaname, tablename)
        FROM pg_publication_tables AS published WHERE published.pubname = publication.pubname
      ), '[]'))
    FROM pg_publication AS publication WHERE pubname = ANY ($1)`;
  return (await ask(sql, [names])).map(([text]) => JSON.parse(text ?? '') as Publication);
}

async function readTables(ask: Ask): Promise<readonly UserTable[]> {
  const rows = await ask(`SELECT json_build_object(
      'schema', namespace.nspname, 'name', relation.relname,
      'kind', CASE WHEN relation.relkind = 'p' THEN 'partitioned' WHEN relation.relispartition THEN 'partition' ELSE 'table' END,
      'identity', CASE relation.relreplident WHEN 'd' THEN 'default' WHEN 'n' THEN 'nothing' WHEN 'f' THEN 'full' ELSE 'index' END,
      'isIdentified', relation.relreplident = 'f' OR EXISTS (
        SELECT FROM pg_index AS index WHERE index.indrelid = relation.oid AND index.indisvalid
          AND CASE relation.relreplident WHEN 'd' THEN index.indisprimary WHEN 'i' THEN index.indisreplident ELSE false END),
      'hasPrimaryKey', EXISTS (SELECT FROM pg_index AS index WHERE index.indrelid = relation.oid AND index.indisprimary),
      'isPublishable', relation.relpersistence = 'p',
      'isReadable', has_table_privilege(relation.oid, 'SELECT') AND has_schema_privilege(namespace.oid, 'USAGE'),
      'columns', (SELECT json_agg(attname ORDER BY attnum) FROM pg_attribute
        WHERE attrelid = relation.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = ''))
    FROM pg_class AS relation JOIN pg_namespace AS namespace ON namespace.oid = relation.relnamespace
    WHERE relation.relkind IN ('r', 'p') AND relation.oid >= 16384
      AND namespace.nspname NOT LIKE 'pg\\_%' AND namespace.nspname <> 'information_schema'
    ORDER BY namespace.nspname, relation.relname`);
  return rows.map(([text]) => JSON.parse(text ?? '') as UserTable);
}
