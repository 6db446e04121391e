import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { BatonError } from '@batondb/core/errors';
import { toBatonError } from '@batondb/core/files/system-error';
import type { PostgresAddress, PostgresEnvironment, PostgresHost } from './address.ts';
import { streamLimits } from './stream-limits.ts';

// Where a password comes from: a file that was named for it, the URL, PGPASSWORD, or a file of passwords ("34.16. The Password File").

export type PasswordFor = (host: PostgresHost) => string | undefined;

/**
 * How the password of a host is found. Files are read each time anew, since passwords change. `passwordPath` is a file with a password alone.
 * What is found throws NO_PERMISSION when others can read it, too.
 */
export function passwordSource(
  address: PostgresAddress,
  environment: PostgresEnvironment,
  passwordPath: string | undefined,
): PasswordFor {
  return (host) => {
    if (passwordPath !== undefined) return readSecret(passwordPath).replace(/\r?\n$/, '');
    const direct = address.password ?? environment.PGPASSWORD;
    if (direct !== undefined) return direct;
    const path = address.passfilePath ?? defaultPassfile(environment);
    return path === undefined ? undefined : findPassword(readSecret(path), host, address);
  };
}

/** The password of the first line that fits: `host:port:database:user:password`, `*` fits everything, a backslash escapes. */
export function findPassword(
  text: string,
  host: PostgresHost,
  { database, user }: Pick<PostgresAddress, 'database' | 'user'>,
): string | undefined {
  const wanted = [host.host.startsWith('/') ? 'localhost' : host.host, String(host.port), database, user];
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith('#')) continue;
    const fields = [...line.matchAll(/((?:\\.|[^:\\])*)(?::|$)/gs)].map(([, field = '']) => field);
    const isFitting = wanted.every((value, index) => fields[index] === '*' || unescape(fields[index]) === value);
    if (isFitting && fields[4] !== undefined) return unescape(fields[4]);
  }
  return undefined;
}

function unescape(field: string | undefined): string | undefined {
  return field?.replace(/\\(.)/gs, '$1');
}

/** Only when it is there: nobody has named it. */
function defaultPassfile({ HOME }: PostgresEnvironment): string | undefined {
  const path = HOME === undefined ? undefined : join(HOME, '.pgpass');
  return path !== undefined && statSync(path, { throwIfNoEntry: false })?.isFile() === true ? path : undefined;
}

function readSecret(path: string): string {
  try {
    const { mode, size } = statSync(path);
    if (size > streamLimits.passwordFileBytesMax)
      throw new BatonError('LIMIT', `${path} has ${size} bytes, which is too much for passwords`);
    if ((mode & 0o077) !== 0) {
      throw new BatonError('NO_PERMISSION', `others may read the passwords in ${path}`, { hint: `chmod 600 ${path}` });
    }
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw error instanceof BatonError ? error : toBatonError(error, { path });
  }
}
