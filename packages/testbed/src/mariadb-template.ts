import { existsSync, mkdirSync } from 'node:fs';
import { mustRun } from './processes.ts';
import type { Sandbox } from './sandbox.ts';

/**
 * Makes a data directory as mariadb-install-db makes it: root logs in by the socket, without a password. That takes seconds, so it
 * runs once a sandbox. Whatever starts has a directory of its own for temporary tables: it empties it.
 */
export async function copyTemplate(sandbox: Sandbox, dataDirectory: string): Promise<void> {
  const template = sandbox.join('template');
  if (!existsSync(template)) {
    const making = sandbox.join('template.new');
    const temporary = sandbox.join('template.tmp');
    mkdirSync(temporary, { recursive: true });
    const places = [`--datadir=${making}`, `--tmpdir=${temporary}`];
    const argv = ['mariadb-install-db', '--no-defaults', ...places, '--user=root', '--skip-test-db'];
    await mustRun([...argv, '--skip-name-resolve', '--innodb-log-file-size=16M', '--auth-root-socket-user=root']);
    await mustRun(['mv', '--no-clobber', '-T', making, template]);
  }
  await mustRun(['cp', '-a', template, dataDirectory]);
}
