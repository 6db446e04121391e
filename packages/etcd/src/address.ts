import { readFileSync } from 'node:fs';
import { BatonError } from '@batondb/core/errors';
import { toBatonError } from '@batondb/core/files/system-error';
import { limits } from './limits.ts';

// Where an etcd is, written as one line: `etcd://[USER[:PASSWORD]@]HOST[:PORT][,HOST[:PORT]…]/PREFIX`, `etcds://` for TLS.

/** An etcd, and the keys in it that are meant. */
export type EtcdAddress = {
  /** `host:port`, of which any one will do. */
  readonly endpoints: readonly string[];
  readonly isTls: boolean;
  readonly user?: string;
  readonly password?: string;
  /** Begins all keys that are meant, and ends with a slash. */
  readonly prefix: string;
};

const form = /^(etcds?):\/\/(?:([^:@/]*)(?::([^@/]*))?@)?([^@/]+)(\/.*)?$/;
const endpointForm = /^(\[[0-9a-f:.]+\]|[a-z0-9][a-z0-9._-]*)(?::(\d{1,5}))?$/i;
const defaultPort = 2379;
const hint = 'it looks like etcd://host:2379,host2:2379/prefix';

/** Reads an address. Throws USAGE; no error has the password in it. */
export function parseEtcdAddress(url: string): EtcdAddress {
  const [, scheme, user, password, hosts = '', path = ''] = form.exec(url) ?? [];
  if (scheme === undefined)
    throw new BatonError('USAGE', `${withoutPassword(url)} is not the address of an etcd`, { hint });
  const prefix = path.replace(/\/+$/, '');
  if (prefix === '' || prefix.includes('//') || /[?#\s]/.test(prefix)) {
    throw new BatonError('USAGE', `${withoutPassword(url)} names no prefix of keys`, { hint });
  }
  return {
    endpoints: hosts.split(',').map((host) => parseEndpoint(host)),
    isTls: scheme === 'etcds',
    ...(user === undefined || user === '' ? {} : { user: decodeURIComponent(user) }),
    ...(password === undefined ? {} : { password: decodeURIComponent(password) }),
    prefix: `${decodeURIComponent(prefix)}/`,
  };
}

/** The address as a person may see it: without user and password. */
export function formatEtcdAddress({ endpoints, isTls, prefix }: EtcdAddress): string {
  return `${isTls ? 'etcds' : 'etcd'}://${endpoints.join(',')}${prefix.slice(0, -1)}`;
}

/** Reads a password from a file that nobody else may read. Throws NO_PERMISSION, USAGE, or what kept it from being read. */
export function readPasswordFile(path: string): string {
  let content: Buffer;
  try {
    content = readFileSync(path);
  } catch (error) {
    throw toBatonError(error, { path });
  }
  if (content.length > limits.passwordFileBytesMax) throw new BatonError('LIMIT', `${path} is too long for a password`);
  return content.toString('utf8').replace(/\r?\n$/, '');
}

function parseEndpoint(text: string): string {
  const [, host, port] = endpointForm.exec(text) ?? [];
  if (host === undefined || Number(port ?? defaultPort) > 65_535) {
    throw new BatonError('USAGE', `${text.slice(0, 100)} is not a host of an etcd`, { hint });
  }
  return `${host}:${port ?? defaultPort}`;
}

function withoutPassword(url: string): string {
  return url.replace(/\/\/[^/]*@/, '//…@').slice(0, 200);
}
