import { BatonError } from '@batondb/core/errors';
import type { Engine } from './engine.ts';
import type { Pointer } from './wasm.ts';

/** A text of many statements, in memory once: to hand on what is left after each would take time by the square of its length. */
export class Script implements Disposable {
  readonly #engine: Engine;
  readonly #text: Pointer;
  readonly #end: Pointer;
  #at: Pointer;

  constructor(engine: Engine, sql: string) {
    const { exports } = engine.wasm;
    const length = Buffer.byteLength(sql);
    this.#engine = engine;
    this.#text = exports.sqlite3_malloc(length + 1);
    if (this.#text === 0) throw new BatonError('LIMIT', `a text of ${length} bytes does not fit into memory`);
    const { bytes } = engine.wasm;
    bytes.write(sql, this.#text);
    this.#end = this.#text + length;
    bytes[this.#end] = 0;
    this.#at = this.#text;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#end;
  }

  /** Prepares what comes next, and goes behind it. No statement is there between two semicolons. */
  prepareNext(db: Pointer, flags: number): { readonly code: number; readonly pointer: Pointer } {
    const { code, pointer, tailAt } = this.#engine.prepareAt(db, this.#at, this.#end - this.#at, flags);
    // SQLite's texts end with a NUL, and so does a text that has one within.
    this.#at = tailAt > this.#at ? tailAt : this.#end;
    return { code, pointer };
  }

  [Symbol.dispose](): void {
    this.#engine.wasm.exports.sqlite3_free(this.#text);
  }
}
