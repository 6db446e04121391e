// Who runs on this machine and in which network namespace, read from /proc.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** One living process (no kernel thread, no zombie). */
export type ProcessInfo = {
  readonly pid: number;
  readonly parentPid: number;
  /** Clock ticks from boot to its start: with the pid it names a process for good. */
  readonly startTicks: string;
  /** Letter of its state as in ps: T is stopped, D waits for the disk. */
  readonly state: string;
  readonly argv: readonly string[];
  readonly executable: string;
  readonly workingDirectory: string;
  /** Whether a person may sit at it. */
  readonly hasTerminal: boolean;
  /** Inode of its network namespace. */
  readonly namespaceInode: number;
};

type Stat = {
  readonly state: string;
  readonly parentPid: number;
  readonly startTicks: string;
  readonly hasTerminal: boolean;
};

function readStat(pid: number): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The command's name stands in parentheses and may itself contain them, so fields count from the last one.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const [state = '?', parentPid, , , terminal] = fields;
    return { state, parentPid: Number(parentPid), startTicks: fields[19] ?? '', hasTerminal: terminal !== '0' };
  } catch {
    return undefined;
  }
}

/** When a process started, or undefined when none (or only its zombie) has this pid. */
export function processStart(pid: number): string | undefined {
  const stat = readStat(pid);
  return stat === undefined || stat.state === 'Z' || stat.state === 'X' ? undefined : stat.startTicks;
}

/** One process, or undefined when it is gone, a zombie or a kernel thread. */
export function describeProcess(pid: number): ProcessInfo | undefined {
  const stat = readStat(pid);
  if (stat === undefined || stat.state === 'Z' || stat.state === 'X') return undefined;
  try {
    const argv = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
    if (argv.length === 0) return undefined;
    const namespace = readlinkSync(`/proc/${pid}/ns/net`);
    return {
      pid,
      ...stat,
      argv,
      executable: readlinkSync(`/proc/${pid}/exe`),
      workingDirectory: readlinkSync(`/proc/${pid}/cwd`),
      namespaceInode: Number(namespace.slice('net:['.length, -1)),
    };
  } catch {
    return undefined; // It ended while we looked, or belongs to another user.
  }
}

/** All processes, or those of one network namespace. Takes a few milliseconds. */
export function listProcesses(namespaceInode?: number): ProcessInfo[] {
  const found: ProcessInfo[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const info = describeProcess(Number(name));
    if (info !== undefined && (namespaceInode === undefined || info.namespaceInode === namespaceInode))
      found.push(info);
  }
  return found;
}

/** Processes that were started with a variable in their environment, or by one that was. */
export function processesWithVariable(name: string, value: string): ProcessInfo[] {
  const wanted = `${name}=${value}`;
  return listProcesses().filter(({ pid }) => {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(wanted);
    } catch {
      return false; // It has ended since.
    }
  });
}

/** Sends a signal; false when the process is gone already. */
export function signalProcess(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/** Waits until `condition`, asked every `intervalMs`, holds; throws with `what` in the message when it does not within `timeoutMs`. */
export async function waitUntil(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 5000,
  intervalMs = 10,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited ${timeoutMs} ms in vain: ${what}`);
    await sleep(intervalMs);
  }
}

/** kill -9, then waits until the process is gone (a zombie counts as gone). False when it was gone before. */
export async function killProcess(pid: number): Promise<boolean> {
  const start = processStart(pid);
  if (start === undefined || !signalProcess(pid, 'SIGKILL')) return false;
  await waitUntil(`process ${pid} ends after SIGKILL`, () => processStart(pid) !== start);
  return true;
}
