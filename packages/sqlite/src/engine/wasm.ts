import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { hostFunctions } from './host-functions.ts';
import { type WasmMemory, type WasmModule, type WasmTable, webAssembly } from './web-assembly.ts';

// SQLite's official WebAssembly build, instantiated without its JavaScript: half of that is an emulated file system, and what we
// need of it is a handful of functions. Every file call of C is answered with "not there", so that SQLite reaches files by our VFS
// alone.

/** Bytes of a WebAssembly page. */
const wasmPageBytes = 65_536;
/** What the build was linked with: it refuses less memory, and a larger maximum. */
const initialPages = 128;
const maximumPages = 32_768;

/** A pointer into the memory of one instance. 0 is NULL. */
export type Pointer = number;

/** What SQLite exports, as far as it is called here. 64-bit integers are bigint. */
export type Exports = {
  readonly __indirect_function_table: WasmTable;
  readonly __wasm_call_ctors: () => void;
  readonly malloc: (bytes: number) => Pointer;
  readonly sqlite3_malloc: (bytes: number) => Pointer;
  readonly sqlite3_free: (pointer: Pointer) => void;
  readonly sqlite3_initialize: () => number;
  readonly sqlite3_vfs_register: (vfs: Pointer, makeDefault: number) => number;
  readonly sqlite3_open_v2: (name: Pointer, into: Pointer, flags: number, vfs: Pointer) => number;
  readonly sqlite3_close_v2: (db: Pointer) => number;
  readonly sqlite3_prepare_v3: (
    db: Pointer,
    sql: Pointer,
    bytes: number,
    flags: number,
    into: Pointer,
    tail: Pointer,
  ) => number;
  readonly sqlite3_step: (statement: Pointer) => number;
  readonly sqlite3_reset: (statement: Pointer) => number;
  readonly sqlite3_finalize: (statement: Pointer) => number;
  readonly sqlite3_clear_bindings: (statement: Pointer) => number;
  readonly sqlite3_bind_parameter_count: (statement: Pointer) => number;
  readonly sqlite3_bind_parameter_name: (statement: Pointer, index: number) => Pointer;
  readonly sqlite3_bind_null: (statement: Pointer, index: number) => number;
  readonly sqlite3_bind_int: (statement: Pointer, index: number, value: number) => number;
  readonly sqlite3_bind_int64: (statement: Pointer, index: number, value: bigint) => number;
  readonly sqlite3_bind_double: (statement: Pointer, index: number, value: number) => number;
  readonly sqlite3_bind_text: (
    statement: Pointer,
    index: number,
    text: Pointer,
    bytes: number,
    destructor: number,
  ) => number;
  readonly sqlite3_bind_blob: (
    statement: Pointer,
    index: number,
    blob: Pointer,
    bytes: number,
    destructor: number,
  ) => number;
  readonly sqlite3_column_count: (statement: Pointer) => number;
  readonly sqlite3_column_name: (statement: Pointer, column: number) => Pointer;
  readonly sqlite3_column_decltype: (statement: Pointer, column: number) => Pointer;
  readonly sqlite3_column_type: (statement: Pointer, column: number) => number;
  readonly sqlite3_column_int: (statement: Pointer, column: number) => number;
  readonly sqlite3_column_int64: (statement: Pointer, column: number) => bigint;
  readonly sqlite3_column_double: (statement: Pointer, column: number) => number;
  readonly sqlite3_column_text: (statement: Pointer, column: number) => Pointer;
  readonly sqlite3_column_blob: (statement: Pointer, column: number) => Pointer;
  readonly sqlite3_column_bytes: (statement: Pointer, column: number) => number;
  readonly sqlite3_stmt_readonly: (statement: Pointer) => number;
  readonly sqlite3_stmt_isexplain: (statement: Pointer) => number;
  readonly sqlite3_changes64: (db: Pointer) => bigint;
  readonly sqlite3_total_changes64: (db: Pointer) => bigint;
  readonly sqlite3_last_insert_rowid: (db: Pointer) => bigint;
  readonly sqlite3_get_autocommit: (db: Pointer) => number;
  readonly sqlite3_errmsg: (db: Pointer) => Pointer;
  readonly sqlite3_extended_errcode: (db: Pointer) => number;
  readonly sqlite3_extended_result_codes: (db: Pointer, on: number) => number;
  readonly sqlite3_limit: (db: Pointer, which: number, value: number) => number;
  readonly sqlite3_set_authorizer: (db: Pointer, callback: number, argument: Pointer) => number;
  readonly sqlite3_progress_handler: (db: Pointer, steps: number, callback: number, argument: Pointer) => void;
};

/** One instance: its own memory, its own SQLite. Belongs to the thread that made it. */
export class Wasm {
  readonly exports: Exports;
  readonly #memory: WasmMemory;
  #bytes: Buffer;
  #view: DataView;

  constructor(module: WasmModule) {
    this.#memory = new webAssembly.Memory({ initial: initialPages, maximum: maximumPages });
    this.#bytes = Buffer.from(this.#memory.buffer);
    this.#view = new DataView(this.#memory.buffer);
    const { env, wasi } = hostFunctions(this);
    const imports = { env: { ...env, memory: this.#memory }, wasi_snapshot_preview1: wasi };
    this.exports = new webAssembly.Instance(module, imports).exports as unknown as Exports;
    this.exports.__wasm_call_ctors();
  }

  /** The whole memory. Not to be kept: it is another array after memory has grown. */
  get bytes(): Buffer {
    if (this.#bytes.length === 0) this.#bytes = Buffer.from(this.#memory.buffer);
    return this.#bytes;
  }

  /** The whole memory as numbers. Not to be kept either. */
  get view(): DataView {
    if (this.#view.buffer !== this.#memory.buffer) this.#view = new DataView(this.#memory.buffer);
    return this.#view;
  }

  /** Makes memory at least `bytesMin` large, with some room to grow. False when it cannot. */
  grow(bytesMin: number): boolean {
    const pagesNow = this.#memory.buffer.byteLength / wasmPageBytes;
    const pagesMin = Math.ceil(bytesMin / wasmPageBytes);
    if (pagesMin > maximumPages) return false;
    const pages = Math.min(maximumPages, Math.max(pagesMin, Math.ceil(pagesNow * 1.2)));
    try {
      this.#memory.grow(pages - pagesNow);
      return true;
    } catch {
      return false;
    }
  }

  /** A C string as text; NULL is ''. */
  text(pointer: Pointer): string {
    if (pointer === 0) return '';
    return this.bytes.toString('utf8', pointer, this.bytes.indexOf(0, pointer));
  }

  /** Copies a C string into memory that lives as long as the instance. */
  keepString(text: string): Pointer {
    const content = Buffer.from(`${text}\0`);
    const pointer = this.exports.malloc(content.length);
    this.bytes.set(content, pointer);
    return pointer;
  }
}

let compiled: WasmModule | undefined;

/** The build, compiled once in a thread. A module may be posted to a worker, which then needs no compiling of its own. */
export function sqliteModule(): WasmModule {
  if (compiled === undefined) {
    const path = fileURLToPath(import.meta.resolve('@sqlite.org/sqlite-wasm/sqlite3.wasm'));
    compiled = new webAssembly.Module(readFileSync(path));
  }
  return compiled;
}
