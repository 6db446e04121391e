import { isIPv6 } from 'node:net';
import { BatonError } from '@batondb/core/errors';
import { printable } from '@batondb/core/files/names';
import { bytesToText, textToBytes } from '@batondb/core/text/bytes';

// Where a source or target is, as a person writes it: `[user@]host:path`, `[user@][2001:db8::1]:path`, or a local path.
// Pure: nothing is looked up, neither hosts nor paths.

const slash = 0x2f;

/** A path on a host. */
export type Endpoint = {
  /** As given, an IPv6 address without its brackets; undefined: this machine. */
  readonly host: string | undefined;
  /** The login given before `@`; undefined: what the ssh configuration says. */
  readonly user: string | undefined;
  /** Bytes, never empty, without trailing slashes. A relative one starts in the login directory, a local one in the cwd. */
  readonly path: Uint8Array;
};

/**
 * Reads an endpoint. A `/` before the first `:` makes it a local path, so `./odd:name` is a file here.
 * Lone surrogates stand for bytes, as in textToBytes. Throws BAD_ENDPOINT.
 */
export function parseEndpoint(text: string): Endpoint {
  const split = splitHost(text);
  if (split === undefined) return { host: undefined, user: undefined, path: parsePath(text, text) };
  const at = split.login.lastIndexOf('@');
  const user = at < 0 ? undefined : split.login.slice(0, at);
  const host = split.isBracketed ? split.login.slice(at + 2, -1) : split.login.slice(at + 1);
  if (!split.isBracketed) checkBrackets(text, at);
  checkLogin(text, user, host);
  checkRemotePath(text, host, split.path);
  return { host, user, path: parsePath(text, split.path) };
}

/** Reads `[user@]host` or `[user@][2001:db8::1]`, a host without a path. Throws BAD_ENDPOINT. */
export function parseHost(text: string): { readonly host: string; readonly user: string | undefined } {
  const split = splitHost(`${text}:.`);
  const { host, user } = parseEndpoint(`${text}:.`);
  if (host === undefined || split?.path !== '.')
    throw bad(text, 'a host without a path is expected', 'write [user@]host');
  return { host, user };
}

/** The endpoint as parseEndpoint reads it; bytes that are no UTF-8 are shown as \xNN. */
export function formatEndpoint(endpoint: Endpoint): string {
  const path = printable(endpoint.path);
  if (endpoint.host !== undefined) return `${formatHost(endpoint)}:${path}`;
  return path.includes(':') && !/^[^:]*\//.test(path) ? `./${path}` : path;
}

/** The host part: `user@host`, `[2001:db8::1]`; `localhost` for this machine. */
export function formatHost(endpoint: Pick<Endpoint, 'host' | 'user'>): string {
  if (endpoint.host === undefined) return 'localhost';
  const host = endpoint.host.includes(':') ? `[${endpoint.host}]` : endpoint.host;
  return endpoint.user === undefined ? host : `${endpoint.user}@${host}`;
}

/** What a remote shell takes as its destination: as formatHost, but without brackets. */
export function sshDestination(endpoint: { readonly host: string; readonly user: string | undefined }): string {
  return endpoint.user === undefined ? endpoint.host : `${endpoint.user}@${endpoint.host}`;
}

/** The name a copy of it gets: the last component of its path. Undefined for `/`, `.` and `..`, which name nothing. */
export function nameOfCopy(endpoint: Endpoint): Uint8Array | undefined {
  const name = endpoint.path.subarray(endpoint.path.lastIndexOf(slash) + 1);
  return ['', '.', '..'].includes(bytesToText(name)) ? undefined : name;
}

type HostSplit = { readonly login: string; readonly isBracketed: boolean; readonly path: string };

/** Parts `login:path`; undefined for a local path. */
function splitHost(text: string): HostSplit | undefined {
  const colon = text.indexOf(':');
  if (colon < 0 || text.slice(0, colon).includes('/')) return undefined;
  const bracket = text.slice(0, colon).search(/(?<=^|@)\[/);
  if (bracket < 0) return { login: text.slice(0, colon), isBracketed: false, path: text.slice(colon + 1) };
  const end = text.indexOf(']', bracket);
  if (end < 0) throw bad(text, 'the bracket around the address is not closed', 'write [2001:db8::1]:path');
  if (text[end + 1] !== ':')
    throw bad(text, 'a colon and a path have to follow the bracket', 'write [2001:db8::1]:path');
  return { login: text.slice(0, end + 1), isBracketed: true, path: text.slice(end + 2) };
}

function checkLogin(text: string, user: string | undefined, host: string): void {
  if (host === '')
    throw bad(text, 'the host before the colon is empty', 'a local path with a colon is written ./name:with:colon');
  if (user === '') throw bad(text, 'the user before the @ is empty', 'write host:path or user@host:path');
  // The remote shell would read such a word as an option of its own, and ssh has options that run commands.
  if (host.startsWith('-') || user?.startsWith('-')) throw bad(text, 'neither user nor host may begin with a dash');
  if (/[\s\p{Cc}\p{Cs}]/u.test(host + (user ?? '')))
    throw bad(text, 'user and host may hold no blanks and control characters');
}

/** `2001:db8::1:/data` would be the host 2001: refused where what stands before some colon is an address. */
function checkBrackets(text: string, at: number): void {
  const ends = [...text.matchAll(/:|$/g)].map(({ index }) => index);
  const address = ends.map((end) => text.slice(at + 1, end)).find((candidate) => isIPv6(candidate));
  if (address !== undefined) throw bad(text, 'an IPv6 address needs brackets', `write [${address}]:path`);
}

function checkRemotePath(text: string, host: string, path: string): void {
  if (['ssh', 'sftp', 'scp', 'rsync'].includes(host) && path.startsWith('//')) {
    throw bad(text, 'URLs are not understood', 'write [user@]host:path');
  }
  if (path === '~' || path.startsWith('~/')) {
    throw bad(
      text,
      'no shell on the far side expands ~',
      `relative paths start in the login directory: write ${path.slice(2) || '.'}`,
    );
  }
}

function parsePath(text: string, path: string): Uint8Array {
  if (path === '') {
    throw bad(text, 'the path is empty', text === '' ? undefined : `write ${text}. for the login directory`);
  }
  if (path.includes('\0')) throw bad(text, 'a path holds no NUL bytes');
  return textToBytes(/^\/+$/.test(path) ? '/' : path.replace(/\/+$/, ''));
}

function bad(text: string, reason: string, hint?: string): BatonError {
  const shown = printable(textToBytes(text));
  return new BatonError('BAD_ENDPOINT', `'${shown}': ${reason}`, hint === undefined ? {} : { hint });
}
