import { BatonError } from '@batondb/core/errors';
import { jsonCharacters } from '../json-string.ts';
import type { SqliteValue, ValueCodec, ValueKind } from '../table.ts';

// Values that are made of no others. Their texts are those that PostgreSQL writes with our session settings. What goes between quotes without being escaped has
// been looked at before. Not checked: that a text of numeric, date, json and the like is one; it is passed on as it came.

/** A text that its type cannot have; long ones are cut. */
export function notOf(type: string, text: string, hint?: string): BatonError {
  const message = `${JSON.stringify(text.slice(0, 100))} is no value of the type ${type}`;
  return new BatonError('PROTOCOL', message, hint === undefined ? {} : { hint });
}

/** Of types whose texts depend on settings. */
const settingsHint =
  'something between Baton and the server changed the settings of the session: a pooler may not be used';

/** A JSON string of what `quoted` gives. */
function stringCodec(
  kind: ValueKind,
  quoted: (text: string) => string,
  sqlite: (text: string) => SqliteValue = (text) => text,
): ValueCodec {
  return { kind, json: (text) => `"${quoted(text)}"`, quoted, sqlite };
}

/** Told as it is printed. */
function asText(kind: ValueKind): ValueCodec {
  return { ...stringCodec(kind, jsonCharacters), plain: 'characters' };
}

export const textCodec: ValueCodec = asText('text');
export const otherCodec: ValueCodec = asText('other');
export const decimalCodec: ValueCodec = asText('decimal');
export const dateCodec: ValueCodec = asText('date');

export const booleanCodec: ValueCodec = {
  kind: 'boolean',
  json: (text) => (isTrue(text) ? 'true' : 'false'),
  sqlite: (text) => (isTrue(text) ? 1 : 0),
};

function isTrue(text: string): boolean {
  if (text === 't') return true;
  if (text === 'f') return false;
  throw notOf('boolean', text);
}

export const integerCodec: ValueCodec = {
  kind: 'integer',
  json: checkedInteger,
  plain: 'digits',
  sqlite: (text) => Number(checkedInteger(text)),
};

export const bigintCodec: ValueCodec = {
  ...stringCodec('bigint', checkedInteger, (text) => {
    const number = Number(checkedInteger(text));
    return Number.isSafeInteger(number) ? number : BigInt(text);
  }),
  plain: 'digits',
};

/** Digits, perhaps a minus before them, no zeros in front: a number in JSON, too. */
function checkedInteger(text: string): string {
  const start = text.charCodeAt(0) === 0x2d ? 1 : 0;
  const digits = text.length - start;
  if (digits === 0 || (digits > 1 && text.charCodeAt(start) === 0x30)) throw notOf('integer', text);
  for (let at = start; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code < 0x30 || code > 0x39) throw notOf('integer', text);
  }
  return text;
}

const floatPattern = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?$/;
const notFinite: ReadonlySet<string> = new Set(['NaN', 'Infinity', '-Infinity']);

export const floatCodec: ValueCodec = {
  kind: 'float',
  json: (text) => {
    if (floatPattern.test(text)) return text;
    if (notFinite.has(text)) return `"${text}"`;
    throw notOf('double precision', text);
  },
  sqlite: (text) => {
    // SQLite has infinities, but takes NaN for NULL.
    if (text === 'NaN') return text;
    if (!floatPattern.test(text) && !notFinite.has(text)) throw notOf('double precision', text);
    return Number(text);
  },
};

const lineEnd = /[\n\r]/g;

/** As it was written; line ends, which stand between its tokens only, become spaces, so that it fits into a line. */
export const jsonCodec: ValueCodec = {
  kind: 'json',
  json: (text) => (text.includes('\n') || text.includes('\r') ? text.replace(lineEnd, ' ') : text),
  sqlite: (text) => text,
};

export const byteaCodec: ValueCodec = stringCodec('binary', (text) => bytesOf(text).toString('base64'), bytesOf);

function bytesOf(text: string): Buffer {
  const bytes = Buffer.from(text.slice(2), 'hex');
  // Node stops at what is no hexadecimal digit.
  if (!text.startsWith('\\x') || bytes.length * 2 !== text.length - 2) throw notOf('bytea', text, settingsHint);
  return bytes;
}

export const timestampCodec: ValueCodec = ofTime('timestamp', (text) => {
  const [, date, time] = timestampPattern.exec(text) ?? [];
  return date === undefined ? undefined : `${date}T${time}`;
});

const inUtc: ValueCodec = ofTime('timestamp with time zone in UTC', (text) => {
  // The two usual forms are cut up by place: three times as fast as by what a pattern finds.
  if (wholeSecondPattern.test(text)) return `${text.substring(0, 10)}T${text.substring(11, 19)}.000000Z`;
  if (microsecondPattern.test(text)) return `${text.substring(0, 10)}T${text.substring(11, 26)}Z`;
  const [, date, time, fraction = ''] = timestamptzPattern.exec(text) ?? [];
  return date === undefined ? undefined : `${date}T${time}.${fraction.padEnd(6, '0')}Z`;
});

export const timestamptzCodec: ValueCodec = { ...inUtc, plain: 'utcTime' };

const timestampPattern = /^([0-9]{4,6}-[0-9]{2}-[0-9]{2}) ([0-9:]{8}(?:\.[0-9]{1,6})?)$/;
const timestamptzPattern = /^([0-9]{4,6}-[0-9]{2}-[0-9]{2}) ([0-9:]{8})(?:\.([0-9]{1,6}))?\+00$/;
const wholeSecondPattern = /^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}\+00$/;
const microsecondPattern = /^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}\.[0-9]{6}\+00$/;
const beforeChristPattern = /^[-0-9 :.+]+ BC$/;

/** `iso`: undefined of what is infinite or before Christ, which stay as they are, and of what is no time. */
function ofTime(type: string, iso: (text: string) => string | undefined): ValueCodec {
  const tell = (text: string) => {
    const told = iso(text);
    if (told !== undefined) return told;
    if (text === 'infinity' || text === '-infinity' || beforeChristPattern.test(text)) return text;
    throw notOf(type, text, settingsHint);
  };
  return stringCodec('timestamp', tell, tell);
}
