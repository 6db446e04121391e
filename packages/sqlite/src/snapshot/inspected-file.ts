import { BatonError } from '@batondb/core/errors';
import { toBatonError } from '@batondb/core/files/system-error';
import type { Engine } from '../engine/engine.ts';
import type { FileLayer, LayerFile } from '../log/file-layer.ts';
import { checkIntegrity, checksumOf } from './check.ts';
import type { FileInspection } from './check-calls.ts';
import { FileView, readHeader } from './file-view.ts';

/** A SQLite file of somebody else's, whose pages are to be taken over. */
export class InspectedFile implements Disposable {
  readonly #path: string;
  readonly #called: string;
  readonly #layer: FileLayer;
  readonly #file: LayerFile;
  readonly #view: FileView;
  readonly #shape: { readonly pageBytes: number; readonly pageCount: number };

  /** `called`: what errors call it. Throws NOT_FOUND, NO_PERMISSION, UNSUPPORTED. */
  constructor(layer: FileLayer, path: string, called: string) {
    this.#path = path;
    this.#called = called;
    this.#layer = layer;
    try {
      this.#file = layer.open(path, 'read');
    } catch (error) {
      throw toBatonError(error, { path: called });
    }
    try {
      this.#shape = readHeader(this.#file, called);
      this.#view = new FileView(this.#file, this.#shape);
    } catch (error) {
      this.#file.close();
      throw error;
    }
  }

  /** Looks at all of it. Throws CHANGED when another program is in the middle of something, DIGEST_MISMATCH when it is damaged. */
  inspect(engine: Engine): FileInspection {
    for (const suffix of ['-wal', '-journal']) {
      if ((this.#layer.stat(this.#path + suffix)?.bytes ?? 0) === 0) continue;
      throw new BatonError('CHANGED', `${this.#called}${suffix} lies beside it, and what is in there would be lost`, {
        hint: `close the programs that use it, and run sqlite3 ${this.#called} 'PRAGMA journal_mode=DELETE'`,
      });
    }
    if (this.#shape.pageCount > 0) checkIntegrity(engine, this.#view, this.#called);
    const checksum = checksumOf((page, into) => this.#view.read(page, 0, into), this.#shape);
    return { ...this.#shape, checksum };
  }

  /** Some pages, one after the other. */
  pages(first: number, count: number): Uint8Array<ArrayBuffer> {
    const { pageBytes } = this.#shape;
    const content = new Uint8Array(count * pageBytes);
    for (let page = 0; page < count; page++)
      this.#view.read(first + page, 0, content.subarray(page * pageBytes, (page + 1) * pageBytes));
    return content;
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}
