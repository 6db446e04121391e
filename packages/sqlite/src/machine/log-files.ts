import type { FileLayer, LayerFile } from '../log/file-layer.ts';
import type { PagePlace } from './page-index.ts';

/** Open files of one thread; more are closed, the oldest first. */
const filesMax = 64;

/** Files by number, opened when something in them is read first. Belongs to one thread. */
export class LogFiles implements Disposable {
  readonly #layer: FileLayer;
  readonly #pathOf: (file: number) => string;
  readonly #open = new Map<number, LayerFile>();

  constructor(layer: FileLayer, pathOf: (file: number) => string) {
    this.#layer = layer;
    this.#pathOf = pathOf;
  }

  /** Reads what lies at a place. Throws errors of Node: a file that was recycled meanwhile is not there. */
  read({ file, offset }: PagePlace, into: Uint8Array): void {
    let open = this.#open.get(file);
    if (open === undefined) {
      if (this.#open.size >= filesMax) this.forget(Math.min(...this.#open.keys()) + 1);
      open = this.#layer.open(this.#pathOf(file), 'read');
      this.#open.set(file, open);
    }
    open.read(into, offset);
  }

  /** Closes files below a number. */
  forget(below: number): void {
    for (const [number, file] of this.#open) {
      if (number >= below) continue;
      file.close();
      this.#open.delete(number);
    }
  }

  [Symbol.dispose](): void {
    this.forget(Number.POSITIVE_INFINITY);
  }
}
