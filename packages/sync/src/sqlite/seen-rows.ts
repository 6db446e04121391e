import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { quoteName, rowidOf, type Shape } from './shape.ts';

/** Rows of a table that came while it was read anew, by their numbers, in a passing table: it may be larger than memory. */
export class SeenRows {
  readonly #database: DatabaseSync;
  readonly #name: string;
  readonly #table: string;
  readonly #rowid: string;
  readonly #add: StatementSync;

  constructor(database: DatabaseSync, shape: Shape, name: string) {
    this.#database = database;
    this.#name = `temp.${quoteName(name)}`;
    this.#table = quoteName(shape.sqlName);
    this.#rowid = rowidOf(shape);
    database.exec(`DROP TABLE IF EXISTS ${this.#name}; CREATE TABLE ${this.#name} (number INTEGER PRIMARY KEY)`);
    this.#add = database.prepare(`INSERT OR IGNORE INTO ${this.#name} VALUES (?)`);
  }

  add(number: number | bigint): void {
    this.#add.run(number);
  }

  /** Deletes the rows that did not come, and says how many. */
  deleteOthers(): number {
    const others = `${this.#rowid} NOT IN (SELECT number FROM ${this.#name})`;
    return Number(this.#database.prepare(`DELETE FROM ${this.#table} WHERE ${others}`).run().changes);
  }

  dispose(): void {
    this.#database.exec(`DROP TABLE IF EXISTS ${this.#name}`);
  }
}
