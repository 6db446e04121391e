import { isDiskFull, noSpace } from '../log/no-space.ts';
import { fileControls, openFlags, results } from './codes.ts';
import { fillRandom } from './host-functions.ts';
import type { PageSource } from './page-source.ts';
import { addFunction } from './table-functions.ts';
import { type SpillPlace, TemporaryFile } from './temporary-file.ts';
import type { Pointer, Wasm } from './wasm.ts';

// SQLite's file system: databases are page sources, all other files are temporary. The layout of the structures is that of
// https://www.sqlite.org/c3ref/vfs.html and https://www.sqlite.org/c3ref/io_methods.html with pointers of 32 bits.

const vfsName = 'baton';
const pathBytesMax = 128;
/** sqlite3_file is one pointer, to the methods. */
const fileBytes = 4;
/** Whole sectors are written, and what is not written keeps its bytes; open files have names nobody else uses. */
const deviceCharacteristics = 0x1000 | 0x0800;
/** Julian day of 1970-01-01, in milliseconds. */
const julianEpochMs = 210_866_760_000_000;

/** The file system of one instance of SQLite. */
export class Vfs {
  readonly #wasm: Wasm;
  readonly #spill: SpillPlace;
  readonly #sources = new Map<string, PageSource>();
  readonly #databases = new Map<Pointer, PageSource>();
  readonly #temporaries = new Map<Pointer, TemporaryFile>();
  /** Journals, which SQLite closes and finds again. */
  readonly #named = new Map<string, TemporaryFile>();
  #error: unknown;
  #nextName = 0;

  constructor(wasm: Wasm, spill: SpillPlace) {
    this.#wasm = wasm;
    this.#spill = spill;
    this.#register();
  }

  /** The name under which SQLite opens a database. */
  offer(source: PageSource): string {
    this.#nextName += 1;
    const name = `/${this.#nextName}`;
    this.#sources.set(name, source);
    return name;
  }

  /** A connection to what was offered is closed. */
  withdraw(name: string): void {
    this.#sources.delete(name);
    for (const [file, temporary] of this.#named) {
      if (!file.startsWith(`${name}-`)) continue;
      temporary[Symbol.dispose]();
      this.#named.delete(file);
    }
  }

  /** What was thrown within a call of SQLite, which only knows that there was an error. */
  takeError(): unknown {
    const error = this.#error;
    this.#error = undefined;
    return error;
  }

  #register(): void {
    const { exports } = this.#wasm;
    const methods = exports.malloc(13 * 4);
    const ioMethods: [string, (...parameters: never[]) => unknown][] = [
      ['ii', (file: Pointer) => this.#close(file)],
      [
        'iiiij',
        (file: Pointer, into: Pointer, bytes: number, offset: bigint) => this.#read(file, into, bytes, Number(offset)),
      ],
      [
        'iiiij',
        (file: Pointer, from: Pointer, bytes: number, offset: bigint) => this.#write(file, from, bytes, Number(offset)),
      ],
      ['iij', (file: Pointer, bytes: bigint) => this.#truncate(file, Number(bytes))],
      ['iii', () => results.OK],
      ['iii', (file: Pointer, into: Pointer) => this.#fileSize(file, into)],
      [
        'iii',
        (file: Pointer, level: number) => this.#guard(() => this.#databases.get(file)?.lock(level) ?? results.OK),
      ],
      ['iii', (file: Pointer, level: number) => this.#unlock(file, level)],
      ['iii', (file: Pointer, into: Pointer) => this.#checkReserved(file, into)],
      ['iiii', (file: Pointer, operation: number) => this.#control(file, operation)],
      ['ii', () => 0],
      ['ii', () => deviceCharacteristics],
    ];
    this.#fill(methods, [1, ...ioMethods.map(([signature, method]) => addFunction(this.#wasm, signature, method))]);

    const vfsMethods: [string, (...parameters: never[]) => unknown][] = [
      [
        'iiiiii',
        (_vfs: Pointer, name: Pointer, file: Pointer, flags: number, out: Pointer) =>
          this.#open(name, file, flags, out, methods),
      ],
      ['iiii', (_vfs: Pointer, name: Pointer) => this.#delete(name)],
      ['iiiii', (_vfs: Pointer, _name: Pointer, _flags: number, into: Pointer) => this.#access(into)],
      ['iiiii', (_vfs: Pointer, name: Pointer, bytes: number, into: Pointer) => this.#fullPath(name, bytes, into)],
    ];
    const lateMethods: [string, (...parameters: never[]) => unknown][] = [
      ['iiii', (_vfs: Pointer, bytes: number, into: Pointer) => this.#random(bytes, into)],
      ['iii', () => 0],
      ['iii', () => results.ERROR],
      ['iiii', () => 0],
      ['iii', (_vfs: Pointer, into: Pointer) => this.#now(into)],
    ];
    const add = ([signature, method]: [string, (...parameters: never[]) => unknown]): number =>
      addFunction(this.#wasm, signature, method);
    const vfs = exports.malloc(19 * 4);
    const head = [2, fileBytes, pathBytesMax, 0, this.#wasm.keepString(vfsName), 0];
    const noExtensions = [0, 0, 0, 0];
    this.#fill(vfs, [...head, ...vfsMethods.map(add), ...noExtensions, ...lateMethods.map(add)]);
    exports.sqlite3_vfs_register(vfs, 1);
  }

  #fill(pointer: Pointer, words: readonly number[]): void {
    for (const [index, word] of words.entries()) this.#wasm.view.setInt32(pointer + index * 4, word, true);
  }

  #guard(work: () => number): number {
    try {
      return work();
    } catch (error) {
      if (!isDiskFull(error)) {
        this.#error ??= error;
        return results.IOERR;
      }
      this.#error ??= noSpace('no space for what a statement keeps on the disk while it runs', error);
      return results.FULL;
    }
  }

  #open(name: Pointer, file: Pointer, flags: number, out: Pointer, methods: Pointer): number {
    const text = this.#wasm.text(name);
    if ((flags & openFlags.MAIN_DB) !== 0) {
      const source = this.#sources.get(text);
      if (source === undefined) return results.CANTOPEN;
      this.#databases.set(file, source);
    } else {
      const temporary = this.#named.get(text) ?? new TemporaryFile(this.#spill);
      if (name !== 0) this.#named.set(text, temporary);
      this.#temporaries.set(file, temporary);
    }
    this.#wasm.view.setUint32(file, methods, true);
    if (out !== 0) this.#wasm.view.setInt32(out, flags, true);
    return results.OK;
  }

  #close(file: Pointer): number {
    const temporary = this.#temporaries.get(file);
    if (temporary !== undefined && ![...this.#named.values()].includes(temporary)) temporary[Symbol.dispose]();
    this.#temporaries.delete(file);
    this.#databases.delete(file);
    return results.OK;
  }

  #read(file: Pointer, into: Pointer, bytes: number, offset: number): number {
    return this.#guard(() => {
      const target = this.#wasm.bytes.subarray(into, into + bytes);
      const source = this.#databases.get(file);
      if (source === undefined)
        return this.#temporaries.get(file)!.read(target, offset) < bytes ? results.IOERR_SHORT_READ : results.OK;
      const page = Math.floor(offset / source.pageBytes) + 1;
      if (page > source.pageCount()) {
        target.fill(0);
        return results.IOERR_SHORT_READ;
      }
      source.read(page, offset % source.pageBytes, target);
      return results.OK;
    });
  }

  #write(file: Pointer, from: Pointer, bytes: number, offset: number): number {
    return this.#guard(() => {
      const content = this.#wasm.bytes.subarray(from, from + bytes);
      const source = this.#databases.get(file);
      if (source === undefined) this.#temporaries.get(file)!.write(content, offset);
      else if (bytes !== source.pageBytes) return results.MISUSE;
      else source.write(offset / bytes + 1, content);
      return results.OK;
    });
  }

  #truncate(file: Pointer, bytes: number): number {
    return this.#guard(() => {
      const source = this.#databases.get(file);
      if (source === undefined) this.#temporaries.get(file)!.truncate(bytes);
      else source.truncate(bytes / source.pageBytes);
      return results.OK;
    });
  }

  #fileSize(file: Pointer, into: Pointer): number {
    return this.#guard(() => {
      const source = this.#databases.get(file);
      const bytes = source === undefined ? this.#temporaries.get(file)!.size : source.pageCount() * source.pageBytes;
      this.#wasm.view.setBigInt64(into, BigInt(bytes), true);
      return results.OK;
    });
  }

  #unlock(file: Pointer, level: number): number {
    return this.#guard(() => {
      this.#databases.get(file)?.unlock(level);
      return results.OK;
    });
  }

  #checkReserved(file: Pointer, into: Pointer): number {
    this.#wasm.view.setInt32(into, Number(this.#databases.get(file)?.isReserved() ?? false), true);
    return results.OK;
  }

  #control(file: Pointer, operation: number): number {
    if (operation !== fileControls.COMMIT_PHASETWO) return results.NOTFOUND;
    return this.#guard(() => {
      this.#databases.get(file)?.commit();
      return results.OK;
    });
  }

  #delete(name: Pointer): number {
    const text = this.#wasm.text(name);
    this.#named.get(text)?.[Symbol.dispose]();
    this.#named.delete(text);
    return results.OK;
  }

  /** SQLite asks in every transaction for a journal that a crash has left. What a crash leaves of ours has no name. */
  #access(into: Pointer): number {
    this.#wasm.view.setInt32(into, 0, true);
    return results.OK;
  }

  #fullPath(name: Pointer, bytes: number, into: Pointer): number {
    const text = Buffer.from(`${this.#wasm.text(name)}\0`);
    if (text.length > bytes) return results.CANTOPEN;
    this.#wasm.bytes.set(text, into);
    return results.OK;
  }

  #random(bytes: number, into: Pointer): number {
    fillRandom(this.#wasm.bytes.subarray(into, into + bytes));
    return bytes;
  }

  #now(into: Pointer): number {
    this.#wasm.view.setBigInt64(into, BigInt(julianEpochMs + Date.now()), true);
    return results.OK;
  }
}
