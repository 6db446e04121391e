import type { Position } from '../stream.ts';

/** What etcd adds to a key and a value in a request, at most. */
const operationBytes = 32;

/** What one transaction of etcd may have, our own position taken off. */
export type TxnLimits = { readonly operations: number; readonly bytes: number };

/** What was reached with a group. */
export type GroupEnd = { readonly position: Position; readonly isOpen: boolean };

/** Keys and what is to become of them: each once, since etcd refuses a key twice in a transaction. The last one wins. */
export class Group {
  /** Null: it is deleted. */
  readonly values: Map<string, string | null> = new Map();
  /** Undefined: a part of a transaction that goes on in the next group. */
  end: GroupEnd | undefined;
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** `bytes` is what `sizeOf` tells of both. */
  put(key: string, value: string | null, bytes: number = sizeOf(key, value)): void {
    this.#replace(key, value);
    this.#bytes += bytes;
  }

  /** What comes later, and its end. */
  absorb({ values, end, bytes }: Group): void {
    for (const [key, value] of values) this.#replace(key, value);
    this.#bytes += bytes;
    this.end = end;
  }

  hasRoomFor(operations: number, bytes: number, limits: TxnLimits): boolean {
    return this.values.size + operations <= limits.operations && this.#bytes + bytes <= limits.bytes;
  }

  #replace(key: string, value: string | null): void {
    const before = this.values.get(key);
    if (before !== undefined) this.#bytes -= sizeOf(key, before);
    this.values.set(key, value);
  }
}

/** What an operation takes of a request, at most. */
export function sizeOf(key: string, value: string | null): number {
  return Buffer.byteLength(key) + (value === null ? 0 : Buffer.byteLength(value)) + operationBytes;
}
