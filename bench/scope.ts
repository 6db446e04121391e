import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * All processes of one run, whoever their parent is: what they cost, and how to end what is left of them.
 * A control group knows them all, the daemons and the agents in sessions of their own too. Where none can be made (no
 * root, no delegation), the tree of children of the wrapper stands in, and what left that tree is not counted.
 */
export interface Scope {
  readonly kind: 'cgroup' | 'children';
  /** File that a process writes its id to in order to join; undefined: being a descendant is enough. */
  readonly joinPath: string | undefined;
  processes(): number[];
  /** CPU seconds so far, user and system, of everything that ever ran in it; undefined: this kind cannot say. */
  cpuSeconds(): number | undefined;
  /** Ends what still runs and returns once it is gone; gives the names of what it had to end. */
  close(): Promise<string[]>;
}

const closeMsMax = 5_000;
let scopeCount = 0;

/** A scope for the wrapper process, which calls `rootPid` once it is started (used where there is no control group). */
export function openScope(rootPid: () => number | undefined): Scope {
  const group = makeControlGroup();
  return group === undefined ? new ChildrenScope(rootPid) : new ControlGroupScope(group);
}

/** How CPU is counted here, for the report. */
export function describeScope(): string {
  const group = makeControlGroup();
  if (group === undefined) return 'rusage of the children of a wrapper shell (no control group could be made)';
  rmdirSync(group);
  return 'a control group (v2) for each run: cpu.stat of all processes that ran in it, children or not';
}

class ControlGroupScope implements Scope {
  readonly kind = 'cgroup';
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  get joinPath(): string {
    return join(this.#path, 'cgroup.procs');
  }

  processes(): number[] {
    return readFileSync(this.joinPath, 'utf8').split('\n').filter(Boolean).map(Number);
  }

  cpuSeconds(): number {
    const line = /^usage_usec (\d+)$/m.exec(readFileSync(join(this.#path, 'cpu.stat'), 'utf8'));
    return Number(line?.[1]) / 1e6;
  }

  async close(): Promise<string[]> {
    const left = this.processes().map(processName);
    await endAll(() => this.processes());
    rmdirSync(this.#path);
    return left;
  }
}

class ChildrenScope implements Scope {
  readonly kind = 'children';
  readonly joinPath = undefined;
  readonly #rootPid: () => number | undefined;
  readonly #seen = new Map<number, string>();

  constructor(rootPid: () => number | undefined) {
    this.#rootPid = rootPid;
  }

  /** Those below the wrapper now, and those seen there earlier that have left its tree but live. */
  processes(): number[] {
    const root = this.#rootPid();
    if (root === undefined) return [];
    const children = new Map<number, number[]>();
    for (const pid of allProcesses()) {
      const parent = parentOf(pid);
      if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), pid]);
    }
    const pending = [root, ...this.#seen.keys()];
    for (let pid = pending.pop(); pid !== undefined; pid = pending.pop()) {
      for (const child of children.get(pid) ?? []) {
        if (this.#seen.has(child)) continue;
        this.#seen.set(child, startTime(child));
        pending.push(child);
      }
    }
    // The start time tells a process from a later one with the same id.
    const lives = ([pid, start]: [number, string]) => start !== '' && startTime(pid) === start && !isZombie(pid);
    return [...this.#seen].filter(lives).map(([pid]) => pid);
  }

  cpuSeconds(): undefined {
    return undefined;
  }

  async close(): Promise<string[]> {
    const left = this.processes().map(processName);
    await endAll(() => this.processes());
    return left;
  }
}

async function endAll(processes: () => number[]): Promise<void> {
  const deadline = Date.now() + closeMsMax;
  for (let left = processes(); left.length > 0; left = processes()) {
    if (Date.now() > deadline) throw new Error(`processes do not end: ${left.map(processName).join(', ')}`);
    for (const pid of left) kill(pid);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself in between.
  }
}

function makeControlGroup(): string | undefined {
  const own = /^0::(.*)$/m.exec(readProc('self/cgroup'))?.[1];
  const mount = /^\S+ \S+ \S+ \S+ (\S+) .* - cgroup2 /m.exec(readProc('self/mountinfo'))?.[1];
  if (own === undefined || mount === undefined) return undefined;
  scopeCount += 1;
  const path = join(mount, own, `baton-bench-${process.pid}-${scopeCount}`);
  try {
    mkdirSync(path);
    // Some systems let one make a group but not move a process into it.
    writeFileSync(join(path, 'cgroup.procs'), '');
    return path;
  } catch {
    return undefined;
  }
}

/** What the process calls itself, for people. */
export function processName(pid: number): string {
  return readProc(`${pid}/comm`).trim();
}

/** The most memory that the process has had resident so far. Bytes. */
export function residentBytesMax(pid: number): number {
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readProc(`${pid}/status`))?.[1] ?? 0) * 1024;
}

function allProcesses(): number[] {
  return readdirSync('/proc').map(Number).filter(Number.isSafeInteger);
}

function parentOf(pid: number): number | undefined {
  const parent = statFields(pid)[1];
  return parent === undefined ? undefined : Number(parent);
}

function startTime(pid: number): string {
  return statFields(pid)[19] ?? '';
}

function isZombie(pid: number): boolean {
  return statFields(pid)[0] === 'Z';
}

/** The fields of /proc/PID/stat from the third on: the second, a name, may hold spaces and brackets. */
function statFields(pid: number): string[] {
  const text = readProc(`${pid}/stat`);
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

function readProc(path: string): string {
  try {
    return readFileSync(join('/proc', path), 'utf8');
  } catch {
    // The process has ended.
    return '';
  }
}
