import type { Position, Row, StreamEvent, Table } from '@batondb/sync';
import { keyOf, nameOf } from '@batondb/sync';

// What a sink has to hold after a stream, in the plainest words that there are for it.

/** Rows of tables, by the table's name: texts, each of one row, in order. Two sinks that hold the same have the same. */
export type Contents = ReadonlyMap<string, readonly string[]>;

type ModelTable = { table: Table; rows: Row[] };

export class SinkModel {
  readonly #tables = new Map<string, ModelTable>();
  /** Contents where a transaction ended, by its position. */
  readonly #states = new Map<Position, { readonly contents: Contents; readonly isOpen: boolean }>();

  constructor(tables: readonly Table[] = []) {
    for (const table of tables) this.#tables.set(table.id, { table, rows: [] });
  }

  get tables(): readonly Table[] {
    return [...this.#tables.values()].map(({ table }) => table);
  }

  rowsOf(table: Table): readonly Row[] {
    return this.#tables.get(table.id)?.rows ?? [];
  }

  contents(): Contents {
    return contentsOf([...this.#tables.values()]);
  }

  at(position: Position): { readonly contents: Contents; readonly isOpen: boolean } {
    const state = this.#states.get(position);
    if (state === undefined) throw new Error(`no transaction ended at ${position}`);
    return state;
  }

  apply(event: StreamEvent): void {
    switch (event.kind) {
      case 'begin':
      case 'resync':
        break;
      case 'insert':
        this.#put(event.table, event.row);
        break;
      case 'update':
        this.#update(event.table, event.row, event.old);
        break;
      case 'delete':
        this.#remove(event.table, event.old);
        break;
      case 'truncate':
        for (const { id } of event.tables) this.#tables.get(id)!.rows = [];
        break;
      case 'reshape':
        this.#reshape(event.table);
        break;
      case 'drop':
        this.#tables.delete(event.table.id);
        break;
      case 'commit':
      case 'reached':
        this.#states.set(event.position, { contents: this.contents(), isOpen: event.isOpen ?? false });
        break;
    }
  }

  #find(table: Table, row: Row): number {
    const { rows } = this.#tables.get(table.id)!;
    const wanted = JSON.stringify(table.key.length === 0 ? row : keyOf(table, row));
    return rows.findIndex((each) => JSON.stringify(table.key.length === 0 ? each : keyOf(table, each)) === wanted);
  }

  #put(table: Table, row: Row): void {
    const { rows } = this.#tables.get(table.id)!;
    const place = table.key.length === 0 ? -1 : this.#find(table, row);
    if (place < 0) rows.push(row);
    else rows[place] = row;
  }

  #remove(table: Table, old: Row): void {
    const place = this.#find(table, old);
    if (place >= 0) this.#tables.get(table.id)!.rows.splice(place, 1);
  }

  #update(table: Table, row: Row, old: Row | undefined): void {
    const { rows } = this.#tables.get(table.id)!;
    const place = this.#find(table, old ?? row);
    const before = rows[place];
    const now = row.map((field, column) => field ?? (field === null ? null : (old?.[column] ?? before?.[column])));
    if (place >= 0) rows.splice(place, 1);
    this.#put(table, now);
  }

  /** Rows keep what they have of the columns that are still there. */
  #reshape(table: Table): void {
    const before = this.#tables.get(table.id);
    if (before === undefined) {
      this.#tables.set(table.id, { table, rows: [] });
      return;
    }
    const from = table.columns.map(({ name }) => before.table.columns.findIndex((column) => column.name === name));
    const rows = before.rows.map((row) => from.map((place) => (place < 0 ? null : (row[place] ?? null))));
    this.#tables.set(table.id, { table, rows });
  }
}

export function contentsOf(tables: readonly { readonly table: Table; readonly rows: readonly Row[] }[]): Contents {
  return new Map(
    tables
      .map(({ table, rows }): [string, string[]] => [nameOf(table), rows.map(rowText(table)).toSorted()])
      .toSorted(([one], [other]) => (one < other ? -1 : 1)),
  );
}

/** `["id=1","x=two"]`, with the source's own texts. */
export function rowText(table: {
  readonly columns: readonly { readonly name: string }[];
}): (row: readonly (string | null | undefined)[]) => string {
  return (row) => JSON.stringify(table.columns.map(({ name }, place) => `${name}=${row[place] ?? 'NULL'}`));
}
