import { Refusal } from '@batondb/service/refusal';
import { checkTransactionKey } from '../hrana/call-options.ts';
import { limits } from '../hrana/limits.ts';
import type { HranaVersion } from '../hrana/versions.ts';

// Which path is what. Every path of a database may stand below /db/NAME; at the root it is the one called main.

export const defaultDatabase = 'main';

export type Route =
  | { readonly type: 'page' | 'health' | 'ready' | 'status' | 'metrics' }
  | { readonly type: 'receipt'; readonly transactionKey: string }
  | { readonly type: 'version' }
  | { readonly type: 'pipeline'; readonly version: HranaVersion; readonly database: string }
  | { readonly type: 'cursor'; readonly database: string }
  | { readonly type: 'operation'; readonly operation: 'list' | 'backup' }
  | { readonly type: 'operation'; readonly operation: 'create' | 'drop' | 'fetch'; readonly database: string }
  | {
      readonly type: 'operation';
      readonly operation: 'send';
      readonly database: string;
      /** Whoever has the name may go. */
      readonly replaces: boolean;
    };

/** Names of databases are names of files, too: no slash, no dot in front. */
const databasePattern = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/;

/** What a request is for. Throws NO_SUCH_PATH or WRONG_METHOD. */
export function parseRoute(method: string, target: string): Route {
  const path = pathOf(target);
  if (path.startsWith('/txn/')) {
    requireMethod(method, 'GET', path);
    return { type: 'receipt', transactionKey: checkTransactionKey(decodePart(path.slice('/txn/'.length))) };
  }
  if (path === '/health' || path === '/ready' || path === '/status' || path === '/metrics') {
    requireMethod(method, 'GET', path);
    return { type: path.slice(1) as 'health' };
  }
  if (path === '/') {
    requireMethod(method, 'GET', path);
    return { type: 'page' };
  }
  if (path === '/db' || path === '/backup') {
    requireMethod(method, path === '/db' ? 'GET' : 'POST', path);
    return { type: 'operation', operation: path === '/db' ? 'list' : 'backup' };
  }
  const { database, rest } = splitDatabase(path);
  switch (rest) {
    case '':
      if (method === 'DELETE') return { type: 'operation', operation: 'drop', database };
      requireMethod(method, 'PUT', path);
      return { type: 'operation', operation: 'create', database };
    case '/file':
      if (method === 'PUT') return { type: 'operation', operation: 'send', database, replaces: asksToReplace(target) };
      requireMethod(method, 'GET', path);
      return { type: 'operation', operation: 'fetch', database };
    case '/v2':
    case '/v3':
      requireMethod(method, 'GET', path);
      return { type: 'version' };
    case '/v2/pipeline':
    case '/v3/pipeline':
      requireMethod(method, 'POST', path);
      return { type: 'pipeline', version: rest.startsWith('/v2') ? 2 : 3, database };
    case '/v3/cursor':
      requireMethod(method, 'POST', path);
      return { type: 'cursor', database };
    default:
      throw noSuchPath(path);
  }
}

/** The database that a WebSocket is for, by the path that it was opened with. Throws NO_SUCH_PATH. */
export function parseSocketRoute(target: string): string {
  const path = pathOf(target);
  const { database, rest } = splitDatabase(path);
  if (rest !== '' && rest !== '/') throw noSuchPath(path);
  return database;
}

function splitDatabase(path: string): { readonly database: string; readonly rest: string } {
  if (!path.startsWith('/db/')) return { database: defaultDatabase, rest: path };
  const end = path.indexOf('/', '/db/'.length);
  const database = decodePart(path.slice('/db/'.length, end < 0 ? undefined : end));
  if (database.length > limits.databaseCharactersMax || !databasePattern.test(database)) {
    throw new Refusal('NO_SUCH_PATH', `${path} has no name of a database after /db/`);
  }
  return { database, rest: end < 0 ? '' : path.slice(end) };
}

function pathOf(target: string): string {
  const end = target.search(/[?#]/);
  return end < 0 ? target : target.slice(0, end);
}

function asksToReplace(target: string): boolean {
  const start = target.indexOf('?');
  return start >= 0 && new URLSearchParams(target.slice(start + 1)).get('replace') === 'yes';
}

function decodePart(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw noSuchPath(part);
  }
}

function requireMethod(method: string, wanted: string, path: string): void {
  if (method !== wanted && !(method === 'HEAD' && wanted === 'GET'))
    throw new Refusal('WRONG_METHOD', `${path} takes ${wanted}, and this was ${method}`);
}

function noSuchPath(path: string): Refusal {
  return new Refusal('NO_SUCH_PATH', `nothing is served at ${path.slice(0, 200)}`);
}
