import { BatonError } from '@batondb/core/errors';
import { type Endpoint, formatEndpoint, parseEndpoint } from '@batondb/service/endpoint';
import { defaultDatabase } from '../server/routes.ts';

// Where a database is served: the address of a server, and behind it the database. `main` is at the root, others at /db/NAME.

/** A database on a server. */
export type Location = {
  readonly endpoint: Endpoint;
  readonly database: string;
};

const databasePath = /^(.*)\/db\/([^/]+)\/?$/;
const hint =
  'write ws://HOST:PORT, wss://HOST:PORT or unix:PATH, with /db/NAME behind it for another database than main';

/** Reads where a database is. Throws USAGE. */
export function parseLocation(text: string): Location {
  const { endpoint, path } = parseEndpoint(text, hint);
  if (endpoint.kind === 'unix') return locationOfSocket(endpoint.path, text);
  const [, prefix = '', name] = databasePath.exec(path) ?? [];
  if (name === undefined ? path !== '/' : prefix !== '') throw wrong(text, 'has a path that no database has');
  return { endpoint, database: decodeName(name, text) };
}

/** Where it is, for people. */
export function formatLocation({ endpoint, database }: Location): string {
  const path = database === defaultDatabase ? '' : `/db/${encodeURIComponent(database)}`;
  return `${formatEndpoint(endpoint, 'ws')}${path}`;
}

/** The same server's other database. */
export function withDatabase({ endpoint }: Location, database: string): Location {
  return { endpoint, database };
}

/** A socket's path that ends like a database's is taken for one: nobody keeps sockets in a directory called `db`. */
function locationOfSocket(path: string, text: string): Location {
  const [, prefix = path, name] = databasePath.exec(path) ?? [];
  if (prefix === '') throw wrong(text, 'names no socket');
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
