// What is asked of etcd and what it answers, as this package's callers see it. Numbers are numbers, since neither revisions nor the leases that we
// name reach 2^53; keys and values go in as text or bytes and come out as bytes.

export type Bytes = string | Uint8Array;

/** A key with its value and its history. */
export type KeyValue = {
  readonly key: Buffer;
  readonly value: Buffer;
  /** When the key came into being; a key that was deleted and made anew has another one. */
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  /** 0: none. */
  readonly lease: number;
};

/** Keys from `key` up to and without `end`; without `end` the one key. */
export type KeyRange = { readonly key: Bytes; readonly end?: Bytes };

export type RangeOptions = KeyRange & {
  /** Default: all. */
  readonly limit?: number;
  /** Default: the newest. */
  readonly revision?: number;
  readonly keysOnly?: boolean;
  readonly countOnly?: boolean;
  /** By key. */
  readonly order?: 'ascending' | 'descending';
};

export type RangeResult = {
  readonly revision: number;
  readonly kvs: readonly KeyValue[];
  /** There are more than the limit. */
  readonly more: boolean;
  /** How many there are, whatever the limit is. */
  readonly count: number;
};

/** A condition on a key; a key that is not there has version 0 and revisions 0. */
export type Comparison = { readonly key: Bytes; readonly is?: keyof typeof comparisons } & (
  | { readonly version: number }
  | { readonly createRevision: number }
  | { readonly modRevision: number }
  | { readonly value: Bytes }
);

export type Operation =
  | { readonly put: Bytes; readonly value: Bytes; readonly lease?: number }
  | { readonly delete: Bytes; readonly end?: Bytes }
  | { readonly range: RangeOptions };

/** If all of `when` holds, all of `do` is done, else all of `otherwise`: at once, and at one revision. */
export type Transaction = {
  readonly when: readonly Comparison[];
  readonly do: readonly Operation[];
  readonly otherwise?: readonly Operation[];
};

/** What became of one operation of a transaction. */
export type OperationResult = { readonly kvs: readonly KeyValue[]; readonly count: number; readonly more: boolean };

export type TransactionResult = {
  readonly succeeded: boolean;
  readonly revision: number;
  readonly results: readonly OperationResult[];
};

export type WatchEvent = { readonly type: 'put' | 'delete'; readonly kv: KeyValue };

/** Events of one revision or more; none when the watch has just begun. */
export type WatchBatch = { readonly revision: number; readonly events: readonly WatchEvent[] };

export type MemberStatus = {
  readonly endpoint: string;
  readonly version: string;
  /** The member's database as a file. Its quota is compared with this. */
  readonly fileBytes: number;
  /** What of it is in use; the rest is written to again, and comes back to the disk only by defragmentation. */
  readonly usedBytes: number;
  /** Undefined where etcd does not tell (before 3.6). */
  readonly quotaBytes: number | undefined;
};

export type Alarm = { readonly memberId: string; readonly kind: 'no-space' | 'corrupt' | 'other' };

/** Numbers of etcd's comparisons. */
export const comparisons = { equal: 0, greater: 1, less: 2, different: 3 } as const;

/** The end of the range of all keys that begin with a prefix. */
export function prefixEnd(prefix: string): Buffer {
  const end = Buffer.from(prefix);
  const last = end.findLastIndex((byte) => byte < 0xff);
  end[last]! += 1;
  return end.subarray(0, last + 1);
}

/** All keys that begin with a prefix. */
export function withPrefix(prefix: string): { readonly key: string; readonly end: Buffer } {
  return { key: prefix, end: prefixEnd(prefix) };
}
