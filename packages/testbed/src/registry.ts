// What a test has set up on this machine, written down before it is set up, so that a later run can take down what a
// killed one left. Invariant R1: nothing that outlives a process is made before its record is on disk.
import { randomBytes } from 'node:crypto';
import { chmodSync, lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { processStart } from './process-table.ts';

/** A process for good: a pid alone may be given to another one later. */
export type ProcessName = { readonly pid: number; readonly startTicks: string };

/** Everything of one bed or sandbox that outlives its process. */
export type BedRecord = {
  readonly id: string;
  readonly bootId: string;
  readonly owner: ProcessName;
  /** Network namespaces, as in /run/netns. */
  readonly namespaces: string[];
  /** Links in the root namespace. */
  readonly links: string[];
  readonly processes: ProcessName[];
  /** Mount points, in the order they were mounted. */
  readonly mounts: string[];
  /** Users added to this machine. */
  readonly users: string[];
  readonly files: string[];
  readonly directories: string[];
};

/** A record on disk, extended as things are made. */
export class RecordHandle {
  readonly record: BedRecord;
  readonly path: string;

  constructor(record: BedRecord, path: string) {
    this.record = record;
    this.path = path;
  }

  /** Notes a thing and returns when the note is on disk; only then may the thing be made. */
  add(kind: 'namespaces' | 'links' | 'mounts' | 'users' | 'files' | 'directories', name: string): void {
    this.record[kind].push(name);
    this.save();
  }

  /** Notes a process that was just started. One in a recorded namespace is found there even without a note. */
  addProcess(pid: number): void {
    const startTicks = processStart(pid);
    if (startTicks === undefined) return;
    this.record.processes.push({ pid, startTicks });
    this.save();
  }

  /** Takes back the note of a mount that is undone. */
  removeMount(path: string): void {
    const index = this.record.mounts.lastIndexOf(path);
    if (index >= 0) this.record.mounts.splice(index, 1);
    this.save();
  }

  save(): void {
    const temporary = `${this.path}.new`;
    writeFileSync(temporary, JSON.stringify(this.record), { mode: 0o600 });
    renameSync(temporary, this.path);
  }
}

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
}

/** The directory of the records: root's is where nobody else can write. Throws when somebody else owns it. */
export function registryDirectory(): string {
  const uid = process.getuid?.() ?? 0;
  const path = uid === 0 ? '/run/baton-testbed' : join(tmpdir(), `baton-testbed-${uid}`);
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const stat = lstatSync(path);
  if (!stat.isDirectory() || stat.uid !== uid) {
    throw new Error(
      `${path} must be a directory of uid ${uid}, it belongs to ${stat.uid}: a sweep deletes what it lists`,
    );
  }
  if ((stat.mode & 0o077) !== 0) chmodSync(path, 0o700);
  return path;
}

/** A new record with an id no living one has: `prefix` and four hexadecimal digits. */
export function createRecord(prefix: string): RecordHandle {
  const directory = registryDirectory();
  const startTicks = processStart(process.pid);
  if (startTicks === undefined) throw new Error('this process is not in /proc');
  for (let attempt = 0; attempt < 100; attempt++) {
    const id = `${prefix}${randomBytes(2).toString('hex')}`;
    const record: BedRecord = {
      id,
      bootId: bootId(),
      owner: { pid: process.pid, startTicks },
      namespaces: [],
      links: [],
      processes: [],
      mounts: [],
      users: [],
      files: [],
      directories: [],
    };
    const path = join(directory, `${id}.json`);
    try {
      writeFileSync(path, JSON.stringify(record), { flag: 'wx', mode: 0o600 });
      return new RecordHandle(record, path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
  throw new Error(`no free id below ${directory}; remove what is there with sweep()`);
}

/** Records whose owner no longer lives. Half-written ones are removed: nothing was made for them yet (R1). */
export function abandonedRecords(): RecordHandle[] {
  const directory = registryDirectory();
  const abandoned: RecordHandle[] = [];
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    if (!name.endsWith('.json')) continue;
    let record: BedRecord;
    try {
      record = JSON.parse(readFileSync(path, 'utf8')) as BedRecord;
    } catch {
      // Another sweep took it, or its owner is between creating and writing it; a young one is left alone.
      if (isOlderThanMs(path, 10_000)) rmSync(path, { force: true });
      continue;
    }
    const lives = record.bootId === bootId() && processStart(record.owner.pid) === record.owner.startTicks;
    if (!lives) abandoned.push(new RecordHandle(record, path));
  }
  return abandoned;
}

function isOlderThanMs(path: string, ageMs: number): boolean {
  try {
    return Date.now() - lstatSync(path).mtimeMs > ageMs;
  } catch {
    return false;
  }
}
