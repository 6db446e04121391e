// A process that does one thing over and over until it is killed: `node operations-process.ts import|backup|restore DIRECTORY BACKUPS FILE`.
import { openNode } from '../src/index.ts';
import { findBackups } from '../src/snapshot/backup-format.ts';
import { restoreBackup } from '../src/snapshot/restore.ts';

const [what = '', directory = '', backups = '', file = ''] = process.argv.slice(2);
const never = new AbortController().signal;

if (what === 'restore') {
  process.stdout.write('ready\n');
  for (;;) for (const { path } of findBackups(backups)) await restoreBackup(path, directory, never);
}
const backupTo = { directory: backups, everyMs: 3_600_000, keep: 3 };
const node = await openNode({ directory, readers: 1, backupTo });
process.stdout.write('ready\n');
for (;;) {
  if (what === 'import') await node.importFile(file, 'large', { replaces: true });
  else await node.backup();
}
