import { BatonError } from '@batondb/core/errors';
import { limits } from './limits.ts';

/** SQL texts that a client has stored to name them by number: Hrana 3, "Store an SQL text on the server". */
export class StoredSql {
  readonly #texts = new Map<number, string>();
  #characters = 0;

  /** Throws PROTOCOL for a number that is taken, and LIMIT when there are too many. */
  store(sqlId: number, sql: string): void {
    if (this.#texts.has(sqlId)) throw new BatonError('PROTOCOL', `there is a stored SQL text ${sqlId} already`);
    if (this.#texts.size >= limits.storedSqlMax)
      throw new BatonError('LIMIT', `${this.#texts.size} SQL texts are stored; the limit is ${limits.storedSqlMax}`);
    const characters = this.#characters + sql.length;
    if (characters > limits.storedSqlCharactersMax) {
      throw new BatonError(
        'LIMIT',
        `the stored SQL texts would have ${characters} characters; the limit is ${limits.storedSqlCharactersMax}`,
      );
    }
    this.#texts.set(sqlId, sql);
    this.#characters = characters;
  }

  /** A text that is not there is no error. */
  close(sqlId: number): void {
    this.#characters -= this.#texts.get(sqlId)?.length ?? 0;
    this.#texts.delete(sqlId);
  }

  find(sqlId: number): string {
    const sql = this.#texts.get(sqlId);
    if (sql === undefined) throw new BatonError('PROTOCOL', `there is no stored SQL text ${sqlId}`);
    return sql;
  }
}
