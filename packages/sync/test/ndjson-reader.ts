import { type Contents, rowText } from './sink-model.ts';

// What a reader of lines makes of them who knows docs/sync-ndjson.md and nothing else.

type Json = string | number | null;
type JsonRow = Readonly<Record<string, Json>>;
type Line = {
  readonly op: string;
  readonly table?: readonly [string, string];
  readonly tables?: readonly (readonly [string, string])[];
  readonly id?: string;
  readonly columns?: readonly { readonly name: string }[];
  readonly key?: readonly string[] | JsonRow;
  readonly row?: JsonRow;
  readonly old?: JsonRow;
  readonly unchanged?: readonly string[];
  readonly state?: 'begin' | 'end';
  readonly scope?: 'table' | 'keys';
};
type ReadTable = {
  name: readonly [string, string];
  id: string;
  columns: readonly string[];
  key: readonly string[];
  /** By key; without one, by a number. */
  rows: Map<string, JsonRow>;
  /** Rows of the dump that is going on. */
  dumped: JsonRow[] | undefined;
  /** Keys that came since the whole table is read anew. */
  resynced: Set<string> | undefined;
};

export function readLines(text: string): Contents {
  const lines = text.split('\n').slice(0, -1);
  const end = lines.findLastIndex((line) => line.startsWith('{"op":"commit"'));
  const tables = new Map<string, ReadTable>();
  for (const line of withoutUndone(lines.slice(0, end + 1))) readLine(tables, JSON.parse(line) as Line);
  const contents = [...tables.values()].map(({ name, columns, rows }): [string, string[]] => {
    const texts = [...rows.values()].map((row) => columns.map((column) => asText(row[column])));
    const table = { columns: columns.map((column) => ({ name: column })) };
    return [name.join('.'), texts.map(rowText(table)).toSorted()];
  });
  return new Map(contents.toSorted(([one], [other]) => (one < other ? -1 : 1)));
}

/** What stands between a commit and a rollback does not count. */
function withoutUndone(lines: readonly string[]): readonly string[] {
  const kept: string[] = [];
  let committed = 0;
  for (const line of lines) {
    if (line === '{"op":"rollback"}') kept.length = committed;
    else kept.push(line);
    if (line.startsWith('{"op":"commit"')) committed = kept.length;
  }
  return kept;
}

function readLine(tables: Map<string, ReadTable>, line: Line): void {
  const table = line.table === undefined ? undefined : tables.get(JSON.stringify(line.table));
  switch (line.op) {
    case 'table':
      return readTable(tables, line);
    case 'drop':
      return void tables.delete(JSON.stringify(line.table));
    case 'truncate':
      for (const name of line.tables ?? []) tables.get(JSON.stringify(name))!.rows.clear();
      return;
    case 'dump':
      table!.dumped = [];
      return;
    case 'read':
      return void table!.dumped!.push(line.row!);
    case 'dumped':
      table!.rows.clear();
      for (const row of table!.dumped!) put(table!, row);
      table!.dumped = undefined;
      return;
    case 'resync':
      return resync(table!, line);
    case 'insert':
      return put(table!, line.row!);
    case 'update':
      return update(table!, line);
    case 'delete':
      return void take(table!, line.key as JsonRow);
  }
}

/** Rows stay where the id does; a table of the same name and another id is another one. */
function readTable(tables: Map<string, ReadTable>, line: Line): void {
  const name = line.table!;
  const before = [...tables.entries()].find(([, { id }]) => id === line.id);
  if (before !== undefined) tables.delete(before[0]);
  const holder = tables.get(JSON.stringify(name));
  if (holder !== undefined && before !== undefined) {
    tables.set(`${holder.id} that is told of later`, holder);
  }
  const columns = line.columns!.map((column) => column.name);
  const key = line.key as readonly string[];
  const table: ReadTable = {
    name,
    id: line.id!,
    columns,
    key,
    rows: new Map(),
    dumped: undefined,
    resynced: before?.[1].resynced,
  };
  for (const row of before?.[1].rows.values() ?? []) {
    put(table, Object.fromEntries(columns.map((column) => [column, row[column] ?? null])));
  }
  tables.set(JSON.stringify(name), table);
}

let lastNumber = 0;

function keyText({ key }: ReadTable, row: JsonRow): string {
  return JSON.stringify(key.map((name) => row[name]));
}

function put(table: ReadTable, row: JsonRow): void {
  const key = table.key.length === 0 ? `row ${++lastNumber}` : keyText(table, row);
  table.rows.set(key, row);
  table.resynced?.add(key);
}

function take(table: ReadTable, row: JsonRow): JsonRow | undefined {
  const key = table.key.length === 0 ? placeOf(table, row) : keyText(table, row);
  const taken = table.rows.get(key);
  table.rows.delete(key);
  return taken;
}

function placeOf({ rows, columns }: ReadTable, row: JsonRow): string {
  const isEqual = (each: JsonRow): boolean => columns.every((name) => each[name] === row[name]);
  return [...rows].find(([, each]) => isEqual(each))?.[0] ?? '';
}

/** Of a whole table that was read anew, what did not come is gone. */
function resync(table: ReadTable, { state, scope }: Line): void {
  if (scope !== 'table') return;
  if (state === 'begin') table.resynced = new Set();
  else {
    for (const key of table.rows.keys()) if (!table.resynced?.has(key)) table.rows.delete(key);
    table.resynced = undefined;
  }
}

function update(table: ReadTable, { row, old, unchanged }: Line): void {
  const before = take(table, { ...row, ...old });
  const kept = Object.fromEntries((unchanged ?? []).map((name) => [name, before?.[name] ?? null]));
  put(table, { ...row!, ...kept });
}

function asText(value: Json | undefined): string | null {
  return value === null || value === undefined ? null : String(value);
}
