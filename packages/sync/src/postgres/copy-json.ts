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
  zero: 0x30,
  nine: 0x39,
  capitalN: 0x4e,
  backslash: 0x5c,
  tilde: 0x7e,
} as const;

/** Copies the field that begins at `at`, and returns where it ends; -1: it has to go the long way, and what was copied does not count. */
type Copy = (bytes: Buffer, at: number, out: Output) => number;

type Member = {
  /** `"name":`, with what stands before it, and with the quote that begins the value. */
  readonly head: Buffer;
  readonly nullHead: Buffer;
  readonly isString: boolean;
  readonly tell: (text: string) => string;
  readonly copy: Copy | undefined;
};

/** Rows of a table as what {@link rowJsonOf} makes of them, each between a head and a tail. */
export class CopyJsonDecoder implements CopyDecoder<JsonRows> {
  readonly #members: readonly Member[];
  readonly #head: Buffer;
  readonly #tail: Buffer;
  readonly #whole = new WholeRows();

  /** The table has columns. */
  constructor({ columns }: Pick<Table, 'columns'>, { head, tail }: JsonFrame) {
    this.#members = columns.map(memberOf);
    this.#head = Buffer.from(head);
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
    out.append(this.#head);
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

function memberOf({ name, codec }: Column, place: number): Member {
  const head = `${place === 0 ? '{' : ','}${jsonString(name)}:`;
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
  if (member.isString) out.append(quote);
  return end;
}

const quote = Buffer.from('"');

function fieldEnd(bytes: Buffer, start: number): number {
  let at = start;
  while (!isEnd(bytes[at] as number)) at++;
  return at;
}

function isEnd(byte: number): boolean {
  return byte === byteOf.tab || byte === byteOf.newline;
}

function copyCharacters(bytes: Buffer, start: number, out: Output): number {
  const target = out.bytes;
  let to = out.at;
  for (let at = start; ; at++) {
    const byte = bytes[at] as number;
    if (byte >= byteOf.space && byte <= byteOf.tilde && byte !== byteOf.quote && byte !== byteOf.backslash)
      target[to++] = byte;
    else {
      out.at = to;
      return isEnd(byte) ? at : -1;
    }
  }
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

const forms = { date: '0000-00-00', second: '0000-00-00 00:00:00', fraction: '.000000' } as const;
const pieces = { t: Buffer.from('T'), noFraction: Buffer.from('.000000'), z: Buffer.from('Z') } as const;

/** A time in UTC, in whole seconds or in microseconds. */
function copyUtcTime(bytes: Buffer, start: number, out: Output): number {
  if (!hasForm(bytes, start, forms.second)) return -1;
  const second = start + forms.second.length;
  const hasFraction = hasForm(bytes, second, forms.fraction);
  const zone = hasFraction ? second + forms.fraction.length : second;
  if (bytes[zone] !== byteOf.plus || bytes[zone + 1] !== byteOf.zero || bytes[zone + 2] !== byteOf.zero) return -1;
  const end = zone + 3;
  if (!isEnd(bytes[end] as number)) return -1;
  const date = start + forms.date.length;
  out.appendPart(bytes, start, date);
  out.append(pieces.t);
  out.appendPart(bytes, date + 1, zone);
  if (!hasFraction) out.append(pieces.noFraction);
  out.append(pieces.z);
  return end;
}

/** Digits where the form has zeros, and else what the form has. */
function hasForm(bytes: Buffer, start: number, form: string): boolean {
  for (let index = 0; index < form.length; index++) {
    const byte = bytes[start + index] as number;
    const wanted = form.charCodeAt(index);
    if (wanted === byteOf.zero ? !isDigit(byte) : byte !== wanted) return false;
  }
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
    this.appendPart(piece, 0, piece.length);
  }

  /** There is room for it. Pieces are short: a loop is cheaper than a call of Node's. */
  appendPart(piece: Buffer, start: number, end: number): void {
    const { bytes } = this;
    let { at } = this;
    for (let from = start; from < end; from++) bytes[at++] = piece[from]!;
    this.at = at;
  }

  write(text: string): void {
    this.reserve(text.length * 3);
    this.at += this.bytes.write(text, this.at);
  }

  taken(): Buffer {
    return this.bytes.subarray(0, this.at);
  }
}
