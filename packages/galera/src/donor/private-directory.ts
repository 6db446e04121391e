import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BatonError } from '@batondb/core/errors';
import { toBatonError } from '@batondb/core/files/system-error';
import type { Credentials } from '../contract/credentials.ts';
import type { Leftovers } from '../leftovers.ts';

/** The process that made it is in its name: what one left that was killed together with all beside it is known by that, and removed by the next. */
const pattern = /^baton-sst-(?<pid>\d+)-/;

/** A directory that only this user can look into (0700), for credentials and the backup tool's small files. */
export class PrivateDirectory implements AsyncDisposable {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** Throws NO_SPACE, NO_PERMISSION, READ_ONLY. */
  static async make(leftovers: Leftovers): Promise<PrivateDirectory> {
    const parent = tmpdir();
    try {
      for (const name of await readdir(parent)) {
        const pid = pattern.exec(name)?.groups?.['pid'];
        // Others' directories stay: we may not remove them.
        if (pid !== undefined && !existsSync(`/proc/${pid}`))
          await rm(join(parent, name), { recursive: true, force: true }).catch(() => undefined);
      }
      const path = join(parent, `baton-sst-${process.pid}-${randomBytes(6).toString('hex')}`);
      leftovers.add(path);
      await mkdir(path, { mode: 0o700 });
      return new PrivateDirectory(path);
    } catch (error) {
      throw toBatonError(error, { path: parent });
    }
  }

  /** An option file with credentials (0600), for clients and tools; undefined without any (G10). */
  async writeCredentials(credentials: Credentials | undefined): Promise<string | undefined> {
    if (credentials === undefined) return undefined;
    const path = join(this.path, 'login.cnf');
    const lines = Object.entries(credentials).map(([name, value]) => `${name} = ${quoteOption(value)}\n`);
    await writeFile(path, `[client]\n${lines.join('')}`, { mode: 0o600, flag: 'wx' });
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }
}

/** As MariaDB's option files have it: in quotes, with a backslash before what ends them. */
function quoteOption(value: string): string {
  if (/[\0\r\n]/.test(value))
    throw new BatonError('USAGE', 'the credentials of wsrep_sst_auth have a line break in them');
  return `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}
