import { BatonError } from '@batondb/core/errors';
import { type Database, lockPage } from '../machine/database.ts';
import { hiddenName, isHidden } from '../machine/hidden-name.ts';
import type { Machine } from '../machine/machine.ts';
import type { Position } from '../machine/position.ts';
import { checkName, checkPageBytes } from './names.ts';
import type { ImportEnd, ImportPages } from './request.ts';

/**
 * Brings a whole database into the log: it grows under a name that no client can say, in ordinary transactions, and gets its own name by one
 * command when it is what it should be (B6). So replicas learn it like anything else, other writers go on in between, and what a crash leaves is
 * dropped by the next one who leads.
 */
export class Importer {
  readonly #machine: Machine;
  /** Called before a database goes: connections to it are closed. */
  readonly #onLeave: (database: Database) => void;

  constructor(machine: Machine, onLeave: (database: Database) => void) {
    this.#machine = machine;
    this.#onLeave = onLeave;
  }

  /** Opens a hidden database. Throws USAGE; EXISTS when the name is taken and is not to be replaced. */
  async begin({
    name,
    replaces,
    pageBytes,
  }: Pick<ImportEnd, 'name' | 'replaces'> & { readonly pageBytes: number }): Promise<number> {
    checkName(name);
    checkPageBytes(pageBytes);
    this.#checkFree(name, replaces);
    const database = this.#machine.store.nextDatabase;
    await this.#machine.submit({ kind: 'open', database, name: hiddenName(database), pageBytes });
    return database;
  }

  /** Adds pages after those that are there, as one transaction. Resolves when it is accepted. */
  async write({ database: id, first, content }: ImportPages): Promise<Position> {
    const database = this.#find(id);
    const { overlay, pageBytes, published } = database;
    this.#machine.expectWritable();
    overlay.begin(published.pageCount);
    const count = content.length / pageBytes;
    for (let page = 0; page < count; page++) {
      if (first + page === lockPage(pageBytes)) continue;
      overlay.write(first + page, content.subarray(page * pageBytes, (page + 1) * pageBytes));
    }
    overlay.truncate(first + count - 1);
    const sequence = database.seal();
    void this.#machine.flush();
    return await this.#machine.settled(database, sequence);
  }

  /** Gives the database its name, if it has the checksum that it should have. Throws DIGEST_MISMATCH, EXISTS. */
  async end({ database: id, name, replaces, checksum }: ImportEnd): Promise<Position> {
    const database = this.#find(id);
    const found = database.published.checksum;
    if (found !== checksum) {
      throw new BatonError(
        'DIGEST_MISMATCH',
        `what was imported as ${name} has the checksum ${found.toString(16)}, and its file had ${checksum.toString(16)}`,
        { retryable: true, hint: 'the file was changed meanwhile: import it again when nobody writes to it' },
      );
    }
    this.#checkFree(name, replaces);
    const old = this.#machine.store.find(name);
    if (old !== undefined) {
      await this.#machine.flush();
      this.#onLeave(old);
    }
    return await this.#machine.submit({ kind: 'rename', database: id, name });
  }

  /** Drops hidden databases: one of them, or all that there are. */
  async drop(id?: number): Promise<void> {
    for (const database of this.#machine.store.databases) {
      if (!isHidden(database.name) || (id !== undefined && database.id !== id)) continue;
      await this.#machine.submit({ kind: 'drop', database: database.id });
    }
  }

  #checkFree(name: string, replaces: boolean): void {
    if (replaces || this.#machine.store.find(name) === undefined) return;
    throw new BatonError('EXISTS', `there is a database ${name} already`, {
      hint: 'choose another name, or say that it is to be replaced: its file is kept in dropped/',
    });
  }

  #find(id: number): Database {
    const database = this.#machine.store.byId(id);
    if (database !== undefined && isHidden(database.name)) return database;
    throw new BatonError('REFUSED', 'the import was given up, since another node leads now', { retryable: true });
  }
}
