import { BatonError } from '@batondb/core/errors';

// Reads the fields of a message that was JSON. The first thing that is wrong ends it, with the field's place: a schema that collects
// all complaints would let a message of many small mistakes fill the memory. Fields that are not asked for are ignored, as the
// specification demands.

/** A JSON object. */
export type Fields = Readonly<Record<string, unknown>>;

/** Where in a message a value stands. It becomes text only when something is wrong there. */
export type Place = { readonly key: string | number; readonly within: Place | undefined };

/** A place inside another one. */
export function at(within: Place | undefined, key: string | number): Place {
  return { key, within };
}

/** The error for a value that is not what it must be: `requests[2].stmt.sql must be a string, and is a number`. */
export function wrong(place: Place | undefined, demand: string, value?: unknown): BatonError {
  const found = value === undefined ? '' : `, and is ${kindOf(value)}`;
  return new BatonError('PROTOCOL', `${describePlace(place)} must be ${demand}${found}`);
}

/** The error for something that is larger than its limit. */
export function tooLarge(place: Place | undefined, what: string, found: number, limit: number): BatonError {
  return new BatonError('LIMIT', `${describePlace(place)} has ${found} ${what}; the limit is ${limit}`);
}

export function asFields(value: unknown, place: Place | undefined): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(place, 'an object', value);
  return value as Fields;
}

export function readFields(fields: Fields, key: string, place: Place | undefined): Fields {
  return asFields(fields[key], at(place, key));
}

/** A string of at most `charactersMax` UTF-16 units. Halves of characters are refused: SQLite could not keep them. */
export function readText(fields: Fields, key: string, place: Place | undefined, charactersMax: number): string {
  const text = fields[key];
  if (typeof text !== 'string') throw wrong(at(place, key), 'a string', text ?? 'missing');
  if (text.length > charactersMax) throw tooLarge(at(place, key), 'characters', text.length, charactersMax);
  if (!text.isWellFormed()) throw wrong(at(place, key), 'text without halves of characters');
  return text;
}

/** The same, or undefined for null or nothing. */
export function readOptionalText(
  fields: Fields,
  key: string,
  place: Place | undefined,
  charactersMax: number,
): string | undefined {
  return isAbsent(fields[key]) ? undefined : readText(fields, key, place, charactersMax);
}

/** An integer from -2^31 to 2^31 - 1: what clients number their streams, cursors and requests with. */
export function readInt32(fields: Fields, key: string, place: Place | undefined): number {
  const value = fields[key];
  if (typeof value !== 'number' || (value | 0) !== value) throw wrong(at(place, key), 'an integer of 32 bits', value);
  return value;
}

/** An integer from 0 to 2^32 - 1. */
export function readUint32(fields: Fields, key: string, place: Place | undefined): number {
  const value = fields[key];
  if (typeof value !== 'number' || value >>> 0 !== value) throw wrong(at(place, key), 'an integer from 0 on', value);
  return value;
}

/** True or false, or `otherwise` for null or nothing. */
export function readOptionalFlag(fields: Fields, key: string, place: Place | undefined, otherwise: boolean): boolean {
  const value = fields[key];
  if (isAbsent(value)) return otherwise;
  if (typeof value !== 'boolean') throw wrong(at(place, key), 'true or false', value);
  return value;
}

/** Every member of an array, read by `read`. The number of members is judged before the first is looked at. */
export function readList<T>(
  fields: Fields,
  key: string,
  place: Place | undefined,
  membersMax: number,
  read: (member: Fields, place: Place) => T,
): T[] {
  const list = fields[key];
  const listPlace = at(place, key);
  if (!Array.isArray(list)) throw wrong(listPlace, 'an array', list);
  if (list.length > membersMax) throw tooLarge(listPlace, 'members', list.length, membersMax);
  return list.map((member: unknown, index) => {
    const memberPlace = at(listPlace, index);
    return read(asFields(member, memberPlace), memberPlace);
  });
}

/** The same, or none for null or nothing. */
export function readOptionalList<T>(
  fields: Fields,
  key: string,
  place: Place | undefined,
  membersMax: number,
  read: (member: Fields, place: Place) => T,
): T[] {
  return isAbsent(fields[key]) ? [] : readList(fields, key, place, membersMax, read);
}

/** Optional fields may be left out or null. */
export function isAbsent(value: unknown): value is null | undefined {
  return value === undefined || value === null;
}

function describePlace(place: Place | undefined): string {
  let text = '';
  for (let part = place; part !== undefined; part = part.within) {
    const isFirst = part.within === undefined;
    text = (typeof part.key === 'number' ? `[${part.key}]` : `${isFirst ? '' : '.'}${part.key}`) + text;
  }
  return text === '' ? 'the message' : text;
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
