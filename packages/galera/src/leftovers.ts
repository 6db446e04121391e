import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Writable } from 'node:stream';

/**
 * Gathers paths, a line each, and removes them when they end without the word that all is well: the kernel ends them when we are killed. Twice, since a child of
 * ours that is killed at the same moment may still have made a file in between.
 */
const script = `while IFS= read -r path; do [ "$path" = done ] && exit; set -- "$@" "$path"; done
[ $# -eq 0 ] || rm -rf -- "$@" || { sleep 1; rm -rf -- "$@"; }`;

/**
 * What must not outlive this process, even if it is killed by kill -9: files with credentials, and marks by which others know a transfer. A shell beside us
 * removes them then; in every other case whoever made them does. In a session of its own, so that a signal for our group leaves it alone.
 */
export class Leftovers implements Disposable {
  readonly #child: ChildProcessByStdio<Writable, null, null>;

  constructor() {
    this.#child = spawn('sh', ['-c', script, 'sh'], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
    // It is a help, and no transfer fails for want of it.
    this.#child.on('error', () => undefined);
    this.#child.stdin.on('error', () => undefined);
    this.#child.unref();
  }

  /** To be called before the file is made. */
  add(path: string): void {
    if (!path.includes('\n')) this.#child.stdin.write(`${path}\n`);
  }

  [Symbol.dispose](): void {
    this.#child.stdin.end('done\n');
  }
}
