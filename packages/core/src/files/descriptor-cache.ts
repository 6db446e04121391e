import { check, close } from './libc.ts';

/** Threads work on a few large files at a time; each keeps those it touched last. */
const filesMax = 8;

/** Open files by entry index, the least recently used closed first. */
export class DescriptorCache<State> implements Disposable {
  readonly #open = new Map<number, { readonly fd: number; readonly state: State }>();
  readonly #pathOf: (index: number) => string;

  /** `pathOf` names an entry for people, for the error of a close. */
  constructor(pathOf: (index: number) => string) {
    this.#pathOf = pathOf;
  }

  get(index: number): { readonly fd: number; readonly state: State } | undefined {
    const known = this.#open.get(index);
    if (known === undefined) return undefined;
    this.#open.delete(index);
    this.#open.set(index, known);
    return known;
  }

  /** Keeps a descriptor, which then belongs to the cache. Throws SystemError, and keeps nothing, when the close of an older one fails. */
  keep(index: number, fd: number, state: State): void {
    // The older one first: when its close fails, this one is still the caller's.
    const oldest = this.#open.keys().next();
    if (this.#open.size >= filesMax && !oldest.done) this.forget(oldest.value);
    this.#open.set(index, { fd, state });
  }

  /** Closes a file's descriptor. Some file systems report a failed write only here: throws SystemError. */
  forget(index: number): void {
    const known = this.#open.get(index);
    if (known === undefined) return;
    this.#open.delete(index);
    check(close(known.fd), 'close', () => this.#pathOf(index));
  }

  close(): void {
    for (const index of [...this.#open.keys()]) this.forget(index);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
