// A data directory as initdb makes it, made once and copied for every server: initdb takes more than a second, the copy a tenth.
import { chmodSync, existsSync, mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { asPostgres, postgresBinPath, postgresProgram } from './postgres-programs.ts';
import { mustRun } from './processes.ts';
import { registryDirectory } from './registry.ts';
import type { Sandbox } from './sandbox.ts';

/** The password of the superuser `postgres`, and by custom of every role that a test makes. */
export const postgresPassword = 'known-to-all-tests';

/**
 * Makes a data directory for a superuser `postgres` who has a password, in UTF-8 and the C locale. All copies of the template
 * have one system identifier; with `ownSystemId` the directory gets one of its own, which takes an initdb.
 */
export async function makeDataDirectory(sandbox: Sandbox, path: string, ownSystemId: boolean): Promise<void> {
  if (ownSystemId) return await initialise(sandbox, path);
  const template = templatePath();
  if (!existsSync(template)) await makeTemplate(sandbox, template);
  await mustRun(['cp', '-a', '--reflink=auto', template, path]);
}

/** Beside the registry's records: the directory is root's alone, and goes with the next boot. Another build has another template. */
function templatePath(): string {
  const { mtimeMs } = statSync(postgresProgram('initdb'));
  const version = postgresBinPath().split('/').at(-2);
  return join(registryDirectory(), `postgres-${version}-${Math.floor(mtimeMs)}`);
}

async function makeTemplate(sandbox: Sandbox, template: string): Promise<void> {
  const made = sandbox.join('postgres-template');
  await initialise(sandbox, made);
  const arriving = `${template}.${process.pid}`;
  await mustRun(['cp', '-a', made, arriving]);
  rmSync(made, { recursive: true });
  try {
    renameSync(arriving, template);
  } catch (error) {
    // Another process was first.
    rmSync(arriving, { recursive: true });
    if (!existsSync(template)) throw error;
  }
}

async function initialise(sandbox: Sandbox, path: string): Promise<void> {
  const passwordPath = sandbox.join('postgres-initdb-password');
  writeFileSync(passwordPath, postgresPassword);
  chmodSync(passwordPath, 0o644);
  mkdirSync(path, { recursive: true });
  await mustRun(['chown', 'postgres:postgres', path]);
  const argv = [postgresProgram('initdb'), `--pgdata=${path}`, '--username=postgres', `--pwfile=${passwordPath}`];
  const more = ['--auth=scram-sha-256', '--encoding=UTF8', '--locale=C.UTF-8', '--no-sync', '--data-checksums'];
  await mustRun(asPostgres([...argv, ...more]), { cwd: '/' });
}
