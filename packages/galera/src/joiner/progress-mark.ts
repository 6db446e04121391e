import { closeSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const name = 'sst_in_progress';

/** The empty file by which scripts, proxies and health checks know a node that is taking its state. */
export class ProgressMark implements Disposable {
  readonly #path: string;

  /** Throws what the file system says. */
  constructor(dataDirectory: string) {
    this.#path = join(dataDirectory, name);
    closeSync(openSync(this.#path, 'w', 0o640));
  }

  [Symbol.dispose](): void {
    rmSync(this.#path, { force: true });
  }
}
