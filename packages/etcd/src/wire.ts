import { assert } from '@batondb/core/errors';
import {
  type Bytes,
  type Comparison,
  comparisons,
  type KeyValue,
  type Operation,
  type OperationResult,
  type RangeOptions,
  type RangeResult,
  type Transaction,
  type TransactionResult,
  type WatchBatch,
} from './messages.ts';

// Between what callers see and what the codec takes: names of fields as in proto/etcd.proto, enumerations as numbers, 64-bit numbers as text.
// Everything that is not written out here is left to the codec: it checks neither the range of numbers nor what fields mean.

/** Numbers of what is compared. */
export const targets = { version: 0, createRevision: 1, modRevision: 2, value: 3 } as const;
const orders = { ascending: 1, descending: 2 } as const;

type WireHeader = { readonly revision: string };
type WireKeyValue = {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly create_revision: string;
  readonly mod_revision: string;
  readonly version: string;
  readonly lease: string;
};
export type WireRange = {
  readonly header: WireHeader;
  readonly kvs: readonly WireKeyValue[];
  readonly more: boolean;
  readonly count: string;
};
export type WireTxn = {
  readonly header: WireHeader;
  readonly succeeded: boolean;
  readonly responses: readonly {
    readonly response_range?: WireRange;
    readonly response_delete_range?: { readonly deleted: string };
  }[];
};
export type WireWatch = {
  readonly header: WireHeader;
  readonly created: boolean;
  readonly canceled: boolean;
  readonly compact_revision: string;
  readonly cancel_reason: string;
  readonly events: readonly { readonly type: number; readonly kv: WireKeyValue }[];
};

export function toBytes(bytes: Bytes): Uint8Array {
  return typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
}

export function encodeRange({ key, end, limit, revision, keysOnly, countOnly, order }: RangeOptions): object {
  return {
    key: toBytes(key),
    ...(end === undefined ? {} : { range_end: toBytes(end) }),
    ...(limit === undefined ? {} : { limit }),
    ...(revision === undefined ? {} : { revision }),
    ...(order === undefined ? {} : { sort_order: orders[order] }),
    keys_only: keysOnly ?? false,
    count_only: countOnly ?? false,
  };
}

export function encodeTransaction({ when, do: operations, otherwise = [] }: Transaction): object {
  return {
    compare: when.map(encodeComparison),
    success: operations.map(encodeOperation),
    failure: otherwise.map(encodeOperation),
  };
}

function encodeComparison(comparison: Comparison): object {
  const common = { key: toBytes(comparison.key), result: comparisons[comparison.is ?? 'equal'] };
  // The target and the field that goes with it are written by one line each: etcd compares with 0 where they do not fit.
  if ('version' in comparison) return { ...common, target: targets.version, version: comparison.version };
  if ('createRevision' in comparison)
    return { ...common, target: targets.createRevision, create_revision: comparison.createRevision };
  if ('modRevision' in comparison)
    return { ...common, target: targets.modRevision, mod_revision: comparison.modRevision };
  return { ...common, target: targets.value, value: toBytes(comparison.value) };
}

function encodeOperation(operation: Operation): object {
  if ('put' in operation) {
    const { put, value, lease } = operation;
    return { request_put: { key: toBytes(put), value: toBytes(value), ...(lease === undefined ? {} : { lease }) } };
  }
  if ('range' in operation) return { request_range: encodeRange(operation.range) };
  const { delete: key, end } = operation;
  return {
    request_delete_range: { key: toBytes(key), ...(end === undefined ? {} : { range_end: toBytes(end) }) },
  };
}

export function decodeRange({ header, kvs, more, count }: WireRange): RangeResult {
  return { revision: revisionOf(header), kvs: kvs.map(decodeKeyValue), more, count: number(count) };
}

export function decodeTransaction({ header, succeeded, responses }: WireTxn): TransactionResult {
  const results = responses.map(({ response_range: range, response_delete_range: deleted }): OperationResult => {
    if (range === undefined) return { kvs: [], more: false, count: number(deleted?.deleted ?? '0') };
    return { kvs: range.kvs.map(decodeKeyValue), more: range.more, count: number(range.count) };
  });
  return { succeeded, revision: revisionOf(header), results };
}

export function decodeWatch({ header, events }: WireWatch): WatchBatch {
  return {
    revision: revisionOf(header),
    events: events.map(({ type, kv }) => ({ type: type === 0 ? 'put' : 'delete', kv: decodeKeyValue(kv) })),
  };
}

function decodeKeyValue({ key, value, ...wire }: WireKeyValue): KeyValue {
  return {
    key,
    value,
    createRevision: number(wire.create_revision),
    modRevision: number(wire.mod_revision),
    version: number(wire.version),
    // Only leases that we named are compared, and those are small.
    lease: Number(wire.lease),
  };
}

export function revisionOf(header: WireHeader): number {
  return number(header.revision);
}

export function number(text: string): number {
  const value = Number(text);
  assert(Number.isSafeInteger(value), 'T1: revisions and counts are below 2^53');
  return value;
}
