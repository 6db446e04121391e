import { assert } from '@batondb/core/errors';
import { type Comparison, comparisons, type Operation } from './messages.ts';
import { targets } from './wire.ts';

// A transaction that only writes, as TxnRequest and TxnResponse of etcd's rpc.proto in Protocol Buffers' encoding: fields, their numbers and types are those of proto/etcd.proto. The
// general codec takes half of a client's time where much is written. What it is asked to encode is of our own making; of an answer it reads the header's revision and whether the comparisons held,
// and skips the rest without a look.

/** Puts and deletes, if all of `when` holds. */
export type Write = { readonly when: readonly Comparison[]; readonly do: readonly WriteOperation[] };
export type WriteOperation = Exclude<Operation, { range: unknown }>;
export type WriteResult = { readonly succeeded: boolean; readonly revision: number };

/** `number << 3 | type`: 0 is a number, 2 is bytes with their length before. */
const numberField = (number: number): number => number << 3;
const bytesField = (number: number): number => (number << 3) | 2;

const txn = { compare: bytesField(1), success: bytesField(2) } as const;
const requestOp = { put: bytesField(2), deleteRange: bytesField(3) } as const;
const compare = {
  result: numberField(1),
  target: numberField(2),
  key: bytesField(3),
  version: numberField(4),
  createRevision: numberField(5),
  modRevision: numberField(6),
  value: bytesField(7),
} as const;
/** Of PutRequest; DeleteRangeRequest has the same two, with `range_end` in the place of `value`. */
const put = { key: bytesField(1), value: bytesField(2), lease: numberField(3) } as const;
const response = { header: bytesField(1), succeeded: numberField(2) } as const;
const header = { revision: numberField(3) } as const;

export function encodeWrite({ when, do: operations }: Write): Buffer {
  const comparisonSizes = when.map((one) => comparisonSize(one));
  const operationSizes = operations.map((one) => operationSize(one));
  let total = 0;
  for (const size of comparisonSizes) total += fieldSize(size);
  for (const size of operationSizes) total += fieldSize(fieldSize(size));
  const writer = new Writer(total);
  for (const [index, one] of when.entries()) {
    writer.open(txn.compare, comparisonSizes[index]!);
    writeComparison(writer, one);
  }
  for (const [index, one] of operations.entries()) {
    const size = operationSizes[index]!;
    writer.open(txn.success, fieldSize(size));
    writeOperation(writer, one, size);
  }
  return writer.finish();
}

/** Throws PROTOCOL-like RangeErrors for what is no TxnResponse: the caller's connection gives them as a failure of the call. */
export function decodeWrite(bytes: Buffer): WriteResult {
  const result = { succeeded: false, revision: 0 };
  eachField(bytes, 0, bytes.length, (tag, at, end) => {
    if (tag === response.succeeded) result.succeeded = readNumber(bytes, at).value === 1;
    if (tag !== response.header) return;
    eachField(bytes, at, end, (inner, place) => {
      if (inner === header.revision) result.revision = readNumber(bytes, place).value;
    });
  });
  assert(Number.isSafeInteger(result.revision), 'T1: revisions are below 2^53');
  return result;
}

function comparisonSize(comparison: Comparison): number {
  const common = 4 + fieldSize(sizeOf(comparison.key));
  if ('value' in comparison) return common + fieldSize(sizeOf(comparison.value));
  return common + 1 + varintSize(comparedNumber(comparison).number);
}

function writeComparison(writer: Writer, comparison: Comparison): void {
  writer.number(compare.result, comparisons[comparison.is ?? 'equal']);
  if ('value' in comparison) {
    writer.number(compare.target, targets.value);
    writer.bytes(compare.key, comparison.key);
    writer.bytes(compare.value, comparison.value);
    return;
  }
  const { target, tag, number } = comparedNumber(comparison);
  writer.number(compare.target, target);
  writer.bytes(compare.key, comparison.key);
  writer.number(tag, number);
}

/** A target and its field come from one line: etcd compares with 0 where they do not fit. */
function comparedNumber(comparison: Exclude<Comparison, { value: unknown }>): {
  readonly target: number;
  readonly tag: number;
  readonly number: number;
} {
  if ('version' in comparison) return { target: targets.version, tag: compare.version, number: comparison.version };
  if ('createRevision' in comparison)
    return { target: targets.createRevision, tag: compare.createRevision, number: comparison.createRevision };
  return { target: targets.modRevision, tag: compare.modRevision, number: comparison.modRevision };
}

function operationSize(operation: WriteOperation): number {
  if ('put' in operation) {
    const { put: key, value, lease } = operation;
    return fieldSize(sizeOf(key)) + fieldSize(sizeOf(value)) + (lease === undefined ? 0 : 1 + varintSize(lease));
  }
  const { delete: key, end } = operation;
  return fieldSize(sizeOf(key)) + (end === undefined ? 0 : fieldSize(sizeOf(end)));
}

function writeOperation(writer: Writer, operation: WriteOperation, size: number): void {
  if ('put' in operation) {
    writer.open(requestOp.put, size);
    writer.bytes(put.key, operation.put);
    writer.bytes(put.value, operation.value);
    if (operation.lease !== undefined) writer.number(put.lease, operation.lease);
    return;
  }
  writer.open(requestOp.deleteRange, size);
  writer.bytes(put.key, operation.delete);
  if (operation.end !== undefined) writer.bytes(put.value, operation.end);
}

/** Writes fields one after the other into a buffer whose size is known. Tags are below 128: one byte each. */
class Writer {
  readonly #buffer: Buffer;
  #at = 0;

  constructor(size: number) {
    this.#buffer = Buffer.allocUnsafe(size);
  }

  /** The beginning of a message inside of this one. */
  open(tag: number, size: number): void {
    this.#buffer[this.#at++] = tag;
    this.#varint(size);
  }

  number(tag: number, value: number): void {
    this.#buffer[this.#at++] = tag;
    this.#varint(value);
  }

  bytes(tag: number, value: string | Uint8Array): void {
    this.#buffer[this.#at++] = tag;
    if (typeof value !== 'string') {
      this.#varint(value.length);
      this.#buffer.set(value, this.#at);
      this.#at += value.length;
      return;
    }
    this.#varint(Buffer.byteLength(value));
    this.#at += this.#buffer.write(value, this.#at);
  }

  finish(): Buffer {
    assert(this.#at === this.#buffer.length, 'T6: a message is as long as was reckoned');
    return this.#buffer;
  }

  #varint(value: number): void {
    let rest = value;
    while (rest > 0x7f) {
      this.#buffer[this.#at++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#buffer[this.#at++] = rest;
  }
}

function sizeOf(value: string | Uint8Array): number {
  return typeof value === 'string' ? Buffer.byteLength(value) : value.length;
}

/** Of a field with so many bytes. */
function fieldSize(bytes: number): number {
  return 1 + varintSize(bytes) + bytes;
}

function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest > 0x7f; rest = Math.floor(rest / 0x80)) size++;
  return size;
}

/** Visits the fields between two places: the tag, and where the number or the bytes are. */
function eachField(
  bytes: Buffer,
  from: number,
  end: number,
  visit: (tag: number, at: number, end: number) => void,
): void {
  for (let at = from; at < end; ) {
    const tag = readNumber(bytes, at);
    const size = readNumber(bytes, tag.end);
    const isBytes = (tag.value & 7) === 2;
    if (!isBytes && (tag.value & 7) !== 0)
      throw new RangeError(`a field of type ${tag.value & 7} is not of this message`);
    const start = isBytes ? size.end : tag.end;
    at = isBytes ? size.end + size.value : size.end;
    visit(tag.value, start, at);
  }
}

function readNumber(bytes: Buffer, from: number): { readonly value: number; readonly end: number } {
  let value = 0;
  let scale = 1;
  for (let at = from; ; at++) {
    const byte = bytes[at];
    if (byte === undefined) throw new RangeError('a message ends in the middle of a number');
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return { value, end: at + 1 };
    scale *= 0x80;
  }
}
