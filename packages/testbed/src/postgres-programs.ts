// Where Debian keeps PostgreSQL's programs, and how a test that runs as root starts them: PostgreSQL refuses to run as root.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { BatonError } from '@batondb/core/errors';

const versionsPath = '/usr/lib/postgresql';

/** The newest version that this machine has, such as `/usr/lib/postgresql/15/bin`. */
export function postgresBinPath(): string {
  const versions = existsSync(versionsPath) ? readdirSync(versionsPath).map(Number) : [];
  for (const version of versions.filter(Number.isInteger).sort((a, b) => b - a)) {
    const path = join(versionsPath, String(version), 'bin');
    if (existsSync(join(path, 'postgres'))) return path;
  }
  throw new BatonError('UNSUPPORTED', `a PostgreSQL server needs ${versionsPath}/*/bin/postgres, which is not there`, {
    hint: 'apt-get install postgresql',
  });
}

/** The path of one of PostgreSQL's own programs. Debian's wrappers of them on PATH are Perl, take longer, and ask for its clusters. */
export function postgresProgram(name: string): string {
  return join(postgresBinPath(), name);
}

/** A command that root runs as user postgres. It is replaced, not wrapped: the pid stays. */
export function asPostgres(argv: readonly string[]): string[] {
  return ['setpriv', '--reuid=postgres', '--regid=postgres', '--init-groups', '--', ...argv];
}
