// Takes down what a record lists. The same steps serve the end of a test and the sweep after a killed one, so they run in
// every test; each may run twice, also at the same time as another sweep's.
import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { listProcesses, processesBelow, processStart, signalProcess, waitUntil } from './process-table.ts';
import { runCommand } from './processes.ts';
import { abandonedRecords, type BedRecord, type RecordHandle } from './registry.ts';

/** Inode of a named network namespace, or undefined when it does not exist. */
export function namespaceInode(name: string): number | undefined {
  try {
    return statSync(`/run/netns/${name}`).ino;
  } catch {
    return undefined;
  }
}

/** Mount points at or below a directory, the deepest last. */
export function mountsBelow(directory: string): string[] {
  const found: string[] = [];
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    const encoded = line.split(' ')[4];
    if (encoded === undefined) continue;
    const path = encoded.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
    if (path === directory || path.startsWith(`${directory}/`)) found.push(path);
  }
  return found;
}

/** Processes without a terminal whose working directory is a directory or below it: servers that other servers started. */
function daemonsBelow(directory: string): number[] {
  return processesBelow(directory)
    .filter((info) => info.pid !== process.pid && !info.hasTerminal)
    .map(({ pid }) => pid);
}

async function killRecorded(record: BedRecord, failures: string[]): Promise<void> {
  const inodes = new Set(record.namespaces.map(namespaceInode).filter((inode) => inode !== undefined));
  const left = (): number[] => {
    const pids = record.processes
      .filter(({ pid, startTicks }) => processStart(pid) === startTicks)
      .map(({ pid }) => pid);
    pids.push(...record.directories.flatMap(daemonsBelow));
    const inside = [...inodes].flatMap((inode) => listProcesses(inode)).map(({ pid }) => pid);
    return [...pids, ...inside.filter((pid) => pid !== process.pid)];
  };
  try {
    // Killed again and again: a process may fork between the listing and the signal.
    await waitUntil(`processes of ${record.id} end`, () => {
      const pids = left();
      for (const pid of pids) signalProcess(pid, 'SIGKILL');
      return pids.length === 0;
    });
  } catch {
    failures.push(`processes ${left().join(', ')} do not end`);
  }
}

async function unmount(path: string, failures: string[]): Promise<void> {
  const plain = await runCommand(['umount', path]);
  if (plain.code === 0 || !mountsBelow(path).includes(path)) return;
  const lazy = await runCommand(['umount', '-l', path]);
  if (lazy.code !== 0 && mountsBelow(path).includes(path)) failures.push(lazy.stderr.trim());
}

/** Removes a directory whatever is in it: mounts, immutable files, modes without permission, paths beyond PATH_MAX. */
export async function removeDirectory(path: string): Promise<void> {
  const failures: string[] = [];
  for (const mount of mountsBelow(path).reverse()) await unmount(mount, failures);
  const first = await runCommand(['rm', '-rf', '--one-file-system', '--', path], { timeoutMs: 120_000 });
  if (first.code === 0 && !existsSync(path)) return;
  await runCommand(['chattr', '-R', '-f', '-i', '-a', '--', path]);
  await runCommand(['chmod', '-R', 'u+rwx', '--', path]);
  const second = await runCommand(['rm', '-rf', '--one-file-system', '--', path], { timeoutMs: 120_000 });
  if (second.code !== 0 || existsSync(path)) failures.push(second.stderr.trim());
  if (failures.length > 0) throw new Error(`${path} cannot be removed: ${failures.join('; ')}`);
}

/** Whether this machine has a user of this name. */
export function userExists(name: string): boolean {
  return readFileSync('/etc/passwd', 'utf8').includes(`\n${name}:`);
}

/** Runs useradd or userdel until `isDone`: they give up at once while another of them holds the lock of /etc/passwd. */
export async function changeUsers(argv: readonly string[], isDone: () => boolean): Promise<void> {
  let stderr = '';
  const attempt = async (): Promise<boolean> => {
    if (isDone()) return true;
    stderr = (await runCommand(argv)).stderr.trim();
    return isDone();
  };
  await waitUntil(argv.join(' '), attempt).catch((error: unknown) => {
    throw new Error(`${(error as Error).message}: ${stderr}`);
  });
}

/** Removes everything a record lists, and then the record. Throws with all that would not go; the record stays then. */
export async function removeRecorded(handle: RecordHandle): Promise<void> {
  const { record } = handle;
  const failures: string[] = [];
  await killRecorded(record, failures);
  for (const path of [...record.mounts].reverse()) {
    if (mountsBelow(path).includes(path)) await unmount(path, failures);
  }
  for (const link of record.links) {
    if (!existsSync(`/sys/class/net/${link}`)) continue;
    const result = await runCommand(['ip', 'link', 'delete', link]);
    if (result.code !== 0 && existsSync(`/sys/class/net/${link}`)) failures.push(result.stderr.trim());
  }
  const namespaces = record.namespaces.filter((name) => namespaceInode(name) !== undefined);
  if (namespaces.length > 0) {
    const input = namespaces.map((name) => `netns delete ${name}\n`).join('');
    const result = await runCommand(['ip', '-force', '-batch', '-'], { input });
    if (namespaces.some((name) => namespaceInode(name) !== undefined)) failures.push(result.stderr.trim());
  }
  for (const user of record.users) {
    await changeUsers(['userdel', '-f', user], () => !userExists(user)).catch((error: unknown) =>
      failures.push((error as Error).message),
    );
  }
  for (const file of record.files) rmSync(file, { force: true });
  for (const directory of record.directories) {
    await removeDirectory(directory).catch((error: unknown) => failures.push((error as Error).message));
  }
  if (failures.length > 0) throw new Error(`${record.id} cannot be removed in full: ${failures.join('; ')}`);
  rmSync(handle.path, { force: true });
}

/** Removes what tests of dead processes left on this machine; returns the ids that were removed. */
export async function sweep(): Promise<string[]> {
  const removed: string[] = [];
  for (const handle of abandonedRecords()) {
    await removeRecorded(handle);
    removed.push(handle.record.id);
  }
  return removed;
}
