import { BatonError } from '@batondb/core/errors';
import { toolVersion } from '@batondb/mariadb';
import { findProgram } from '@batondb/mariadb/client';
import type { Settings } from '../settings/settings.ts';
import { findServer } from './temporary-server.ts';

const names = ['mariadb-backup', 'mariabackup', 'xtrabackup'] as const;

/** Whether this node can take what a donor with the same settings would send. Throws UNSUPPORTED. */
export async function checkMethod(method: Settings['method'], signal: AbortSignal): Promise<void> {
  if (method === 'logical') findServer();
  if (method !== 'backup') return;
  const program = names.map((name) => findProgram(name)).find((path) => path !== undefined);
  if (program === undefined) {
    throw new BatonError(
      'UNSUPPORTED',
      `this node has no backup tool (${names.join(', ')}), and method=backup needs one`,
      {
        hint: 'apt-get install mariadb-backup on all nodes, or set method=files in [sst] of all nodes',
      },
    );
  }
  await toolVersion(program, signal);
}
