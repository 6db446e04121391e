import { BatonError } from '@batondb/core/errors';
import { jsonString } from '../json-string.ts';
import type { JsonFrame, JsonRows } from '../source.ts';
import type { Column, Table, ValueCodec } from '../table.ts';
import { type CopyDecoder, WholeRows } from './copy-rows.ts';
import { readField, readRows } from './text.ts';

// COPY's text as JSON, without a string for each field: most fields stand in JSON as they stand there, and are copied byte by byte. A field that has anything else than plain
// ASCII, or that its type cannot have, goes the long way, by the decoder and the codec that all others use: that one decides what it is.

const byteOf = {
  tab: 0x09,
  newline: 0x0a,
  space: 0x20,
  quote: 0x22,
  plus: 0x2b,
  minus: 0x2d,
  dot: 0x2e,
  zero: 0x30,
  nine: 0x39,
  capitalN: 0x4e,
  capitalT: 0x54,
  capitalZ: 0x5a,
  backslash: 0x5c,
  tilde: 0x7e,
} as const;

/** Copies the field that begins at `at`, and returns where it ends; -1: it has to go the long way, and what was copied does not count. */
type Copy = (bytes: Buffer, at: number, out: Output) => number;

type Member = {
  /** `"name":` with all that stands before it, and with the quote that begins the value. */
  readonly head: Buffer;
  readonly nullHead: Buffer;
  readonly isString: boolean;
  readonly tell: (text: string) => string;
  readonly copy: Copy | undefined;
};

/** Rows of a table as what {@link rowJsonOf} makes of them, each between a head and a tail. */
export class CopyJsonDecoder implements CopyDecoder<JsonRows> {
  readonly #members: readonly Member[];
  readonly #tail: Buffer;
  readonly #whole = new WholeRows();

  /** The table has columns. */
  constructor({ columns }: Pick<Table, 'columns'>, { head, tail }: JsonFrame) {
    this.#members = columns.map((column, place) => memberOf(column, place === 0 ? `${head}{` : ','));
    this.#tail = Buffer.from(`}${tail}`);
  }

  decode(chunk: Buffer): JsonRows {
    const bytes = this.#whole.take(chunk);
    if (bytes === undefined) return { length: 0, bytes: Buffer.alloc(0) };
    const out = new Output(bytes.length);
    let length = 0;
    for (let at = 0; at < bytes.length; length++) at = this.#row(bytes, at, out);
    return { length, bytes: out.taken() };
  }

  finish(): void {
    this.#whole.finish();
  }

  /** Returns where the next row begins. */
  #row(bytes: Buffer, start: number, out: Output): number {
    const members = this.#members;
    let at = start;
    for (let place = 0; place < members.length; place++) {
      at = copyField(bytes, at, members[place]!, out);
      const isLast = place === members.length - 1;
      if (bytes[at] !== (isLast ? byteOf.newline : byteOf.tab)) throw this.#otherWidth(bytes, start);
      at++;
    }
    out.append(this.#tail);
    return at;
  }

  #otherWidth(bytes: Buffer, start: number): BatonError {
    readRows(bytes.subarray(start, bytes.indexOf(byteOf.newline, start) + 1), this.#members.length);
    return new BatonError('BUG', 'a row of a COPY has as many fields as columns, and was cut up otherwise');
  }
}

function memberOf({ name, codec }: Column, before: string): Member {
  const head = `${before}${jsonString(name)}:`;
  const isString = codec.quoted !== undefined;
  return {
    head: Buffer.from(isString ? `${head}"` : head),
    nullHead: Buffer.from(`${head}null`),
    isString,
    tell: codec.quoted ?? codec.json,
    copy: codec.plain === undefined ? undefined : copies[codec.plain],
  };
}

/** Returns where the field ends: at a tab or a newline. */
function copyField(bytes: Buffer, start: number, member: Member, out: Output): number {
  // Room for what is copied, with what its form adds: no field is longer than what is left.
  out.reserve(bytes.length - start + member.head.length + 16);
  if (bytes[start] === byteOf.backslash && bytes[start + 1] === byteOf.capitalN && isEnd(bytes[start + 2] as number)) {
    out.append(member.nullHead);
    return start + 2;
  }
  out.append(member.head);
  const before = out.at;
  let end = member.copy === undefined ? -1 : member.copy(bytes, start, out);
  if (end < 0) {
    out.at = before;
    end = fieldEnd(bytes, start);
    // NULL, which has its own name, was before.
    out.write(member.tell(readField(bytes, start, end) ?? ''));
  }
  if (member.isString) out.bytes[out.at++] = byteOf.quote;
  return end;
}

function fieldEnd(bytes: Buffer, start: number): number {
  let at = start;
  while (!isEnd(bytes[at] as number)) at++;
  return at;
}

function isEnd(byte: number): boolean {
  return byte === byteOf.tab || byte === byteOf.newline;
}

/** 1 for bytes that stand in a JSON string as they are. */
const isPlain = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte >= byteOf.space && byte <= byteOf.tilde && byte !== byteOf.quote && byte !== byteOf.backslash ? 1 : 0,
);

function copyCharacters(bytes: Buffer, start: number, out: Output): number {
  const target = out.bytes;
  let to = out.at;
  let at = start;
  let byte = bytes[at] as number;
  while (isPlain[byte] === 1) {
    target[to++] = byte;
    byte = bytes[++at] as number;
  }
  out.at = to;
  return isEnd(byte) ? at : -1;
}

/** A whole number as it is always printed: no zero before other digits. */
function copyDigits(bytes: Buffer, start: number, out: Output): number {
  const target = out.bytes;
  let to = out.at;
  let at = start;
  if (bytes[at] === byteOf.minus) target[to++] = bytes[at++]!;
  const first = at;
  for (; isDigit(bytes[at] as number); at++) target[to++] = bytes[at]!;
  out.at = to;
  const isNumber = at === first + 1 || (at > first && bytes[first] !== byteOf.zero);
  return isNumber && isEnd(bytes[at] as number) ? at : -1;
}

const forms = {
  date: Buffer.from('0000-00-00'),
  time: Buffer.from('00:00:00'),
  fraction: Buffer.from('.000000'),
} as const;

/** A time in UTC, in whole seconds or in microseconds. */
function copyUtcTime(bytes: Buffer, start: number, out: Output): number {
  const time = start + forms.date.length + 1;
  const second = time + forms.time.length;
  if (bytes[time - 1] !== byteOf.space || !copyForm(bytes, start, forms.date, out)) return -1;
  out.bytes[out.at++] = byteOf.capitalT;
  if (!copyForm(bytes, time, forms.time, out)) return -1;
  const hasFraction = bytes[second] === byteOf.dot;
  if (!copyForm(hasFraction ? bytes : forms.fraction, hasFraction ? second : 0, forms.fraction, out)) return -1;
  out.bytes[out.at++] = byteOf.capitalZ;
  const zone = hasFraction ? second + forms.fraction.length : second;
  // +00, and nothing after it.
  if (bytes[zone] !== byteOf.plus || bytes[zone + 1] !== byteOf.zero || bytes[zone + 2] !== byteOf.zero) return -1;
  const end = zone + 3;
  return isEnd(bytes[end] as number) ? end : -1;
}

/** Copies digits where the form has zeros, and what the form has where it has something else; false: there is something else. */
function copyForm(bytes: Buffer, start: number, form: Buffer, out: Output): boolean {
  const target = out.bytes;
  let to = out.at;
  for (let index = 0; index < form.length; index++) {
    const byte = bytes[start + index] as number;
    const wanted = form[index] as number;
    if (wanted === byteOf.zero ? !isDigit(byte) : byte !== wanted) return false;
    target[to++] = byte;
  }
  out.at = to;
  return true;
}

function isDigit(byte: number): boolean {
  return byte >= byteOf.zero && byte <= byteOf.nine;
}

const copies: Readonly<Record<NonNullable<ValueCodec['plain']>, Copy>> = {
  characters: copyCharacters,
  digits: copyDigits,
  utcTime: copyUtcTime,
};

/** Up to here a loop is cheaper than a call. */
const calledBytes = 24;

/** Bytes that grow. */
class Output {
  bytes: Buffer;
  at = 0;

  /** Of rows of so many bytes: names and braces are often twice as much. */
  constructor(sourceBytes: number) {
    this.bytes = Buffer.allocUnsafeSlow(sourceBytes * 3 + 1024);
  }

  reserve(bytes: number): void {
    if (this.at + bytes <= this.bytes.length) return;
    const grown = Buffer.allocUnsafeSlow((this.at + bytes) * 2);
    this.bytes.copy(grown, 0, 0, this.at);
    this.bytes = grown;
  }

  append(piece: Buffer): void {
    this.reserve(piece.length);
    const { bytes, at } = this;
    if (piece.length > calledBytes) bytes.set(piece, at);
    else for (let index = 0; index < piece.length; index++) bytes[at + index] = piece[index] as number;
    this.at = at + piece.length;
  }

  write(text: string): void {
    this.reserve(text.length * 3);
    this.at += this.bytes.write(text, this.at);
  }

  taken(): Buffer {
    return this.bytes.subarray(0, this.at);
  }
}
