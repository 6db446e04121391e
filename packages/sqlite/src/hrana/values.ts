import type { SqlValue } from '../engine/values.ts';
import { at, type Fields, type Place, readText, wrong } from './fields.ts';
import { limits } from './limits.ts';

// Values of SQLite as JSON: Hrana 3, "Values". Not checked: the padding of base64, which the specification leaves open.

const integerPattern = /^[+-]?\d{1,20}$/;
const integerMin = -(2n ** 63n);
const integerMax = 2n ** 63n - 1n;

/** A value as a client sent it. Throws PROTOCOL with the field's place. */
export function decodeValue(fields: Fields, place: Place): SqlValue {
  const type = fields['type'];
  switch (type) {
    case 'null':
      return null;
    case 'integer':
      return decodeInteger(fields, place);
    case 'float':
      // JSON.parse reads 1e999 as infinity, which SQLite has, too.
      if (typeof fields['value'] !== 'number') throw wrong(at(place, 'value'), 'a number', fields['value']);
      return fields['value'];
    case 'text':
      return readText(fields, 'value', place, limits.messageBytesMax);
    case 'blob':
      return decodeBlob(fields, place);
    default:
      throw wrong(at(place, 'type'), 'null, integer, float, text or blob');
  }
}

/** A value as JSON text. */
export function encodeValue(value: SqlValue): string {
  if (value === null) return '{"type":"null"}';
  switch (typeof value) {
    case 'string':
      return `{"type":"text","value":${JSON.stringify(value)}}`;
    case 'bigint':
      return `{"type":"integer","value":"${value}"}`;
    case 'number':
      return encodeFloat(value);
    default:
      return `{"type":"blob","base64":"${asBuffer(value).toString('base64')}"}`;
  }
}

function decodeInteger(fields: Fields, place: Place): bigint {
  const value = fields['value'];
  if (typeof value !== 'string' || !integerPattern.test(value))
    throw wrong(at(place, 'value'), 'an integer as a string of digits', value);
  const integer = BigInt(value.startsWith('+') ? value.slice(1) : value);
  if (integer < integerMin || integer > integerMax) throw wrong(at(place, 'value'), 'an integer of 64 bits');
  return integer;
}

/** Buffer.from skips what is no digit, so a text with anything else gives fewer bytes than its digits stand for. */
function decodeBlob(fields: Fields, place: Place): Uint8Array {
  const text = fields['base64'];
  if (typeof text !== 'string') throw wrong(at(place, 'base64'), 'a string', text);
  const paddingCharacters = text.endsWith('==') ? 2 : Number(text.endsWith('='));
  const digits = text.length - paddingCharacters;
  const bytes = Buffer.from(text, 'base64');
  if (digits % 4 === 1 || bytes.byteLength !== Math.floor((digits * 3) / 4)) throw wrong(at(place, 'base64'), 'base64');
  return bytes;
}

/** JSON has no word for infinity, and JSON.stringify drops the sign of -0; every reader of JSON makes these numbers of these digits. */
function encodeFloat(value: number): string {
  // SQLite has no NaN: it stores NULL in its place.
  if (Number.isNaN(value)) return '{"type":"null"}';
  let digits = String(value);
  if (value === Infinity) digits = '1e999';
  else if (value === -Infinity) digits = '-1e999';
  else if (Object.is(value, -0)) digits = '-0.0';
  return `{"type":"float","value":${digits}}`;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
