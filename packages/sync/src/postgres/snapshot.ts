import { BatonError } from '@batondb/core/errors';
import type pg from 'pg';
import type { RowPart, RowSnapshot, TableSnapshot } from '../source.ts';
import { nameOf, type Table } from '../table.ts';
import { runSimple, type TextRows } from './connect.ts';
import { CopyJsonDecoder } from './copy-json.ts';
import { copyOut } from './copy-out.ts';
import type { CopyDecoder } from './copy-rows.ts';
import { isSqlState, toSourceError } from './failures.ts';
import { formatPosition } from './position.ts';
import { SharedSnapshot } from './snapshot-connections.ts';
import type { SnapshotContext } from './snapshot-context.ts';
import { copySql, type PageRange, pageRanges, type StoredTable } from './snapshot-plan.ts';
import { quoteName, quoteTable } from './sql.ts';
import { CopyTextDecoder } from './text.ts';

// A dump: the rows of tables at one place of the log, in parts that several connections read at a time.

/** A table as it is published. Its columns are those that the stream sends. */
export type PublishedRows = {
  readonly table: Table;
  /** The publication's row filter as SQL. Undefined: all rows. */
  readonly filter: string | undefined;
};

export type SnapshotOptions = SnapshotContext & {
  /** Bytes of a table in a part. Default: 128 MiB, some seconds of work: small enough that all hands are busy to the end. */
  readonly partBytes?: number;
};

const defaultPartBytes = 134_217_728;

/**
 * A state of these tables. It holds no lock on tables but those that are being read. Throws SOURCE_CHANGED (retryable) for tables that are not there any more, and when a part is
 * read of one that was rewritten or emptied since.
 */
export async function openSnapshot(
  tables: readonly PublishedRows[],
  options: SnapshotOptions,
  signal: AbortSignal,
): Promise<RowSnapshot> {
  return await snapshotOf(await SharedSnapshot.open(options, signal), tables, options);
}

/** The tables of a snapshot that was made. It is disposed with what is returned, and when that fails. Throws as {@link openSnapshot}. */
export async function snapshotOf(
  shared: SharedSnapshot,
  tables: readonly PublishedRows[],
  { partBytes = defaultPartBytes, ...context }: SnapshotOptions,
): Promise<RowSnapshot> {
  try {
    const stored = await readStoredTables(shared, tables);
    const { systemId, timeline, lsn } = shared;
    return {
      position: formatPosition({ systemId, timeline, lsn }),
      tables: tables.map((published) => {
        const found = stored.get(published.table.id);
        if (found === undefined) throw changed(context, published.table, 'is not there any more');
        return tableSnapshot(shared, context, published, found, partBytes);
      }),
      [Symbol.asyncDispose]: async () => await shared[Symbol.asyncDispose](),
    };
  } catch (error) {
    await shared[Symbol.asyncDispose]();
    throw error;
  }
}

type StoredParts = { readonly estimatedRows: number; readonly leaves: readonly StoredTable[] };

/** By `Table.id`. The catalog is read as it was in the snapshot, but the list of partitions as it is now: one that came since has no row in the snapshot. */
async function readStoredTables(
  shared: SharedSnapshot,
  tables: readonly PublishedRows[],
): Promise<ReadonlyMap<string, StoredParts>> {
  const found = new Map<string, { estimatedRows: number; leaves: StoredTable[] }>();
  if (tables.length === 0) return found;
  const rows = await shared.query(storedTablesSql(tables.map(({ table }) => table.id)));
  for (const [id, oid, schema, name, tuples, pages, bytes] of rows) {
    const parts = found.get(id ?? '') ?? { estimatedRows: 0, leaves: [] };
    found.set(id ?? '', parts);
    if (oid === null || oid === undefined) continue;
    parts.estimatedRows += Math.max(0, Number(tuples));
    parts.leaves.push({
      oid: Number(oid),
      schema: schema ?? '',
      name: name ?? '',
      pages: Number(pages),
      bytes: Number(bytes),
    });
  }
  return found;
}

function storedTablesSql(ids: readonly string[]): string {
  return `
SELECT root.oid::pg_catalog.text, leaf.oid::pg_catalog.text, namespace.nspname::pg_catalog.text, leaf.relname::pg_catalog.text,
  leaf.reltuples::pg_catalog.text,
  (pg_catalog.pg_relation_size(leaf.oid) / pg_catalog.current_setting('block_size')::pg_catalog.int8)::pg_catalog.text,
  pg_catalog.pg_table_size(leaf.oid)::pg_catalog.text
FROM pg_catalog.pg_class AS root
LEFT JOIN LATERAL (
  SELECT tree.relid FROM pg_catalog.pg_partition_tree(root.oid) AS tree WHERE root.relkind = 'p' AND tree.isleaf
  UNION ALL
  SELECT root.oid WHERE root.relkind <> 'p'
) AS part (oid) ON true
LEFT JOIN pg_catalog.pg_class AS leaf ON leaf.oid = part.oid AND leaf.relkind = 'r'
LEFT JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = leaf.relnamespace
WHERE root.oid = ANY ('{${ids.map(Number).join(',')}}'::pg_catalog.oid[])`;
}

function tableSnapshot(
  shared: SharedSnapshot,
  context: SnapshotContext,
  published: PublishedRows,
  { estimatedRows, leaves }: StoredParts,
  partBytes: number,
): TableSnapshot {
  const { columns } = published.table;
  const partOf = <T extends { readonly length: number }>(
    leaf: StoredTable,
    range: PageRange,
    decoder: CopyDecoder<T>,
    signal: AbortSignal,
  ): AsyncIterable<T> =>
    shared.borrow((client) => readPart(context, client, published, { leaf, range, decoder }, signal));
  const parts = leaves.flatMap((leaf) =>
    pageRanges(leaf, partBytes, context.serverVersion).map(
      (range): RowPart => ({
        read: (signal) => partOf(leaf, range, new CopyTextDecoder({ columns: columns.length }), signal),
        ...(columns.length === 0
          ? {}
          : { readJson: (frame, signal) => partOf(leaf, range, new CopyJsonDecoder({ columns }, frame), signal) }),
      }),
    ),
  );
  const estimatedBytes = leaves.reduce((sum, { bytes }) => sum + bytes, 0);
  return { table: published.table, estimatedRows, estimatedBytes, parts };
}

type Part<T extends { readonly length: number }> = {
  readonly leaf: StoredTable;
  readonly range: PageRange;
  readonly decoder: CopyDecoder<T>;
};

async function* readPart<T extends { readonly length: number }>(
  context: SnapshotContext,
  client: pg.Client,
  { table, filter }: PublishedRows,
  { leaf, range, decoder }: Part<T>,
  signal: AbortSignal,
): AsyncGenerator<T> {
  try {
    await holdTable(context, client, table, leaf);
    yield* copyOut(client, copySql(leaf, table.columns, range, filter), decoder, signal);
  } catch (error) {
    // A table or a column that is not there (any more).
    if (isSqlState(error, '42P01') || isSqlState(error, '42703'))
      throw changed(context, table, 'has another shape', error);
    throw signal.aborted ? error : toSourceError(error, context.node);
  }
}

/**
 * Locks a table against changes of its definition, and checks that it is the one that the snapshot has: rows are read by the present definition, whatever the snapshot says,
 * and what rewrites a table, or empties it, leaves nothing for a snapshot that is older.
 */
async function holdTable(context: SnapshotContext, client: pg.Client, table: Table, leaf: StoredTable): Promise<void> {
  const columns = table.columns.map(({ name }) => quoteName(name)).join(', ');
  const run = (sql: string): Promise<TextRows> => runSimple(client, sql, context.node);
  await run(`LOCK TABLE ONLY ${quoteTable(leaf)} IN ACCESS SHARE MODE`);
  const [file, known, { fields }] = [
    await run(
      `SELECT (relfilenode = pg_catalog.pg_relation_filenode(oid))::pg_catalog.text FROM pg_catalog.pg_class WHERE oid = ${leaf.oid}`,
    ),
    // A query's description says of domains what they are made of.
    await run(`SELECT attname, attnum, CASE typtype WHEN 'd' THEN 'any' ELSE atttypid::pg_catalog.text END
      FROM pg_catalog.pg_attribute JOIN pg_catalog.pg_type ON pg_type.oid = atttypid WHERE attrelid = ${leaf.oid}`),
    await run(`SELECT ${columns} FROM ONLY ${quoteTable(leaf)} LIMIT 0`),
  ];
  if (file.rows[0]?.[0] !== 'true') throw changed(context, table, 'was rewritten or emptied');
  const inSnapshot = new Map(known.rows.map(([name, number, type]) => [name, { number, type }]));
  const isSame = ({ name, tableID, columnID, dataTypeID }: (typeof fields)[number]): boolean => {
    const { number, type } = inSnapshot.get(name) ?? {};
    return tableID === leaf.oid && number === String(columnID) && (type === 'any' || type === String(dataTypeID));
  };
  if (!fields.every(isSame)) throw changed(context, table, 'has another shape');
}

function changed({ node }: SnapshotContext, table: Table, what: string, cause?: unknown): BatonError {
  return new BatonError(
    'SOURCE_CHANGED',
    `${node}: the table ${nameOf(table)} ${what} since the snapshot of it was begun`,
    {
      retryable: true,
      cause,
    },
  );
}
