// The rows of a PostgreSQL as a sink must have them, read by psql.
import { canonicalText, type ExactJson, parseExactJson } from './exact-json.ts';
import type { PostgresClient } from './postgres-client.ts';
import { type Form, quoteIdentifier, SourceTypes, typesSql } from './source-types.ts';

export type SourceColumn = { readonly name: string; readonly type: number; readonly form: Form };

/** A table that is replicated: its columns without those that are generated, which are not. */
export type SourceTable = {
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly SourceColumn[];
  /** Names of the primary key's columns, in its order; empty when there is none. */
  readonly key: readonly string[];
};

/** A row: texts of the key's values, and each value's JSON by column, such that equal values are equal texts. */
export type ComparedRow = { readonly keyTexts: readonly string[]; readonly values: ReadonlyMap<string, string> };

/** Of a text: the forms that the comparison expects, and names of types, functions and tables in full. */
const session = `
SET DateStyle TO 'ISO, MDY'; SET IntervalStyle TO 'postgres'; SET TimeZone TO 'UTC'; SET extra_float_digits TO 3;
SET bytea_output TO 'hex'; SET lc_monetary TO 'C'; SET search_path TO pg_catalog; SET default_transaction_read_only TO on;
`;

/** Functions of PostgreSQL take a hundred arguments at most. */
const argumentsMax = 50;

/** A database to compare with. Nobody may write while it is read. */
export class SourceDatabase {
  readonly #client: PostgresClient;
  readonly #database: string;
  readonly #types: SourceTypes;
  readonly tables: readonly SourceTable[];

  constructor(client: PostgresClient, database: string, types: SourceTypes, tables: readonly SourceTable[]) {
    this.#client = client;
    this.#database = database;
    this.#types = types;
    this.tables = tables;
  }

  /** All rows of a table. */
  async rows(table: SourceTable): Promise<ComparedRow[]> {
    const { columns, key } = table;
    const values = columns.map(({ name, type }) => this.#types.tell(`t.${quoteIdentifier(name)}`, type));
    const keys = key.map((name) => `format('%s', t.${quoteIdentifier(name)})`);
    const from = `${quoteIdentifier(table.schema)}.${quoteIdentifier(table.name)} t`;
    const sql = `${session} SELECT jsonb_build_array(${arrayOf(keys)}, ${arrayOf(values)}) FROM ${from};`;
    const lines = (await this.#client.psql(sql, { database: this.#database }))
      .split('\n')
      .filter((line) => line !== '');
    return lines.map((line) => {
      const [keyTexts, told] = parseExactJson(line) as readonly [readonly string[], readonly ExactJson[]];
      const texts = columns.map(({ name, type }, place) => {
        return [name, canonicalText(this.#types.read(told[place] ?? null, type))] as const;
      });
      return { keyTexts, values: new Map(texts) };
    });
  }
}

function arrayOf(values: readonly string[]): string {
  const parts: string[] = [];
  for (let start = 0; start < values.length; start += argumentsMax) {
    parts.push(`jsonb_build_array(${values.slice(start, start + argumentsMax).join(', ')})`);
  }
  return parts.length === 0 ? "'[]'::jsonb" : parts.join(' || ');
}

/** Reads which tables a database has: partitioned ones by their root, or, with `leaves`, by the tables that hold the rows. */
export async function openSourceDatabase(
  client: PostgresClient,
  database: string,
  partitions: 'root' | 'leaves' = 'root',
): Promise<SourceDatabase> {
  const types = new SourceTypes(await client.psql(`${session} ${typesSql};`, { database }));
  const json = await client.psql(`${session} ${tablesSql(partitions)};`, { database });
  const found = JSON.parse(json) as (SourceTable & { columns: Omit<SourceColumn, 'form'>[] })[];
  const tables = found.map((table) => ({
    ...table,
    columns: table.columns.map((column) => ({ ...column, form: types.formOf(column.type) })),
  }));
  return new SourceDatabase(client, database, types, tables);
}

function tablesSql(partitions: 'root' | 'leaves'): string {
  const which = partitions === 'root' ? "c.relkind IN ('r', 'p') AND NOT c.relispartition" : "c.relkind = 'r'";
  return `
SELECT coalesce(json_agg(json_build_object(
  'schema', n.nspname, 'name', c.relname,
  'columns', (
    SELECT coalesce(json_agg(json_build_object('name', a.attname, 'type', a.atttypid::int8) ORDER BY a.attnum), '[]')
    FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
  ),
  'key', (
    SELECT coalesce(json_agg(a.attname ORDER BY k.place), '[]')
    FROM pg_index i CROSS JOIN unnest(i.indkey) WITH ORDINALITY k (attnum, place)
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
    WHERE i.indrelid = c.oid AND i.indisprimary
  )
) ORDER BY n.nspname, c.relname), '[]')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE ${which} AND c.relpersistence = 'p' AND n.nspname NOT IN ('pg_catalog', 'information_schema')`;
}
