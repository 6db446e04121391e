// A file of lines, folded to the rows that it ends with, against their source.
import { readFileSync } from 'node:fs';
import { compareRows, type Difference } from './compare-rows.ts';
import { canonicalText, type ExactJson, parseExactJson } from './exact-json.ts';
import type { SourceDatabase, SourceTable } from './source-rows.ts';

type Line = ReadonlyMap<string, ExactJson>;
type StoredRow = ReadonlyMap<string, string>;

/** `hello` begins a file, and `state` is the writer's own note. */
type Operation =
  | 'hello'
  | 'dump'
  | 'state'
  | 'rollback'
  | 'table'
  | 'read'
  | 'dumped'
  | 'insert'
  | 'update'
  | 'delete'
  | 'truncate'
  | 'drop'
  | 'resync'
  | 'commit';

/** Rows of one table while lines are folded. */
class FoldedTable {
  readonly #rows = new Map<string, StoredRow[]>();
  #key: readonly string[] = [];
  /** Keys that a dump has brought so far. */
  #dumped = new Set<string>();

  /** Columns that are new are null until a row says otherwise; what is not a column any more is gone. */
  describe(columns: readonly string[], key: readonly string[]): void {
    this.#key = key;
    const rows = this.rows().map((row) => new Map(columns.map((name) => [name, row.get(name) ?? 'null'])));
    this.#rows.clear();
    for (const row of rows) this.insert(row);
  }

  beginDump(): void {
    this.#dumped.clear();
    // Of rows that no key tells apart nobody could say later which of two equal ones the dump has brought.
    if (this.#key.length === 0) this.#rows.clear();
  }

  read(row: StoredRow): void {
    this.#dumped.add(this.#keyOf(row));
    this.insert(row);
  }

  /** Rows that the dump did not bring are gone. */
  endDump(): void {
    for (const key of this.#rows.keys()) if (!this.#dumped.has(key)) this.#rows.delete(key);
    this.#dumped.clear();
  }

  insert(row: StoredRow): void {
    const key = this.#keyOf(row);
    this.#dumped.add(key);
    if (this.#key.length === 0) this.#rows.set(key, [...(this.#rows.get(key) ?? []), row]);
    else this.#rows.set(key, [row]);
  }

  update(row: StoredRow, old: StoredRow | undefined, unchanged: readonly string[]): void {
    const before = this.delete(old ?? row) ?? old;
    const kept = unchanged.map((name) => [name, before?.get(name) ?? '(unknown)'] as const);
    this.insert(new Map([...row, ...kept]));
  }

  delete(row: StoredRow): StoredRow | undefined {
    const key = this.#keyOf(row);
    const rows = this.#rows.get(key);
    const found = rows?.pop();
    if (rows?.length === 0) this.#rows.delete(key);
    return found;
  }

  clear(): void {
    this.#rows.clear();
    this.#dumped.clear();
  }

  rows(): StoredRow[] {
    return [...this.#rows.values()].flat();
  }

  #keyOf(row: StoredRow): string {
    if (this.#key.length > 0) return this.#key.map((name) => row.get(name)).join(',');
    return [...row].map(([name, value]) => `${name}:${value}`).join(',');
  }
}

/** Folds lines up to the last commit that says that everything before it is consistent. */
class Folding {
  readonly tables = new Map<string, FoldedTable>();

  fold(lines: readonly string[]): void {
    const read = lines.filter((line) => line !== '').map((line) => parseExactJson(line) as Line);
    const last = read.findLastIndex((line) => line.get('op') === 'commit' && line.get('open') !== true);
    let waiting: Line[] = [];
    for (const line of read.slice(0, last + 1)) {
      const operation = line.get('op') as Operation;
      if (operation === 'commit') for (const each of waiting) this.#take(each);
      if (operation === 'commit' || operation === 'rollback') waiting = [];
      else waiting.push(line);
    }
  }

  #take(line: Line): void {
    const table = this.#table(line.get('table'));
    switch (line.get('op') as Operation) {
      case 'table':
        return table.describe(namesOf(line.get('columns')), line.get('key') as readonly string[]);
      case 'dump':
        return table.beginDump();
      case 'read':
        return table.read(rowOf(line.get('row')));
      case 'dumped':
        return table.endDump();
      case 'insert':
        return table.insert(rowOf(line.get('row')));
      case 'update': {
        const old = line.has('old') ? rowOf(line.get('old')) : undefined;
        return table.update(rowOf(line.get('row')), old, (line.get('unchanged') ?? []) as readonly string[]);
      }
      case 'delete':
        table.delete(rowOf(line.get('row') ?? line.get('key')));
        return;
      case 'truncate':
        for (const name of line.get('tables') as readonly ExactJson[]) this.#table(name).clear();
        return;
      case 'drop':
        return table.clear();
      // Rows that are read anew come as inserts; of those of a whole table, what has not come until the end is gone.
      case 'resync':
        if (line.get('scope') !== 'table') return;
        return line.get('state') === 'begin' ? table.beginDump() : table.endDump();
      case 'hello':
      case 'state':
      case 'commit':
      case 'rollback':
        return;
    }
  }

  #table(name: ExactJson | undefined): FoldedTable {
    const text = canonicalText(name ?? null);
    const table = this.tables.get(text) ?? new FoldedTable();
    this.tables.set(text, table);
    return table;
  }
}

function namesOf(columns: ExactJson | undefined): string[] {
  return (columns as readonly ReadonlyMap<string, string>[]).map((column) => column.get('name') as string);
}

function rowOf(value: ExactJson | undefined): StoredRow {
  const members = [...(value as ReadonlyMap<string, ExactJson>)];
  return new Map(members.map(([name, member]) => [name, canonicalText(member)]));
}

/** Compares what the lines of a file amount to. */
export async function compareWithNdjson(
  source: SourceDatabase,
  path: string,
  isWanted: (table: SourceTable) => boolean = () => true,
): Promise<Difference[]> {
  const folding = new Folding();
  folding.fold(readFileSync(path, 'utf8').split('\n'));
  const rowsOf = async (table: SourceTable): Promise<StoredRow[] | undefined> =>
    folding.tables.get(JSON.stringify([table.schema, table.name]))?.rows();
  return await compareRows(source, rowsOf, isWanted);
}
