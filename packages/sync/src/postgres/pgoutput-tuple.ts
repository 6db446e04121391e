import { BatonError } from '@batondb/core/errors';
import type { Field, Row } from '../table.ts';
import { type ByteReader, latin1, utf8 } from './bytes.ts';
import { postgresLimits } from './limits.ts';

const letters = { null: 0x6e, unchanged: 0x75, text: 0x74, binary: 0x62 } as const;

/**
 * TupleData. One string is made of a small message, and values are cut from it: a call of Node's decoder for each value would cost three times as much.
 * Throws PROTOCOL, also for values in binary form, which nobody asks for.
 */
export function readTuple(reader: ByteReader): Row {
  const count = reader.u16();
  if (count > postgresLimits.columnsMax) {
    throw new BatonError(
      'PROTOCOL',
      `${reader.subject} has a row of ${count} columns, but a table has at most ${postgresLimits.columnsMax}`,
    );
  }
  const start = reader.at;
  const isSmall = reader.end - start <= postgresLimits.messageAsOneTextBytesMax;
  const text = isSmall ? latin1(reader.bytes, start, reader.end) : undefined;
  const row = new Array<Field>(count);
  for (let column = 0; column < count; column++) row[column] = readField(reader, text, start);
  return row;
}

function readField(reader: ByteReader, text: string | undefined, textAt: number): Field {
  const letter = reader.u8();
  if (letter === letters.text) {
    const length = reader.u32();
    const at = reader.take(length, 'a value');
    const isPlain = text !== undefined && isAscii(reader.bytes, at, at + length);
    return isPlain ? text.substring(at - textAt, at + length - textAt) : utf8(reader.bytes, at, at + length);
  }
  if (letter === letters.null) return null;
  if (letter === letters.unchanged) return undefined;
  const what = letter === letters.binary ? 'in binary form, but text was asked for' : `of the unknown form ${letter}`;
  throw new BatonError('PROTOCOL', `${reader.subject} has a value ${what}`);
}

function isAscii(bytes: Buffer, at: number, end: number): boolean {
  for (let place = at; place < end; place++) if ((bytes[place] as number) > 0x7f) return false;
  return true;
}
