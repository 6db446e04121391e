import { BatonError } from '@batondb/core/errors';
import { hostInUrl } from '@batondb/service/address';
import type { Endpoint } from '@batondb/service/client';
import { defaultDatabase } from '../server/routes.ts';

// Where a database is served: `ws://`, `wss://`, `http://`, `https://` (the same two, for who copies an address from elsewhere),
// `HOST:PORT`, or `unix:PATH`. The database `main` is at the root, others at /db/NAME.

/** A database on a server. */
export type Location = {
  readonly endpoint: Endpoint;
  readonly database: string;
};

const databasePath = /^(.*)\/db\/([^/]+)\/?$/;
const schemes: Readonly<Record<string, { readonly isSecure: boolean; readonly port: number }>> = {
  'ws:': { isSecure: false, port: 80 },
  'http:': { isSecure: false, port: 80 },
  'wss:': { isSecure: true, port: 443 },
  'https:': { isSecure: true, port: 443 },
};
const hint =
  'write ws://HOST:PORT, wss://HOST:PORT or unix:PATH, with /db/NAME behind it for another database than main';

/** Reads where a database is. Throws USAGE. */
export function parseLocation(text: string): Location {
  if (text.startsWith('unix:')) return parseUnix(text);
  const url = URL.parse(text.includes('://') ? text : `ws://${text}`);
  const scheme = schemes[url?.protocol ?? ''];
  if (url === null || scheme === undefined || url.hostname === '') throw wrong(text, 'is no address of a server');
  if (url.username !== '' || url.password !== '')
    throw new BatonError('USAGE', 'an address has no user and no password in it', { hint: 'give a token instead' });
  if (url.search !== '' || url.hash !== '') throw wrong(text, 'has something after its path');
  const [, prefix = '', name] = databasePath.exec(url.pathname) ?? [];
  if (name === undefined ? url.pathname !== '/' : prefix !== '') throw wrong(text, 'has a path that no database has');
  return {
    endpoint: {
      kind: 'tcp',
      host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
      port: url.port === '' ? scheme.port : Number(url.port),
      isSecure: scheme.isSecure,
    },
    database: decodeName(name, text),
  };
}

/** Where it is, for people. */
export function formatLocation({ endpoint, database }: Location): string {
  const path = database === defaultDatabase ? '' : `/db/${encodeURIComponent(database)}`;
  if (endpoint.kind === 'unix') return `unix:${endpoint.path}${path}`;
  return `${endpoint.isSecure ? 'wss' : 'ws'}://${hostInUrl(endpoint.host)}:${endpoint.port}${path}`;
}

/** The same server's other database. */
export function withDatabase({ endpoint }: Location, database: string): Location {
  return { endpoint, database };
}

/** A socket's path that ends like a database's is taken for one: nobody keeps sockets in a directory called `db`. */
function parseUnix(text: string): Location {
  const path = text.slice('unix:'.length);
  const [, prefix = path, name] = databasePath.exec(path) ?? [];
  if (prefix === '' || prefix.includes('\0')) throw wrong(text, 'names no socket');
  return { endpoint: { kind: 'unix', path: prefix }, database: decodeName(name, text) };
}

function decodeName(name: string | undefined, text: string): string {
  if (name === undefined) return defaultDatabase;
  try {
    return decodeURIComponent(name);
  } catch {
    throw wrong(text, 'names a database in a way that cannot be decoded');
  }
}

function wrong(text: string, what: string): BatonError {
  return new BatonError('USAGE', `${text} ${what}`, { hint });
}
