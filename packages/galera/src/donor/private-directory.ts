import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BatonError } from '@batondb/core/errors';
import { toBatonError } from '@batondb/core/files/system-error';
import type { Credentials } from '../contract/credentials.ts';

/** The process that made it is in its name: what a killed one left is known by that, and removed by the next. */
const pattern = /^baton-sst-(?<pid>\d+)-/;

/** A directory that only this user can look into (0700), for credentials and the backup tool's small files. */
export class PrivateDirectory implements AsyncDisposable {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** Throws NO_SPACE, NO_PERMISSION, READ_ONLY. */
  static async make(): Promise<PrivateDirectory> {
    const parent = tmpdir();
    try {
      for (const name of await readdir(parent)) {
        const pid = pattern.exec(name)?.groups?.['pid'];
        // Others' directories stay: we may not remove them.
        if (pid !== undefined && !existsSync(`/proc/${pid}`))
          await rm(join(parent, name), { recursive: true, force: true }).catch(() => undefined);
      }
      return new PrivateDirectory(await mkdtemp(join(parent, `baton-sst-${process.pid}-`)));
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
