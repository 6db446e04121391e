import { BatonError } from '@batondb/core/errors';
import { openFlags, results } from './codes.ts';
import type { Connection } from './connection.ts';
import { addFunction } from './table-functions.ts';
import type { SpillPlace } from './temporary-file.ts';
import { Values } from './values.ts';
import { Vfs } from './vfs.ts';
import { type Pointer, Wasm } from './wasm.ts';
import type { WasmModule } from './web-assembly.ts';

/** Steps of SQLite's machine between two looks at the clock: some hundred microseconds. */
const progressSteps = 10_000;

/** SQLite's result code, and the statement: 0 when the text had none. */
type Prepared = { readonly code: number; readonly pointer: Pointer };

/** SQLite in one thread, with our file system. */
export class Engine {
  readonly wasm: Wasm;
  readonly vfs: Vfs;
  readonly values: Values;
  readonly connections: Map<Pointer, Connection> = new Map();
  readonly #out: Pointer;
  readonly #onProgress: number;
  readonly #onAuthorize: number;

  constructor(module: WasmModule, spill: SpillPlace) {
    this.wasm = new Wasm(module);
    const code = this.wasm.exports.sqlite3_initialize();
    if (code !== results.OK) throw new BatonError('BUG', `SQLite does not start: result code ${code}`);
    this.vfs = new Vfs(this.wasm, spill);
    this.values = new Values(this.wasm);
    this.#out = this.wasm.exports.malloc(8);
    this.#onProgress = addFunction(this.wasm, 'ii', (db: Pointer) =>
      Number(this.connections.get(db)?.isOverdue() ?? false),
    );
    this.#onAuthorize = addFunction(
      this.wasm,
      'iiiiiii',
      (db: Pointer, action: number, first: Pointer, second: Pointer) =>
        this.connections.get(db)?.authorize(action, this.wasm.text(first), this.wasm.text(second)) ?? results.OK,
    );
  }

  /** Opens a connection by a name that the file system knows. */
  open(name: string, flags: number): Pointer {
    const { pointer } = this.values.put(name);
    const every = flags | openFlags.NOMUTEX | openFlags.EXRESCODE;
    const code = this.wasm.exports.sqlite3_open_v2(pointer, this.#out, every, 0);
    // After the call, since memory may have grown in it.
    const db = this.wasm.view.getInt32(this.#out, true);
    if (code !== results.OK) throw new BatonError('BUG', `SQLite does not open ${name}: result code ${code}`);
    return db;
  }

  /** From now on statements of a connection are watched: what they may do, and how long they take. */
  guard(db: Pointer): void {
    this.wasm.exports.sqlite3_progress_handler(db, progressSteps, this.#onProgress, db);
    this.wasm.exports.sqlite3_set_authorizer(db, this.#onAuthorize, db);
  }

  /** Prepares the first statement of a text. `tail` is what follows it. */
  prepare(db: Pointer, sql: string, flags: number): Prepared & { readonly tail: string } {
    const { pointer: text, bytes } = this.values.put(sql);
    const { code, pointer, tailAt } = this.prepareAt(db, text, bytes, flags);
    const isAll = code !== results.OK || tailAt >= text + bytes;
    return { code, pointer, tail: isAll ? '' : this.wasm.bytes.toString('utf8', tailAt, text + bytes) };
  }

  /** Prepares the first statement of a C string of so many bytes. `tailAt` is where what follows it is. */
  prepareAt(db: Pointer, text: Pointer, bytes: number, flags: number): Prepared & { readonly tailAt: Pointer } {
    const code = this.wasm.exports.sqlite3_prepare_v3(db, text, bytes + 1, flags, this.#out, this.#out + 4);
    const { view } = this.wasm;
    return { code, pointer: view.getUint32(this.#out, true), tailAt: view.getUint32(this.#out + 4, true) };
  }
}
