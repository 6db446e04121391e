import { BatonError, type ErrorCode } from '@batondb/core/errors';

// What the command-line clients of MariaDB and MySQL print with --batch: a line of names, then a line a row, fields parted by
// tabs, with tab, line feed, NUL and backslash escaped. Not checked: SQL NULL and the text NULL look the same.

/** One row by the names of its columns. SQL NULL is the text `NULL`. */
export type Row = ReadonlyMap<string, string>;

/** The rows of one result. A statement that returns no rows prints nothing, also no names. Throws PROTOCOL. */
export function parseRows(text: string): Row[] {
  if (text === '') return [];
  const lines = text.split('\n');
  if (lines.at(-1) !== '') throw new BatonError('PROTOCOL', 'the answer of the database client breaks off in a line');
  const [names = [], ...rows] = lines.slice(0, -1).map((line) => line.split('\t').map(unescape));
  return rows.map((fields) => {
    if (fields.length !== names.length) {
      const what = `a row of ${fields.length} fields under ${names.length} names`;
      throw new BatonError('PROTOCOL', `the database client answered ${what}`);
    }
    return new Map(names.map((name, index) => [name, fields[index] ?? '']));
  });
}

const escapes: Readonly<Record<string, string>> = { n: '\n', t: '\t', '0': '\0', '\\': '\\' };

function unescape(field: string): string {
  return field.replace(/\\(.)/g, (whole, character: string) => escapes[character] ?? whole);
}

/** Text as a string literal of SQL, for a session whose sql_mode is empty. */
export function quoteString(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'").replaceAll('\0', '\\0')}'`;
}

/** A server's or client's refusal: its number, and what it means here. */
export type ServerRefusal = { readonly number: number; readonly text: string };

/** The last `ERROR 1045 (28000): …` of a client's stderr. */
export function findRefusal(stderr: string): ServerRefusal | undefined {
  const found = [...stderr.matchAll(/^ERROR (\d{4,5})(?: \(\w+\))?(?: at line \d+)?: (.*)$/gm)].at(-1);
  return found === undefined ? undefined : { number: Number(found[1]), text: found[2] ?? '' };
}

/** User, password or plugin refused; a privilege missing; an account locked or its password expired. */
const denied: ReadonlySet<number> = new Set([
  1044, 1045, 1131, 1142, 1143, 1227, 1370, 1410, 1524, 1698, 1820, 1862, 2059, 3118, 4151,
]);
/** Too many connections, a server that shuts down, a connection that broke. */
const passing: ReadonlySet<number> = new Set([1040, 1053, 1203, 1226, 1927, 2003, 2006, 2013, 2055]);

/**
 * What a client's refusal means: ACCESS_DENIED, NOT_FOUND (no socket), NO_PERMISSION (the socket may not be used), UNREACHABLE
 * (nobody listens, or a connection broke: retryable), CHILD_FAILED (the server refused the statement, or the client ended).
 */
export function clientError(stderr: string, socketPath: string): BatonError {
  const refusal = findRefusal(stderr);
  if (refusal === undefined) {
    return new BatonError('CHILD_FAILED', `the database client failed: ${stderr.trim() || 'it said nothing'}`);
  }
  const { code, hint, retryable } = meaningOf(refusal);
  return new BatonError(code, `${socketPath}: ${refusal.text} (error ${refusal.number})`, {
    retryable,
    ...(hint === undefined ? {} : { hint }),
  });
}

type Meaning = { readonly code: ErrorCode; readonly hint?: string; readonly retryable: boolean };

function meaningOf({ number, text }: ServerRefusal): Meaning {
  if (denied.has(number)) {
    const hint = 'name a user that may, by a defaults file or a login path, or run as the user of the database';
    return { code: 'ACCESS_DENIED', hint, retryable: false };
  }
  if (number === 2002) return meaningOfErrno(/\((?:\d+ )?"?(\d+)[^)]*\)$/.exec(text)?.[1]);
  return { code: passing.has(number) ? 'UNREACHABLE' : 'CHILD_FAILED', retryable: passing.has(number) };
}

/** Of connect(2): ENOENT, EACCES, and everything else, mostly ECONNREFUSED. */
function meaningOfErrno(errno: string | undefined): Meaning {
  if (errno === '2') return { code: 'NOT_FOUND', hint: 'is the server running?', retryable: false };
  if (errno === '13') return { code: 'NO_PERMISSION', hint: 'run as a user who may use the socket', retryable: false };
  return { code: 'UNREACHABLE', hint: 'nobody listens at the socket: is the server running?', retryable: true };
}
