import { BatonError } from '@batondb/core/errors';
import type { Field, Row } from '../table.ts';
import { latin1, utf8 } from './bytes.ts';
import { type CopyDecoder, WholeRows } from './copy-rows.ts';
import { postgresLimits } from './limits.ts';

// COPY's text format, as in "File Formats" of PostgreSQL's documentation of COPY: rows end with a newline, fields are divided by tabs, `\N` is NULL, and
// a backslash stands before what would be one of these. No raw newline, tab or backslash is ever part of a value.

const tab = 0x09;
const newline = 0x0a;
const backslash = 0x5c;
const nullLetter = 0x4e;

/** What follows a backslash, and what the two stand for. Nothing else is ever written by a server. */
const escapes: ReadonlyMap<string, string> = new Map([
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['v', '\v'],
  ['\\', '\\'],
]);
const escaped = /\\(.?)/gs;

export type CopyTextOptions = {
  /** How many fields each row has. */
  readonly columns: number;
  /** A row beyond it is refused with LIMIT. Default: {@link postgresLimits.rowBytesMax}. */
  readonly rowBytesMax?: number;
};

/**
 * Rows out of chunks of COPY's text, cut anywhere. One string is made of all whole rows of a chunk, and values are cut from it.
 * Keeping a value keeps the text of its chunk in memory: what lives for longer is to be copied.
 */
export class CopyTextDecoder implements CopyDecoder<Row[]> {
  readonly #columns: number;
  readonly #whole: WholeRows;

  constructor({ columns, rowBytesMax = postgresLimits.rowBytesMax }: CopyTextOptions) {
    this.#columns = columns;
    this.#whole = new WholeRows(rowBytesMax);
  }

  decode(chunk: Buffer): Row[] {
    const whole = this.#whole.take(chunk);
    return whole === undefined ? [] : readRows(whole, this.#columns);
  }

  finish(): void {
    this.#whole.finish();
  }
}

/** Whole rows: bytes are looked at one by one, since that is cheaper than to search the short stretches between them. */
export function readRows(bytes: Buffer, columns: number): Row[] {
  // Offsets of bytes and of characters are the same here; a field with a byte beyond ASCII is decoded by itself.
  const text = latin1(bytes, 0, bytes.length);
  const rows: Row[] = [];
  // Made as long as it is going to be: an array that grows takes thrice the memory.
  let row = new Array<Field>(columns);
  let fields = 0;
  let start = 0;
  let isPlain = true;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] as number;
    if (byte > newline) {
      if (byte === backslash || byte > 0x7f) isPlain = false;
    } else if (byte === tab || byte === newline) {
      row[fields++] = isPlain ? text.substring(start, at) : readField(bytes, start, at);
      start = at + 1;
      isPlain = true;
      if (byte === newline) {
        rows.push(fields === columns ? row : otherWidth(row, fields, columns));
        row = new Array<Field>(columns);
        fields = 0;
      }
    }
  }
  return rows;
}

/** A field with a backslash, or with something beyond ASCII. */
export function readField(bytes: Buffer, start: number, end: number): Field {
  if (end - start === 2 && bytes[start] === backslash && bytes[start + 1] === nullLetter) return null;
  const text = utf8(bytes, start, end);
  return text.includes('\\') ? text.replace(escaped, unescape) : text;
}

function unescape(sequence: string, letter: string): string {
  const character = escapes.get(letter);
  if (character !== undefined) return character;
  throw new BatonError('PROTOCOL', `a value of a COPY has ${JSON.stringify(sequence)}, which stands for nothing`);
}

function otherWidth(row: Field[], fields: number, columns: number): Row {
  // A row without columns is an empty line, and looks like one empty field.
  if (columns === 0 && fields === 1 && row[0] === '') return [];
  throw new BatonError('PROTOCOL', `a row of a COPY has ${fields} fields, but ${columns} columns were asked for`);
}
