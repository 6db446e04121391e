import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { BatonError } from '@batondb/core/errors';
import { openPassingDatabase } from '../passing-database.ts';
import type { Change, StreamEvent } from '../stream.ts';
import { type Field, keyOf, nameOf, type Row, type Table } from '../table.ts';

const schema = `
  CREATE TABLE changed (source TEXT, key TEXT, row TEXT, base TEXT, PRIMARY KEY (source, key)) WITHOUT ROWID;
  CREATE INDEX bases ON changed (source, base) WHERE base IS NOT NULL;
  CREATE TABLE counted (source TEXT, row TEXT, count INTEGER)`;

/** What a row is after all changes. */
type ChangedRow = {
  /** Undefined: it is gone. Fields that are not known are as in the row of `base`. */
  readonly row: Row | undefined;
  /** The key that the row had in the snapshot, while it has to be looked at. */
  readonly base: string | undefined;
};

/**
 * What became of a snapshot's rows: the last state of every row that was changed since, any number of them. Tables whose shape changed on the way are put aside, with the reason.
 * Told of a stream by `take`, and asked for rows once it is at its end.
 */
export class ChangedRows implements Disposable {
  /** By `Table.id`: why a table cannot be told. */
  readonly moving: Map<string, string> = new Map();
  readonly #database: DatabaseSync;
  readonly #statements: Readonly<Record<'get' | 'put' | 'clear' | 'count' | 'clearCounts' | 'find', StatementSync>>;
  readonly #touched = new Set<string>();
  readonly #emptied = new Set<string>();

  constructor() {
    this.#database = openPassingDatabase(schema);
    const prepare = (sql: string): StatementSync => this.#database.prepare(sql);
    this.#statements = {
      get: prepare('SELECT row, base FROM changed WHERE source = ? AND key = ?'),
      put: prepare('INSERT OR REPLACE INTO changed VALUES (?, ?, ?, ?)'),
      clear: prepare('DELETE FROM changed WHERE source = ?'),
      count: prepare('INSERT INTO counted VALUES (?, ?, ?)'),
      clearCounts: prepare('DELETE FROM counted WHERE source = ?'),
      find: prepare('SELECT row FROM changed WHERE source = ? AND base = ?'),
    };
  }

  take(event: StreamEvent): void {
    switch (event.kind) {
      case 'begin':
      case 'commit':
      case 'reached':
        return;
      case 'reshape':
      case 'resync':
        this.moving.set(event.table.id, 'its columns were changed meanwhile');
        return;
      case 'drop':
        this.moving.set(event.table.id, 'it was dropped or renamed meanwhile');
        return;
      case 'truncate':
        for (const table of event.tables) this.#empty(table);
        return;
      default:
        this.#touched.add(event.table.id);
        if (event.table.key.length === 0) this.#takeCounted(event);
        else this.#takeKeyed(event);
    }
  }

  /** None of the snapshot's rows is there any more. */
  isEmptied({ id }: Table): boolean {
    return this.#emptied.has(id);
  }

  /** What is there in place of a row of the snapshot: the row, none, or others that came of it. */
  inPlaceOf(table: Table, row: Row): readonly Row[] {
    if (!this.#touched.has(table.id) || table.key.length === 0) return [row];
    const key = keyText(table, row);
    const rows = this.#statements.get.get(table.id, key) === undefined ? [row] : [];
    for (const found of this.#statements.find.all(table.id, key)) {
      rows.push(filled(decodeRow(found['row'] as string), row));
    }
    return rows;
  }

  /** Rows that are there whatever the snapshot has. Below zero: so many less are there of those that it has. */
  *others({ id }: Table): Generator<{ readonly row: Row; readonly count: number }, void, undefined> {
    if (!this.#touched.has(id)) return;
    const keyed = this.#database.prepare(
      'SELECT row FROM changed WHERE source = ? AND base IS NULL AND row IS NOT NULL',
    );
    for (const { row } of keyed.iterate(id)) yield { row: decodeRow(row as string), count: 1 };
    const counted = this.#database.prepare('SELECT row, count FROM counted WHERE source = ?');
    for (const { row, count } of counted.iterate(id)) yield { row: decodeRow(row as string), count: count as number };
  }

  /** How many rows are only known by one of the snapshot. */
  partialRows({ id }: Table): number {
    const sql = 'SELECT count(*) AS count FROM changed WHERE source = ? AND base IS NOT NULL';
    return this.#database.prepare(sql).get(id)!['count'] as number;
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }

  #empty({ id }: Table): void {
    this.#emptied.add(id);
    this.#statements.clear.run(id);
    this.#statements.clearCounts.run(id);
  }

  /** Nothing tells these rows apart, so how many there are of each is counted. */
  #takeCounted(change: RowChange): void {
    const { table } = change;
    const count = (row: Row, by: number): void => void this.#statements.count.run(table.id, encodeRow(row), by);
    if (change.kind !== 'insert') {
      if (change.old === undefined || change.old.includes(undefined)) throw unknownRow(table);
      count(change.old, -1);
    }
    if (change.kind !== 'delete') count(change.row, 1);
  }

  #takeKeyed(change: RowChange): void {
    const { table } = change;
    if (change.kind === 'insert') return this.#put(table, { row: change.row, base: undefined });
    const oldKey = keyText(table, change.kind === 'delete' ? change.old : (change.old ?? change.row));
    const known = this.#get(table, oldKey);
    this.#statements.put.run(table.id, oldKey, null, null);
    if (change.kind === 'delete') return;
    const row = known?.row === undefined ? change.row : filled(change.row, known.row);
    if (!row.includes(undefined)) return this.#put(table, { row, base: undefined });
    const base = known === undefined ? oldKey : known.base;
    if (base === undefined || this.#emptied.has(table.id)) throw unknownRow(table);
    this.#put(table, { row, base });
  }

  #get(table: Table, key: string): ChangedRow | undefined {
    const found = this.#statements.get.get(table.id, key);
    if (found === undefined) return undefined;
    const [row, base] = [found['row'] as string | null, found['base'] as string | null];
    return { row: row === null ? undefined : decodeRow(row), base: base ?? undefined };
  }

  #put(table: Table, { row, base }: ChangedRow & { readonly row: Row }): void {
    this.#statements.put.run(table.id, keyText(table, row), encodeRow(row), base ?? null);
  }
}

type RowChange = Extract<Change, { kind: 'insert' | 'update' | 'delete' }>;

function keyText(table: Table, row: Row): string {
  return JSON.stringify(keyOf(table, row));
}

function filled(row: Row, from: Row): Row {
  return row.map((field, place) => (field === undefined ? from[place] : field));
}

/** Fields are texts and null; what is not known is a number. */
function encodeRow(row: Row): string {
  return JSON.stringify(row.map((field) => (field === undefined ? 0 : field)));
}

function decodeRow(text: string): Row {
  return (JSON.parse(text) as (string | null | 0)[]).map((field): Field => (field === 0 ? undefined : field));
}

function unknownRow(table: Table): BatonError {
  return new BatonError('PROTOCOL', `a row of ${nameOf(table)} was changed whose old values were never told`, {
    hint: 'compare again; if it comes back, please report it',
  });
}
