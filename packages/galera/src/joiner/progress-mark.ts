import { closeSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Leftovers } from '../leftovers.ts';
import { progressMarkName } from '../state/names.ts';

/** Marks a node that is taking its state. */
export class ProgressMark implements Disposable {
  readonly #path: string;

  /** Throws what the file system says. */
  constructor(dataDirectory: string, leftovers: Leftovers) {
    this.#path = join(dataDirectory, progressMarkName);
    leftovers.add(this.#path);
    closeSync(openSync(this.#path, 'w', 0o640));
  }

  [Symbol.dispose](): void {
    rmSync(this.#path, { force: true });
  }
}
