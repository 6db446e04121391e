// The rows of a PostgreSQL as a sink must have them, read by psql.
import { canonicalText, type ExactJson, parseExactJson } from './exact-json.ts';
import type { PostgresClient } from './postgres-client.ts';
import { linesOf } from './processes.ts';
import { type Form, quoteIdentifier, SourceTypes, typesSql } from './source-types.ts';

export type SourceColumn = { readonly name: string; readonly type: number; readonly form: Form };

/** A table that is replicated: its columns without those that are generated, which are not. */
export type SourceTable = {
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly SourceColumn[];
  /** Names of the columns of the primary key, or of the index that is the replica identity instead, in its order. */
  readonly key: readonly string[];
};

/** A row: texts of the key's values, and each value's JSON by column, such that equal values are equal texts. */
export type ComparedRow = { readonly keyTexts: readonly string[]; readonly values: ReadonlyMap<string, string> };

export type TableRows = { readonly table: SourceTable; readonly rows: readonly ComparedRow[] };

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

  /** Tables with all of their rows, one after the other, all from one snapshot. */
  async *read(isWanted: (table: SourceTable) => boolean): AsyncGenerator<TableRows> {
    const tables = this.tables.filter(isWanted);
    const queries = tables.map((table) => `${this.#query(table)};\n\\echo ${tableEnd}\n`);
    const input = `${session} BEGIN ISOLATION LEVEL REPEATABLE READ;\n${queries.join('')}`;
    const argv = this.#client.psqlArgv({ database: this.#database });
    let rows: ComparedRow[] = [];
    let place = 0;
    for await (const line of linesOf(argv, { input, env: this.#client.psqlEnv() })) {
      const table = tables[place] as SourceTable;
      if (line !== tableEnd) rows.push(this.#row(table, line));
      else {
        yield { table, rows };
        rows = [];
        place++;
      }
    }
  }

  #query({ schema, name, columns, key }: SourceTable): string {
    const values = columns.map((column) => this.#types.tell(`t.${quoteIdentifier(column.name)}`, column.type));
    const keys = key.map((column) => `format('%s', t.${quoteIdentifier(column)})`);
    const from = `${quoteIdentifier(schema)}.${quoteIdentifier(name)} t`;
    return `SELECT jsonb_build_array(${arrayOf(keys)}, ${arrayOf(values)}) FROM ${from}`;
  }

  #row({ columns }: SourceTable, line: string): ComparedRow {
    const [keyTexts, told] = parseExactJson(line) as readonly [readonly string[], readonly ExactJson[]];
    const texts = columns.map(({ name, type }, place) => {
      return [name, canonicalText(this.#types.read(told[place] ?? null, type))] as const;
    });
    return { keyTexts, values: new Map(texts) };
  }
}

/** A line between tables; those of rows are arrays. */
const tableEnd = 'end';

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
    WHERE i.indrelid = c.oid AND CASE c.relreplident WHEN 'i' THEN i.indisreplident ELSE i.indisprimary END
  )
) ORDER BY n.nspname, c.relname), '[]')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE ${which} AND c.relpersistence = 'p' AND n.nspname NOT IN ('pg_catalog', 'information_schema')`;
}
