import { limits } from '../limits.ts';
import type { Xattr } from '../protocol/entry.ts';
import { badArchive } from './archive-error.ts';

// pax extended headers: POSIX.1-2017 `pax`, section "pax Extended Header", with the keywords of star (SCHILY.xattr) and GNU
// tar (GNU.sparse). Not checked: the character set, since names are bytes here.

/** What an extended header says of the next member. */
export type PaxRecords = {
  path?: Uint8Array;
  linkPath?: Uint8Array;
  sizeBytes?: number;
  uid?: number;
  gid?: number;
  modifyTimeNs?: bigint;
  accessTimeNs?: bigint;
  readonly xattrs: Xattr[];
  readonly notUnderstood: ('acl' | 'xattr')[];
  /** GNU sparse format, such as `1.0`, with the member's real name and length. */
  sparse?: { version: string; path?: Uint8Array; sizeBytes?: number };
};

/** What nobody has said yet. */
export function noRecords(): PaxRecords {
  return { xattrs: [], notUnderstood: [] };
}

const equals = 0x3d;
const xattrPrefix = 'SCHILY.xattr.';

/** Reads the payload of an extended header (type `x`) into records. Throws BAD_ARCHIVE. */
export function decodePax(payload: Uint8Array): PaxRecords {
  const records = noRecords();
  for (const { key, value } of splitRecords(payload)) addRecord(records, key, value);
  let sumBytes = 0;
  for (const { name, value } of records.xattrs) sumBytes += name.length + value.length;
  if (sumBytes > limits.xattrsBytesMax)
    throw badArchive(records.path, `has ${sumBytes} bytes of attributes, and the limit is ${limits.xattrsBytesMax}`);
  return records;
}

/** Keywords that may stand in a global header (type `g`), for all members that follow: those that say nothing of one of them. */
const harmless = /^(comment|charset|hdrcharset|uname|gname|ctime|VENDOR\..*)$/;

/** Checks the payload of a global header, from which nothing is taken. Throws BAD_ARCHIVE. */
export function checkGlobalPax(payload: Uint8Array): void {
  for (const { key } of splitRecords(payload)) {
    if (harmless.test(key)) continue;
    throw badArchive(undefined, `has a global header with ${JSON.stringify(key.slice(0, 40))}, which is not supported`);
  }
}

/** `LENGTH KEY=VALUE\n`, LENGTH counting all of it. */
function* splitRecords(payload: Uint8Array): Generator<{ readonly key: string; readonly value: Uint8Array }> {
  for (let at = 0; at < payload.length; ) {
    const space = payload.indexOf(0x20, at);
    const digits = Buffer.from(payload.subarray(at, space < 0 || space > at + 10 ? at : space)).toString('latin1');
    const end = /^[0-9]+$/.test(digits) ? at + Number(digits) : 0;
    const split = payload.indexOf(equals, space);
    const isWhole =
      end > space + 2 && end <= payload.length && payload[end - 1] === 0x0a && split > space && split < end;
    if (!isWhole) throw badArchive(undefined, `has an extended header that is damaged at its byte ${at}`);
    yield {
      key: Buffer.from(payload.subarray(space + 1, split)).toString('latin1'),
      value: payload.slice(split + 1, end - 1),
    };
    at = end;
  }
}

function addRecord(records: PaxRecords, key: string, value: Uint8Array): void {
  if (key.startsWith(xattrPrefix)) return addXattr(records, key.slice(xattrPrefix.length), value);
  if (key.startsWith('SCHILY.acl.')) return void records.notUnderstood.push('acl');
  if (key.startsWith('RHT.security.')) return void records.notUnderstood.push('xattr');
  if (key.startsWith('GNU.sparse.')) return addSparse(records, key.slice('GNU.sparse.'.length), value);
  switch (key) {
    case 'path':
      records.path = value;
      return;
    case 'linkpath':
      records.linkPath = value;
      return;
    case 'size':
      records.sizeBytes = decimal(key, value);
      return;
    case 'uid':
      records.uid = decimal(key, value);
      return;
    case 'gid':
      records.gid = decimal(key, value);
      return;
    case 'mtime':
      records.modifyTimeNs = timeNs(key, value);
      return;
    case 'atime':
      records.accessTimeNs = timeNs(key, value);
      return;
    default:
    // ctime, names of users, comments, and what other programs say of themselves.
  }
}

// A keyword cannot hold `=`: GNU tar writes %3D, and %25 for the % itself.
function addXattr(records: PaxRecords, encoded: string, value: Uint8Array): void {
  const name = Buffer.from(encoded.replaceAll('%3D', '=').replaceAll('%25', '%'), 'latin1');
  const isGood = name.length > 0 && name.length <= limits.nameBytesMax && !name.includes(0);
  if (!isGood || value.length > limits.xattrValueBytesMax)
    throw badArchive(
      records.path,
      `has an attribute with a name of ${name.length} and a value of ${value.length} bytes`,
    );
  records.xattrs.push({ name, value });
}

function addSparse(records: PaxRecords, key: string, value: Uint8Array): void {
  records.sparse ??= { version: '0' };
  const { sparse } = records;
  if (key === 'major') sparse.version = `${decimal(key, value)}.${sparse.version.split('.')[1] ?? 0}`;
  else if (key === 'minor') sparse.version = `${sparse.version.split('.')[0]}.${decimal(key, value)}`;
  else if (key === 'name') sparse.path = value;
  else if (key === 'realsize') sparse.sizeBytes = decimal(key, value);
}

function decimal(key: string, value: Uint8Array): number {
  const text = Buffer.from(value.subarray(0, 32)).toString('latin1');
  const found = /^[0-9]+$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(found)) return found;
  throw badArchive(undefined, `has an extended header whose ${key} is ${JSON.stringify(text)}, and not a number`);
}

const digitsMax = 9;

/** `-1.5` is one and a half second before 1970. Digits beyond nanoseconds are cut off. */
function timeNs(key: string, value: Uint8Array): bigint {
  const text = Buffer.from(value.subarray(0, 64)).toString('latin1');
  const match = /^(-?)([0-9]{1,18})(?:\.([0-9]*))?$/.exec(text);
  if (match === null)
    throw badArchive(undefined, `has an extended header whose ${key} is ${JSON.stringify(text)}, and not a time`);
  const [, sign, seconds = '0', fraction = ''] = match;
  const ns = BigInt(seconds) * 1_000_000_000n + BigInt(fraction.slice(0, digitsMax).padEnd(digitsMax, '0'));
  return sign === '-' ? -ns : ns;
}
