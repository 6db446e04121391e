import { BatonError } from '@batondb/core/errors';
import { hostInUrl } from './address.ts';

// Where a server is reached, as people write it: `http://`, `https://`, `ws://`, `wss://` (which mean the same two, for who copies an address from elsewhere),
// `HOST:PORT`, or `unix:PATH`.

/** Where a server is reached. */
export type Endpoint =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number; readonly isSecure: boolean }
  | { readonly kind: 'unix'; readonly path: string };

const schemes: Readonly<Record<string, { readonly isSecure: boolean; readonly port: number }>> = {
  'ws:': { isSecure: false, port: 80 },
  'http:': { isSecure: false, port: 80 },
  'wss:': { isSecure: true, port: 443 },
  'https:': { isSecure: true, port: 443 },
};

/** Reads an address and the path behind it, which a socket's own path cannot be told from. Throws USAGE with the hint. */
export function parseEndpoint(text: string, hint: string): { readonly endpoint: Endpoint; readonly path: string } {
  const wrong = (what: string): BatonError => new BatonError('USAGE', `${text} ${what}`, { hint });
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length);
    if (path === '' || path.includes('\0')) throw wrong('names no socket');
    return { endpoint: { kind: 'unix', path }, path: '' };
  }
  const url = URL.parse(text.includes('://') ? text : `http://${text}`);
  const scheme = schemes[url?.protocol ?? ''];
  if (url === null || scheme === undefined || url.hostname === '') throw wrong('is no address of a server');
  if (url.username !== '' || url.password !== '')
    throw new BatonError('USAGE', 'an address has no user and no password in it', { hint: 'give a token instead' });
  if (url.search !== '' || url.hash !== '') throw wrong('has something after its path');
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const port = url.port === '' ? scheme.port : Number(url.port);
  return { endpoint: { kind: 'tcp', host, port, isSecure: scheme.isSecure }, path: url.pathname };
}

/** Where it is, for people. `scheme` gets an `s` where there is TLS. */
export function formatEndpoint(endpoint: Endpoint, scheme: 'http' | 'ws'): string {
  if (endpoint.kind === 'unix') return `unix:${endpoint.path}`;
  return `${scheme}${endpoint.isSecure ? 's' : ''}://${hostInUrl(endpoint.host)}:${endpoint.port}`;
}
