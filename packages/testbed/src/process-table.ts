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

/** What a link of a process in /proc leads to; undefined when the process is gone or another user's. */
function linkOf(pid: number, name: 'cwd' | 'ns/net'): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/${name}`);
  } catch {
    return undefined;
  }
}

/** The network namespace of a process, by its inode. */
function namespaceOf(pid: number): number | undefined {
  const link = linkOf(pid, 'ns/net');
  return link === undefined ? undefined : Number(link.slice('net:['.length, -1));
}

/** One process, or undefined when it is gone, a zombie or a kernel thread. */
export function describeProcess(pid: number): ProcessInfo | undefined {
  const stat = readStat(pid);
  if (stat === undefined || stat.state === 'Z' || stat.state === 'X') return undefined;
  try {
    const argv = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
    if (argv.length === 0) return undefined;
    const namespaceInode = namespaceOf(pid);
    if (namespaceInode === undefined) return undefined;
    return {
      pid,
      ...stat,
      argv,
      executable: readlinkSync(`/proc/${pid}/exe`),
      workingDirectory: readlinkSync(`/proc/${pid}/cwd`),
      namespaceInode,
    };
  } catch {
    return undefined; // It ended while we looked, or belongs to another user.
  }
}

/** All processes, or those of one network namespace. Costs some milliseconds, of one namespace a tenth of that. */
export function listProcesses(namespaceInode?: number): ProcessInfo[] {
  // One file tells whose a process is, and four more what it is.
  if (namespaceInode !== undefined) return processesWhere((pid) => namespaceOf(pid) === namespaceInode);
  return processesWhere(() => true);
}

/** Processes whose working directory is a directory or below it. */
export function processesBelow(directory: string): ProcessInfo[] {
  return processesWhere((pid) => `${linkOf(pid, 'cwd')}/`.startsWith(`${directory}/`));
}

/** Processes that were started with a variable in their environment, or by one that was. */
export function processesWithVariable(name: string, value: string): ProcessInfo[] {
  const wanted = `${name}=${value}`;
  return processesWhere((pid) => {
    try {
      const environment = readFileSync(`/proc/${pid}/environ`, 'latin1');
      return environment.includes(wanted) && environment.split('\0').includes(wanted);
    } catch {
      return false; // It has ended since, or belongs to another user.
    }
  });
}

function processesWhere(isWanted: (pid: number) => boolean): ProcessInfo[] {
  const found: ProcessInfo[] = [];
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || !isWanted(pid)) continue;
    const info = describeProcess(pid);
    if (info !== undefined) found.push(info);
  }
  return found;
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

/** How much longer than an answer took the next question waits, so that no processor is busy with waiting. */
const pauseFactor = 4;
const pauseMsMax = 250;

/**
 * Waits until `condition` holds; throws with `what` in the message when it does not within `timeoutMs`. It is asked every `intervalMs`, and
 * where the answer itself takes time (a listing, a program that is started) less often.
 */
export async function waitUntil(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 5000,
  intervalMs = 10,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (let askedMs = performance.now(); !(await condition()); askedMs = performance.now()) {
    const answeredMs = performance.now();
    if (answeredMs > deadline) throw new Error(`waited ${timeoutMs} ms in vain: ${what}`);
    await sleep(Math.max(intervalMs, Math.min((answeredMs - askedMs) * pauseFactor, pauseMsMax)));
  }
}

/** kill -9, then waits until the process is gone (a zombie counts as gone). False when it was gone before. */
export async function killProcess(pid: number): Promise<boolean> {
  const start = processStart(pid);
  if (start === undefined || !signalProcess(pid, 'SIGKILL')) return false;
  await waitUntil(`process ${pid} ends after SIGKILL`, () => processStart(pid) !== start);
  return true;
}
