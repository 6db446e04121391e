import { hash } from 'node:crypto';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { openPassingDatabase } from './passing-database.ts';
import type { Row } from './table.ts';

/** Keys that were seen, any number of them. A key is remembered by 128 bits of its digest. */
export class KeySet implements Disposable {
  readonly #database: DatabaseSync = openPassingDatabase('CREATE TABLE keys (digest BLOB PRIMARY KEY) WITHOUT ROWID');
  readonly #add: StatementSync;
  readonly #has: StatementSync;

  constructor() {
    this.#add = this.#database.prepare('INSERT OR IGNORE INTO keys VALUES (?)');
    this.#has = this.#database.prepare('SELECT 1 FROM keys WHERE digest = ?');
  }

  add(key: Row): void {
    this.#add.run(digestOf(key));
  }

  has(key: Row): boolean {
    return this.#has.get(digestOf(key)) !== undefined;
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }
}

function digestOf(key: Row): Buffer {
  return hash('sha256', JSON.stringify(key), 'buffer').subarray(0, 16);
}
