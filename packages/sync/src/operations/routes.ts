import { Refusal } from '@batondb/service/refusal';

// Which path is what. What changes something is a POST.

export type Route =
  | { readonly type: 'page' | 'health' | 'ready' | 'status' | 'metrics' | 'pause' | 'resume' }
  | { readonly type: 'resync'; readonly table: string };

const methods: Readonly<Record<string, 'GET' | 'POST'>> = {
  '/': 'GET',
  '/health': 'GET',
  '/ready': 'GET',
  '/status': 'GET',
  '/metrics': 'GET',
  '/pause': 'POST',
  '/resume': 'POST',
  '/resync': 'POST',
};

/** What a request is for. Throws NO_SUCH_PATH, WRONG_METHOD, and NO_SUCH_PATH for a resync of nothing. */
export function parseRoute(method: string, target: string): Route {
  const [path = '', query = ''] = target.split(/[?#]/, 2);
  const wanted = Object.hasOwn(methods, path) ? methods[path] : undefined;
  if (wanted === undefined) throw new Refusal('NO_SUCH_PATH', `nothing is served at ${path.slice(0, 200)}`);
  if (method !== wanted && !(method === 'HEAD' && wanted === 'GET'))
    throw new Refusal('WRONG_METHOD', `${path} takes ${wanted}, and this was ${method}`);
  if (path === '/') return { type: 'page' };
  if (path !== '/resync') return { type: path.slice(1) as 'health' };
  const table = new URLSearchParams(query).get('table') ?? '';
  if (table === '') throw new Refusal('NO_SUCH_PATH', '/resync needs a table: /resync?table=SCHEMA.TABLE');
  return { type: 'resync', table };
}
