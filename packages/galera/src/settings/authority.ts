// Whether an operator demands that an authority vouches for both sides of a transfer, and with which files: in the words, the groups and the order of MariaDB's own methods.
import { existsSync, statSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { BatonError } from '@batondb/core/errors';
import type { Role } from '../contract/call.ts';
import type { OptionGroups } from './option-files.ts';

/** What is demanded. Paths are absolute. */
export type AuthorityDemand = {
  /** The option, for people: `ssl-mode=VERIFY_CA`. */
  readonly option: string;
  /** Whether the joiner's certificate has to be for the address that its donor connects to. */
  readonly isForHost: boolean;
  /** Certificates of authorities, one behind another. */
  readonly authorityFile: string | undefined;
  /** A directory of them, by the names that `openssl rehash` gives. */
  readonly authorityDirectory: string | undefined;
  readonly certificateFile: string;
  readonly keyFile: string;
  /** A list of revoked certificates. */
  readonly revocationFile: string | undefined;
};

type Files = { readonly ca: string; readonly capath: string; readonly cert: string; readonly key: string };

/** The value of an option that other methods know, too: MariaDB's scripts look into the server's groups first, and pass over what is empty. */
export function valueIn(groups: OptionGroups, key: string): string | undefined {
  return [groups.server, groups.sst, groups.backup].map((options) => options.get(key)).find((found) => found);
}

/**
 * The demand of a node in a role; undefined: there is none, and certificates are made for each transfer. `encrypt` and `ssl-mode` make sense already. Throws USAGE for a demand
 * without the files that it needs: nothing less is done instead (G11); UNSUPPORTED for a directory of revocations.
 */
export function readDemand(groups: OptionGroups, role: Role, dataDirectory: string): AuthorityDemand | undefined {
  const encrypt = valueIn(groups, 'encrypt') ?? '0';
  const mode = valueIn(groups, 'ssl-mode')?.toUpperCase() ?? 'DISABLED';
  const files = filesOf(groups, role);
  const isVerified = mode.startsWith('VERIFY_');
  const hasAuthority = files.ca !== '' || files.capath !== '';
  if (!isVerified && encrypt !== '2' && encrypt !== '4' && !(encrypt === '3' && hasAuthority)) return undefined;
  const option = isVerified ? `ssl-mode=${mode}` : `encrypt=${encrypt}`;
  // encrypt=2 has both in one file.
  const key = files.key === '' && encrypt === '2' ? files.cert : files.key;
  if (!hasAuthority) throw missing(option, 'no authority', 'ssl-ca (or tca)');
  if (files.cert === '') throw missing(option, 'no certificate of this node', 'ssl-cert (or tcert)');
  if (key === '') throw missing(option, 'no private key of this node', 'ssl-key (or tkey)');
  if (valueIn(groups, 'ssl-crlpath') !== undefined) {
    throw new BatonError(
      'UNSUPPORTED',
      `ssl-crlpath with ${option} asks for a directory of revocations, and that is not read here`,
      {
        hint: 'put the lists into one file, and name it with ssl-crl',
      },
    );
  }
  const at = (path: string): string | undefined => (path === '' ? undefined : absolute(dataDirectory, path));
  const ca = at(files.ca);
  const isDirectory = ca !== undefined && (ca.endsWith('/') || (existsSync(ca) && statSync(ca).isDirectory()));
  return {
    option,
    isForHost: mode === 'VERIFY_IDENTITY' || (!isVerified && encrypt === '3'),
    authorityFile: isDirectory ? undefined : ca,
    authorityDirectory: isDirectory ? ca : at(files.capath),
    certificateFile: absolute(dataDirectory, files.cert),
    keyFile: absolute(dataDirectory, key),
    revocationFile: at(valueIn(groups, 'ssl-crl') ?? ''),
  };
}

/** Where one of the old names in `[sst]` is set, the new ones of all groups are passed over; those of a role go before both. */
function filesOf(groups: OptionGroups, role: Role): Files {
  const old = (key: string): string => groups.sst.get(key) ?? '';
  const ofOld = { ca: old('tca'), capath: old('tcapath'), cert: old('tcert'), key: old('tkey') };
  const isOld = Object.values(ofOld).some((path) => path !== '');
  // The joiner is the one who is connected to.
  const prefix = role === 'joiner' ? 'ssl-server' : 'ssl-client';
  const of = (name: keyof Files): string =>
    valueIn(groups, `${prefix}-${name}`) ?? (isOld ? ofOld[name] : (valueIn(groups, `ssl-${name}`) ?? ''));
  return { ca: of('ca'), capath: of('capath'), cert: of('cert'), key: of('key') };
}

/** Servers and their scripts run in the data directory. */
function absolute(dataDirectory: string, path: string): string {
  return isAbsolute(path) ? path : join(dataDirectory, path);
}

function missing(option: string, what: string, key: string): BatonError {
  return new BatonError('USAGE', `${option} asks to verify certificates by an authority, and ${what} is named`, {
    hint: `set ${key} in [sst] or for the server, on all nodes, or take ${option} away: the key proves both sides without certificates`,
  });
}
