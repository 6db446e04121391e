import { errnoName } from './libc.ts';

// What a target's user or file system could not keep.

/** A thing that could not be kept, counted, with the first path it happened to and the system's word for it. */
export type NotKept = {
  readonly what: 'owner' | 'setuid' | 'xattr' | 'acl' | 'capability' | 'device' | 'times' | 'mode';
  readonly count: number;
  readonly example: string;
  /** Such as EPERM. */
  readonly reason: string;
};

/** Counts by kind. */
export class NotKeptCounter {
  readonly #kinds = new Map<NotKept['what'], { count: number; readonly example: string; readonly reason: string }>();

  add(what: NotKept['what'], errno: number, path: () => string): void {
    const known = this.#kinds.get(what);
    if (known === undefined) this.#kinds.set(what, { count: 1, example: path(), reason: errnoName(errno) });
    else known.count += 1;
  }

  list(): NotKept[] {
    return Array.from(this.#kinds, ([what, { count, example, reason }]) => ({ what, count, example, reason }));
  }
}
