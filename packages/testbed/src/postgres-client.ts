// An address of PostgreSQL, and psql as the independent hand on it.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { postgresProgram } from './postgres-programs.ts';
import { postgresPassword } from './postgres-template.ts';
import { mustRun } from './processes.ts';

/** Who connects, and where to. */
export type PostgresTarget = {
  /** Default: `postgres`. */
  readonly database?: string;
  /** Default: `postgres`, the superuser. */
  readonly user?: string;
};

/** One port of 127.0.0.1 with PostgreSQL, or with a proxy before it. */
export class PostgresClient {
  readonly host = '127.0.0.1';
  readonly port: number;
  /** Of `postgres`, and of every role that a test gives no other. */
  readonly password: string = postgresPassword;
  /** A file with the password alone. */
  readonly passwordPath: string;
  /** A file with the password as libpq and `pg` read it (PGPASSFILE). */
  readonly pgpassPath: string;

  /** `path` is a directory for the files with the password. */
  constructor(path: string, port: number) {
    this.port = port;
    this.passwordPath = join(path, 'password');
    this.pgpassPath = join(path, 'pgpass');
    writeFileSync(this.passwordPath, this.password, { mode: 0o600 });
    writeFileSync(this.pgpassPath, `*:*:*:*:${this.password}\n`, { mode: 0o600 });
  }

  /**
   * Runs statements one by one; what they returned, a line a row, fields with `|` between them. Throws what psql said at the
   * first that fails.
   */
  async psql(sql: string, target: PostgresTarget = {}): Promise<string> {
    const env = this.psqlEnv();
    const { stdout } = await mustRun(this.psqlArgv(target), { input: sql, env, timeoutMs: 600_000 });
    return stdout.endsWith('\n') ? stdout.slice(0, -1) : stdout;
  }

  /** The command that runs statements from its standard input, as `psql()` does. */
  psqlArgv(target: PostgresTarget = {}): string[] {
    const { database = 'postgres', user = 'postgres' } = target;
    const where = [`--host=${this.host}`, `--port=${this.port}`, `--dbname=${database}`, `--username=${user}`];
    const how = ['--no-psqlrc', '--quiet', '--no-align', '--tuples-only', '--set=ON_ERROR_STOP=1', '--file=-'];
    return [postgresProgram('psql'), ...where, ...how];
  }

  /** What that command needs in its environment. */
  psqlEnv(): Record<string, string> {
    return { PGPASSFILE: this.pgpassPath, PGCONNECT_TIMEOUT: '10' };
  }

  /** A connection string without the password, or with it. */
  url(target: PostgresTarget & { readonly withPassword?: boolean } = {}): string {
    const { database = 'postgres', user = 'postgres', withPassword = false } = target;
    const secret = withPassword ? `:${this.password}` : '';
    const address = `${this.host}:${this.port}`;
    return `postgresql://${encodeURIComponent(user)}${secret}@${address}/${encodeURIComponent(database)}`;
  }
}
