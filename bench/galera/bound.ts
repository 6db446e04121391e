import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { GaleraNode } from '@batondb/testbed/galera-node';
import { measure } from '../measure.ts';
import type { Sample } from './method.ts';

// The least that a hot backup takes: the backup tool into its unpacker, on the joiner's disk, and the preparing. As root, whom the server lets in.

const script = `
mariadb-backup --no-defaults --user=root --socket="$SOCKET" --backup --stream=xbstream --parallel=4 --target-dir="$WORK" |
  mbstream -x -C "$TARGET"
mariadb-backup --no-defaults --prepare --use-memory="$MEMORY" --target-dir="$TARGET"
`;
const msMax = 300_000;

/** `memory`: of the preparing, as the joiner's server has. */
export async function runBound(
  donor: GaleraNode,
  { directory, memory }: { readonly directory: string; readonly memory: string },
  signal: AbortSignal,
): Promise<Pick<Sample, 'seconds' | 'scriptSeconds' | 'cpuSeconds' | 'memoryBytes'>> {
  const [target, work] = [join(directory, 'target'), join(directory, 'work')];
  for (const path of [target, work]) mkdirSync(path, { recursive: true });
  const environment = { SOCKET: donor.socketPath, TARGET: target, WORK: work, MEMORY: memory };
  const logPath = join(directory, 'log');
  const sample = await measure({ script, environment, sshServer: undefined, logPath, msMax }, signal);
  const { wallSeconds, cpuSeconds, memoryBytesMax } = sample;
  const memoryBytes = { donor: memoryBytesMax, joiner: memoryBytesMax };
  return { seconds: wallSeconds, scriptSeconds: wallSeconds, cpuSeconds, memoryBytes };
}
