import { isIP } from 'node:net';
import { BatonError } from '@batondb/core/errors';

// Where a server listens: 127.0.0.1:6480, [::1]:6480, db1:6480, or unix:PATH.

/** `sun_path` of a Unix socket (unix(7)), without its final NUL. */
const socketPathBytesMax = 107;

export type Address =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/** Reads an address. Port 0 lets the system choose. Throws USAGE. */
export function parseAddress(text: string): Address {
  if (text.startsWith('unix:')) return { kind: 'unix', path: checkSocketPath(text.slice('unix:'.length)) };
  const [, bracketed, plain, digits = ''] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = Number(digits);
  if (host === undefined || port > 65_535 || (bracketed !== undefined && isIP(bracketed) !== 6)) {
    throw new BatonError('USAGE', `${text} is no address to listen on`, {
      hint: 'write HOST:PORT, such as 127.0.0.1:6480 or [::1]:6480, or unix:PATH',
    });
  }
  return { kind: 'tcp', host, port };
}

/** Whether only programs on this machine can reach it. A name counts as what it is elsewhere, too: only `localhost` is known. */
export function isLocal(address: Address): boolean {
  return address.kind === 'unix' || isLoopback(address.host);
}

/** Whether a host, without brackets, is this machine's loopback: `localhost`, ::1, or one of 127.0.0.0/8. */
export function isLoopback(host: string): boolean {
  if (host === 'localhost' || host === '::1') return true;
  return isIP(host) === 4 && host.startsWith('127.');
}

/** How an address is written. */
export function formatAddress(address: Address): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  return `${hostInUrl(address.host)}:${address.port}`;
}

/** A host as a URL has it. */
export function hostInUrl(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

function checkSocketPath(path: string): string {
  const bytes = Buffer.byteLength(path);
  if (bytes === 0 || path.includes('\0')) throw new BatonError('USAGE', 'unix: needs the path of a socket after it');
  if (bytes > socketPathBytesMax)
    throw new BatonError('USAGE', `${path} has ${bytes} bytes; a socket's path may have ${socketPathBytesMax}`);
  return path;
}
