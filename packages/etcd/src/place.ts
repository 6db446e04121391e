import { BatonError } from '@batondb/core/errors';
import { formatEtcdAddress, parseEtcdAddress, readPasswordFile } from './address.ts';
import type { EtcdAccess } from './members.ts';

// Which etcd is meant and how one gets in, as it is asked for.

/** All who work with the same keys have the same prefix, and nobody else has. */
export type EtcdPlace = {
  /** `etcd://[USER[:PASSWORD]@]HOST[:PORT][,HOST[:PORT]…]/PREFIX`; `etcds://` for TLS. */
  readonly url: string;
  /** A user's password; instead of one in the URL. */
  readonly password?: string;
  /** A file with the password; instead of `password`. */
  readonly passwordFile?: string;
  /** PEM, of whoever signed etcd's certificates. Default: those that Node knows. */
  readonly ca?: string;
  /** PEM, for an etcd that wants its clients' certificates. */
  readonly certificate?: string;
  readonly key?: string;
};

export type PlannedPlace<M> = {
  readonly access: EtcdAccess;
  /** Ends with a slash. */
  readonly prefix: string;
  /** The address as a person may see it. */
  readonly address: string;
  /** What is no part of the place. */
  readonly more: M;
};

/** Reads where an etcd is. Throws USAGE, and what keeps the password from being read. */
export function planEtcdAccess<M extends object>(options: EtcdPlace & M): PlannedPlace<Omit<M, keyof EtcdPlace>> {
  const { url, password: given, passwordFile, ca, certificate, key, ...more } = options;
  const parsed = parseEtcdAddress(url);
  const { endpoints, isTls, user, prefix } = parsed;
  const password = given ?? (passwordFile === undefined ? parsed.password : readPasswordFile(passwordFile));
  if (!isTls && (ca ?? certificate ?? key) !== undefined)
    throw new BatonError('USAGE', 'certificates are given for an etcd without TLS', { hint: 'write etcds://' });
  const tls = {
    ...(ca === undefined ? {} : { ca }),
    ...(certificate === undefined ? {} : { certificate }),
    ...(key === undefined ? {} : { key }),
  };
  const access = {
    endpoints,
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { password }),
    ...(isTls ? { tls } : {}),
  };
  return { access, prefix, address: formatEtcdAddress(parsed), more };
}
