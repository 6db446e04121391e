// Data directories of plain files, in which the exchange of old data for new was cut short.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { mustRun, runCommand } from '@batondb/testbed/processes';

const names = [
  'ibdata1',
  'ib_logfile0',
  'undo001',
  'aria_log_control',
  'aria_log.00000001',
  'shop/items.ibd',
  'mysql/db.opt',
];
const child = new URL('galera.swap-child.ts', import.meta.url).pathname;
/** The guard is in place by then, some old entries are out, and all of the new ones are still in staging. */
const renamesBefore = 4;

/** Makes a data directory of plain files, of user mysql, whose swap was killed in the middle. */
export async function makeCutSwap(directory: string): Promise<void> {
  for (const [place, content] of [
    [directory, 'old'],
    [join(directory, '.sst/new'), 'new'],
  ] as const) {
    for (const name of names) {
      mkdirSync(dirname(join(place, name)), { recursive: true });
      writeFileSync(join(place, name), content);
    }
  }
  writeFileSync(join(directory, 'notes.txt'), 'kept');
  await cutSwap(directory);
}

/** Begins to exchange the data of a directory for what lies in its staging, and is killed in the middle. All of it is root's before, and mysql's afterwards. */
export async function cutSwap(directory: string): Promise<void> {
  const inject = `inject=renameat2:signal=KILL:when=${renamesBefore + 1}`;
  const strace = ['strace', '-f', '-q', '-o', '/dev/null', '-e', 'trace=renameat2', '-e', inject];
  const command = [process.execPath, '--conditions=batondb-source', child, directory];
  const { signal, stderr } = await runCommand([...strace, ...command]);
  // strace ends as its child did.
  if (signal !== 'SIGKILL') throw new Error(`the swap was not cut short: ${stderr}`);
  await mustRun(['chown', '-R', 'mysql:mysql', directory]);
}

/** What all files of a server say that they are: one word, or a mixture. */
export function contentOf(directory: string): string {
  const said = names.map((name) =>
    existsSync(join(directory, name)) ? readFileSync(join(directory, name), 'utf8') : 'missing',
  );
  return [...new Set(said)].join(' and ');
}
