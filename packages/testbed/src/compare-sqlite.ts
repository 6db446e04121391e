// The tables of a SQLite file, read by Debian's sqlite3, against their source.
import { compareRows, type Difference } from './compare-rows.ts';
import { canonicalText, type ExactJson, exactNumber, parseExactJson } from './exact-json.ts';
import { mustRun } from './processes.ts';
import type { SourceColumn, SourceDatabase, SourceTable } from './source-rows.ts';
import { quoteIdentifier } from './source-types.ts';

/** SQLite's functions take 100 to 127 arguments, and each value has two. */
const columnsMax = 40;

/** Between parts of a line: JSON never has it. */
const separator = '\u001f';

async function query(path: string, sql: string): Promise<string[]> {
  const { stdout } = await mustRun(['sqlite3', '-readonly', '-batch', '-list', path], {
    input: sql,
    timeoutMs: 600_000,
  });
  return stdout.split('\n').filter((line) => line !== '');
}

/** `users` of the schema `public`, `sales_orders` of any other. */
function nameInFile({ schema, name }: SourceTable): string {
  return schema === 'public' ? name : `${schema}_${name}`;
}

/** Class of storage and text of each value. A double comes as its bits: SQLite's own digits are not exact. */
function rowSql(columns: readonly SourceColumn[]): string {
  const parts: string[] = [];
  for (let start = 0; start < columns.length; start += columnsMax) {
    const values = columns.slice(start, start + columnsMax).map(({ name }) => {
      const column = quoteIdentifier(name);
      const text = `CASE typeof(${column}) WHEN 'blob' THEN hex(${column}) WHEN 'real' THEN hex(ieee754_to_blob(${column}))
        ELSE CAST(${column} AS TEXT) END`;
      return `typeof(${column}), ${text}`;
    });
    parts.push(`json_array(${values.join(', ')})`);
  }
  return parts.length === 0 ? "'[]'" : parts.join(` || char(31) || `);
}

/** Compares every row and value, and that decimals are text, numbers are numbers and bytes are blobs. */
export async function compareWithSqlite(
  source: SourceDatabase,
  path: string,
  isWanted: (table: SourceTable) => boolean = () => true,
): Promise<Difference[]> {
  const there = new Set(await query(path, "SELECT name FROM sqlite_schema WHERE type = 'table';"));
  return await compareRows(
    source,
    async (table) => {
      const name = nameInFile(table);
      if (!there.has(name)) return undefined;
      const lines = await query(path, `SELECT ${rowSql(table.columns)} FROM ${quoteIdentifier(name)};`);
      return lines.map((line) => readRow(table.columns, line));
    },
    isWanted,
  );
}

function readRow(columns: readonly SourceColumn[], line: string): ReadonlyMap<string, string> {
  const fields = line.split(separator).flatMap((part) => JSON.parse(part) as (string | null)[]);
  const values = columns.map(({ name, form }, place) => {
    const [storage, text] = [fields[2 * place] ?? 'null', fields[2 * place + 1] ?? null];
    const value = valueOf(form, storage, text);
    // What is stored as something else than it should be is told as it is, and differs.
    return [name, value === undefined ? `${storage}: ${text}` : canonicalText(value)] as const;
  });
  return new Map(values);
}

/** The JSON that a stored value stands for; undefined when a value of this form is not stored so. */
function valueOf(form: SourceColumn['form'], storage: string, text: string | null): ExactJson | undefined {
  if (storage === 'null' || text === null) return null;
  switch (form) {
    case 'boolean':
      return storage === 'integer' && (text === '0' || text === '1') ? text === '1' : undefined;
    case 'integer':
      return storage === 'integer' ? exactNumber(text) : undefined;
    case 'bigint':
      return storage === 'integer' ? text : undefined;
    case 'float':
      return floatOf(storage, text);
    case 'binary':
      return storage === 'blob' ? Buffer.from(text, 'hex').toString('base64') : undefined;
    case 'json':
    case 'array':
    case 'composite':
      return storage === 'text' ? parseExactJson(text) : undefined;
    case 'timestamp':
    case 'timestamptz':
    case 'text':
      return storage === 'text' ? text : undefined;
  }
}

/** NaN, which SQLite would take for NULL, is text. Others are told by the double's shortest text, as the source tells them. */
function floatOf(storage: string, text: string): ExactJson | undefined {
  if (storage === 'text') return text === 'NaN' ? text : undefined;
  if (storage !== 'real') return undefined;
  const number = Buffer.from(text, 'hex').readDoubleBE();
  return Number.isFinite(number) ? exactNumber(String(number)) : String(number);
}
