// The processes of one PostgreSQL server: each backend has a process group of its own, so they are found as children of the first.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { listProcesses, processStart, signalProcess, waitUntil } from './process-table.ts';
import { runCommand } from './processes.ts';

/** What a server writes about itself into its data directory. */
export type Postmaster = {
  readonly pid: number;
  /** Of the System V segment that keeps two servers from one data directory. It outlives a killed server. */
  readonly sharedMemoryId: string;
  /** `ready` and `standby` take connections. */
  readonly status: string;
};

/** Reads `postmaster.pid`; undefined when no server has been started, or has not yet said all. */
export function readPostmaster(dataDirectory: string): Postmaster | undefined {
  let text: string;
  try {
    text = readFileSync(join(dataDirectory, 'postmaster.pid'), 'utf8');
  } catch {
    return undefined;
  }
  const lines = text.split('\n').map((line) => line.trim());
  const [, sharedMemoryId] = (lines[6] ?? '').split(/\s+/);
  const status = lines[7];
  if (sharedMemoryId === undefined || status === undefined || status === '') return undefined;
  return { pid: Number(lines[0]), sharedMemoryId, status };
}

/** Sends a signal to a server's first process and then to all of its others. */
export function signalServer(pid: number, signal: NodeJS.Signals): void {
  signalProcess(pid, signal);
  for (const child of childrenOf(pid)) signalProcess(child, signal);
}

/** kill -9 of all processes of a server, and of the shared memory that a machine's death would have taken as well. */
export async function killServer(pid: number, dataDirectory: string): Promise<void> {
  const postmaster = readPostmaster(dataDirectory);
  // Stopped first: it starts nothing after its children have been listed, and none of them tells a client that another is gone.
  signalServer(pid, 'SIGSTOP');
  const all = [pid, ...childrenOf(pid)].map((each) => ({ pid: each, start: processStart(each) }));
  for (const each of all) signalProcess(each.pid, 'SIGKILL');
  await waitUntil(`the processes of the PostgreSQL server ${pid} end`, () =>
    all.every((each) => each.start === undefined || processStart(each.pid) !== each.start),
  );
  if (postmaster?.pid === pid) await runCommand(['ipcrm', '--shmem-id', postmaster.sharedMemoryId]);
}

function childrenOf(pid: number): number[] {
  return listProcesses()
    .filter(({ parentPid }) => parentPid === pid)
    .map((child) => child.pid);
}
