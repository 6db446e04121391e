import { BatonError } from '@batondb/core/errors';
import type pg from 'pg';
import type { Table, TableName, ValueCodec } from '../table.ts';
import { runQuery } from './connect.ts';
import { type RowTrace, rowTraceSql } from './row-trace.ts';
import { readCodecs } from './type-catalog.ts';

// What the catalog says of published tables. Everything is asked in one statement each, so that it is of one moment.

export type ReplicaIdentity = 'default' | 'nothing' | 'full' | 'index';

/** A table, and what its rows of before may have in columns that were not there. */
export type RelationDescription = {
  readonly table: Table;
  /** Columns that are NULL in every row older than they are, if nothing was rewritten since they came: added without a default. */
  readonly emptyColumns: ReadonlySet<string>;
  /** Undefined: the catalog does not know it any more. */
  readonly trace: RowTrace | undefined;
};

/** A published table as it is now. */
export type PublishedTable = RelationDescription & {
  readonly identity: ReplicaIdentity;
  /** The publication's row filter as SQL; undefined: all rows. */
  readonly filter: string | undefined;
  readonly isPartitioned: boolean;
  /** Of a partitioned table that is published as one. */
  readonly partitions: readonly Partition[];
  /** What publishes it: another text when it was taken out and put in again, or with other rows. */
  readonly publishedBy: string | null;
};

/** A partition of some level. */
export type Partition = {
  readonly oid: number;
  /** The file of its rows, another one when they were rewritten or truncated. Of a partition with partitions: null. */
  readonly file: number | null;
  /** It was empty when it came: made as a partition, and not attached. */
  readonly isBorn: boolean;
};

type ColumnRecord = {
  readonly name: string;
  readonly number: number;
  readonly oid: number;
  readonly type: string;
  readonly isNullable: boolean;
  readonly isEmpty: boolean;
};

type TableRecord = TableName & {
  readonly oid: number;
  readonly kind: string;
  readonly identity: string;
  readonly columns: readonly ColumnRecord[];
  /** Of the index that the identity names: the primary key, or the chosen one. */
  readonly key: readonly string[] | null;
  readonly filters: readonly (string | null)[];
  readonly partitions: readonly Partition[] | null;
  readonly publishedBy: string | null;
  readonly trace: RowTrace;
};

const identities: Readonly<Record<string, ReplicaIdentity>> = { d: 'default', n: 'nothing', f: 'full', i: 'index' };

/** A column that was added so is NULL in older rows. A partitioned table has its rows, and what older ones have in a new column, in its partitions. */
export const isEmptySql: string = `(${hasNothing('attribute')} AND CASE relation.relkind WHEN 'p' THEN NOT EXISTS (
  SELECT FROM pg_partition_tree(relation.oid) AS tree JOIN pg_attribute AS leaf ON leaf.attrelid = tree.relid
  WHERE leaf.attname = attribute.attname AND NOT ${hasNothing('leaf')}) ELSE true END)`;

/** `attribute` is an alias of pg_attribute. */
function hasNothing(attribute: string): string {
  const marks = ['attnotnull', 'atthasdef', 'atthasmissing'].map((mark) => `NOT ${attribute}.${mark}`);
  return `(${marks.join(' AND ')} AND ${attribute}.attidentity = '')`;
}

/**
 * CREATE TABLE … PARTITION OF writes a table's type and its place among the partitions in one command, with two steps between; whoever attaches a table takes more, or another
 * transaction.
 */
const partitionsSql = `(
  SELECT json_agg(json_build_object(
    'oid', tree.relid::oid::int8, 'file', pg_relation_filenode(tree.relid)::int8,
    'isBorn', type.xmin = place.xmin AND place.cmin::text::int8 - type.cmin::text::int8 <= 2))
  FROM pg_partition_tree(relation.oid) AS tree
  JOIN pg_inherits AS place ON place.inhrelid = tree.relid
  JOIN pg_type AS type ON type.typrelid = tree.relid
  WHERE tree.level > 0
)`;

/** The columns of the index by which rows are told apart, in its order. `relation` is an alias of pg_class. */
export const keySql: string = `(
  SELECT json_agg(attribute.attname ORDER BY place.number)
  FROM pg_index AS index
  CROSS JOIN LATERAL unnest(index.indkey[0:index.indnkeyatts - 1]::int2[]) WITH ORDINALITY AS place (attnum, number)
  JOIN pg_attribute AS attribute ON attribute.attrelid = index.indrelid AND attribute.attnum = place.attnum
  WHERE index.indrelid = relation.oid AND index.indisvalid
    AND CASE WHEN relation.relreplident = 'i' THEN index.indisreplident ELSE index.indisprimary END
)`;

/** All tables of the publications. Throws NOT_FOUND for a publication that is not there. */
export async function readPublishedTables(
  client: pg.Client,
  publications: readonly string[],
  serverVersion: number,
  node: string,
): Promise<readonly PublishedTable[]> {
  const found = await runQuery(
    client,
    'SELECT pubname FROM pg_publication WHERE pubname = ANY ($1)',
    [publications],
    node,
  );
  const names = new Set(found.rows.map(([name]) => name));
  const missing = publications.find((name) => !names.has(name));
  if (missing !== undefined) {
    throw new BatonError('NOT_FOUND', `${node}: there is no publication "${missing}"`, {
      hint: '`baton sync setup` creates it; running never does',
    });
  }
  const { rows } = await runQuery(client, publishedTablesSql(serverVersion), [publications], node);
  const records = rows.map(([text]) => JSON.parse(text ?? '') as TableRecord);
  const codecs = await readCodecs(
    client,
    records.flatMap(({ columns }) => columns.map(({ oid }) => oid)),
    node,
  );
  return records.map((record) => describeTable(record, codecs));
}

function publishedTablesSql(serverVersion: number): string {
  // Since 15 a publication may choose columns and rows; since 18 it may publish generated columns, which are then among those it names.
  const generated = serverVersion >= 180_000 ? '' : "AND attribute.attgenerated = ''";
  const filters = serverVersion >= 150_000 ? 'json_agg(published.rowfilter)' : "'[null]'::json";
  const attnames = serverVersion >= 150_000 ? 'published.attnames' : 'NULL::name[]';
  const ofSchemas =
    serverVersion >= 150_000
      ? ' UNION ALL SELECT oid FROM pg_publication_namespace WHERE pnnspid = relation.relnamespace AND pnpubid = ANY (published.publications)'
      : '';
  const isChosen = serverVersion >= 150_000 ? 'AND attribute.attname = ANY (published.attnames)' : '';
  return `SELECT json_build_object(
    'oid', relation.oid::int8, 'schema', namespace.nspname, 'name', relation.relname, 'kind', relation.relkind, 'identity', relation.relreplident,
    'filters', published.filters,
    'key', ${keySql},
    'trace', ${rowTraceSql},
    'publishedBy', (
      SELECT string_agg(entry.oid::text, ',' ORDER BY entry.oid) FROM (
        SELECT oid FROM pg_publication_rel WHERE prrelid = relation.oid AND prpubid = ANY (published.publications)${ofSchemas}
      ) AS entry),
    'partitions', CASE WHEN relation.relkind = 'p' THEN ${partitionsSql} END,
    'columns', coalesce((
      SELECT json_agg(json_build_object(
        'name', attribute.attname, 'number', attribute.attnum, 'oid', attribute.atttypid::int8, 'type', format_type(attribute.atttypid, attribute.atttypmod),
        'isNullable', NOT attribute.attnotnull, 'isEmpty', ${isEmptySql}) ORDER BY attribute.attnum)
      FROM pg_attribute AS attribute
      WHERE attribute.attrelid = relation.oid AND attribute.attnum > 0 AND NOT attribute.attisdropped ${generated} ${isChosen}
    ), '[]'))
  FROM (
    SELECT published.schemaname, published.tablename, array_agg(publication.oid) AS publications, ${filters} AS filters, (array_agg(${attnames}::text))[1]::name[] AS attnames
    FROM pg_publication_tables AS published
    JOIN pg_publication AS publication ON publication.pubname = published.pubname
    WHERE published.pubname = ANY ($1)
    GROUP BY published.schemaname, published.tablename
  ) AS published
  JOIN pg_namespace AS namespace ON namespace.nspname = published.schemaname
  JOIN pg_class AS relation ON relation.relnamespace = namespace.oid AND relation.relname = published.tablename
  ORDER BY namespace.nspname, relation.relname`;
}

function describeTable(record: TableRecord, codecs: (oid: number) => ValueCodec): PublishedTable {
  const identity = identities[record.identity] ?? 'nothing';
  const columns = record.columns.map(({ name, number, oid, type, isNullable }) => ({
    name,
    number,
    type,
    isNullable,
    codec: codecs(oid),
  }));
  const filters = record.filters.filter((filter) => filter !== null);
  return {
    table: {
      schema: record.schema,
      name: record.name,
      id: String(record.oid),
      columns,
      key: placesOf(record.key ?? [], columns),
      hasWholeOldRows: identity === 'full',
    },
    emptyColumns: new Set(record.columns.flatMap(({ name, isEmpty }) => (isEmpty ? [name] : []))),
    identity,
    // One publication that takes all rows is enough for all rows.
    filter: filters.length < record.filters.length ? undefined : filters.map((filter) => `(${filter})`).join(' OR '),
    isPartitioned: record.kind === 'p',
    partitions: record.partitions ?? [],
    publishedBy: record.publishedBy,
    trace: record.trace,
  };
}

/** Empty when one of them is not there: a part of a key tells nothing apart. */
export function placesOf(names: readonly string[], columns: readonly { readonly name: string }[]): number[] {
  const places = names.map((name) => columns.findIndex((column) => column.name === name));
  return places.includes(-1) ? [] : places;
}
