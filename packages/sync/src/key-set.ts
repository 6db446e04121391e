import { hash } from 'node:crypto';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { Row } from './table.ts';

/**
 * Keys that were seen, any number of them: what does not fit into a few megabytes of memory goes to a temporary file, which is SQLite's and has no name. A key is
 * remembered by 128 bits of its digest.
 */
export class KeySet implements Disposable {
  readonly #database = new DatabaseSync('');
  readonly #add: StatementSync;
  readonly #has: StatementSync;

  constructor() {
    this.#database.exec(
      'PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; CREATE TABLE keys (digest BLOB PRIMARY KEY) WITHOUT ROWID; BEGIN',
    );
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
