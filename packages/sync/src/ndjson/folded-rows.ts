import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { BatonError } from '@batondb/core/errors';
import { membersOf } from '../json-members.ts';
import { openPassingDatabase } from '../passing-database.ts';
import type { HeldRow } from '../sink.ts';
import type { TableName } from '../table.ts';

/** A table as its lines describe it. */
type Described = { readonly id: string; readonly columns: readonly string[]; readonly key: readonly string[] };

/**
 * The state that lines tell of: what somebody has who reads them all, in their order. Rows may be more than memory holds. docs/sync-ndjson.md is the rule that is followed.
 */
export class FoldedRows implements Disposable {
  readonly #database: DatabaseSync = openPassingDatabase(`
    CREATE TABLE rows (name TEXT, key TEXT, value TEXT, count INTEGER, PRIMARY KEY (name, key)) WITHOUT ROWID`);
  readonly #tables = new Map<string, Described>();
  readonly #put: StatementSync;
  readonly #count: StatementSync;
  readonly #get: StatementSync;
  readonly #delete: StatementSync;
  readonly #clear: StatementSync;

  constructor() {
    this.#put = this.#database.prepare('INSERT OR REPLACE INTO rows VALUES (?, ?, ?, 1)');
    this.#count = this.#database.prepare(
      'INSERT INTO rows VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count',
    );
    this.#get = this.#database.prepare('SELECT value FROM rows WHERE name = ? AND key = ?');
    this.#delete = this.#database.prepare('DELETE FROM rows WHERE name = ? AND key = ?');
    this.#clear = this.#database.prepare('DELETE FROM rows WHERE name = ?');
  }

  /** Throws PROTOCOL for what is no line of ours. */
  take(line: string): void {
    const members = membersOf(line);
    const text = (name: string): string => members.get(name) ?? '{}';
    const table = members.get('table') ?? '';
    switch (JSON.parse(members.get('op') ?? 'null')) {
      case 'table':
        this.#describe(table, line);
        break;
      case 'dump':
      case 'drop':
        this.#clear.run(table);
        break;
      case 'read':
      case 'insert':
        this.#insert(table, text('row'));
        break;
      case 'update':
        this.#update(table, members);
        break;
      case 'delete':
        this.#remove(table, members.get('key') ?? text('row'));
        break;
      case 'truncate':
        for (const name of JSON.parse(text('tables')) as unknown[]) this.#clear.run(JSON.stringify(name));
        break;
      default:
        break;
    }
  }

  *rows({ schema, name }: TableName): Generator<readonly HeldRow[], void, undefined> {
    const statement = this.#database.prepare('SELECT key, value, count FROM rows WHERE name = ? AND count > 0');
    for (const row of statement.iterate(JSON.stringify([schema, name]))) {
      const held = { key: row['key'] as string, value: row['value'] as string };
      yield Array.from({ length: row['count'] as number }, () => held);
    }
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }

  #describe(table: string, line: string): void {
    const { id, columns, key } = JSON.parse(line) as Omit<Described, 'columns'> & {
      readonly columns: readonly { readonly name: string }[];
    };
    const before = this.#tables.get(table);
    if (before !== undefined && before.id !== id) this.#clear.run(table);
    this.#tables.set(table, { id, columns: columns.map(({ name }) => name), key });
  }

  #insert(table: string, row: string): void {
    const { key } = this.#described(table);
    if (key.length === 0) this.#count.run(table, row, row, 1);
    else this.#put.run(table, keyText(membersOf(row), key), row);
  }

  #update(table: string, members: ReadonlyMap<string, string>): void {
    const { key, columns } = this.#described(table);
    const row = members.get('row') ?? '{}';
    const old = members.get('old');
    if (key.length === 0) {
      if (old !== undefined) this.#count.run(table, old, old, -1);
      this.#count.run(table, row, row, 1);
      return;
    }
    const told = membersOf(row);
    const before = keyText(old === undefined ? told : membersOf(old), key);
    const unchanged = members.has('unchanged') ? (JSON.parse(members.get('unchanged')!) as string[]) : [];
    const known = unchanged.length === 0 ? new Map<string, string>() : this.#known(table, before);
    const whole = columns.flatMap((column) => {
      const value = unchanged.includes(column) ? known.get(column) : told.get(column);
      return value === undefined ? [] : [`${JSON.stringify(column)}:${value}`];
    });
    this.#delete.run(table, before);
    this.#insert(table, `{${whole.join(',')}}`);
  }

  #remove(table: string, told: string): void {
    const { key } = this.#described(table);
    if (key.length === 0) this.#count.run(table, told, told, -1);
    else this.#delete.run(table, keyText(membersOf(told), key));
  }

  #known(table: string, key: string): ReadonlyMap<string, string> {
    const found = this.#get.get(table, key);
    return found === undefined ? new Map() : membersOf(found['value'] as string);
  }

  #described(table: string): Described {
    const described = this.#tables.get(table);
    if (described !== undefined) return described;
    throw new BatonError('PROTOCOL', `a line tells of a row of ${table}, which no line before has described`);
  }
}

function keyText(members: ReadonlyMap<string, string>, key: readonly string[]): string {
  return `[${key.map((column) => members.get(column) ?? 'null').join(',')}]`;
}
