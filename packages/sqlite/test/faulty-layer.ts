// A file system in memory that loses what was not synced: whole writes, single sectors of them, in any order; and names whose directory
// was not synced. It can die at any operation, and fail a sync.
import { dirname } from 'node:path';
import type { Random } from '@batondb/testbed/random';
import type { FileLayer, FileStat, LayerFile, OpenMode } from '../src/log/file-layer.ts';

/** What a disk writes as one. */
const sectorBytes = 512;

/** The machine is off: nothing happens any more. */
export class PowerCut extends Error {}

type Change = { readonly offset: number; readonly content: Uint8Array } | { readonly length: number };
type Inode = { content: Buffer; durable: Buffer; changes: Change[]; modifiedNs: bigint };
type NameChange = { readonly directories: readonly string[]; readonly apply: (names: Map<string, Inode>) => void };

/** When something goes wrong, counted in operations that change something. */
export type Faults = { readonly dieAt?: number; readonly failSyncAt?: number };

export class FaultyLayer implements FileLayer {
  readonly #random: Random;
  readonly #names: Map<string, Inode>;
  readonly #durableNames: Map<string, Inode>;
  readonly #faults: Faults;
  #nameChanges: NameChange[] = [];
  #clock = 1n;
  operations = 0;

  constructor(random: Random, faults: Faults = {}, names: ReadonlyMap<string, Inode> = new Map()) {
    this.#random = random;
    this.#faults = faults;
    this.#names = new Map(names);
    this.#durableNames = new Map(names);
  }

  /** What a machine that starts after a power cut finds, with faults of its own. */
  afterPowerCut(faults: Faults = {}): FaultyLayer {
    const names = new Map(this.#durableNames);
    const kept = this.#random.integer(0, this.#nameChanges.length);
    for (const change of this.#nameChanges.slice(0, kept)) change.apply(names);
    const settled = new Map<Inode, Inode>();
    for (const [path, inode] of names) {
      const found = settled.get(inode) ?? this.#settle(inode);
      settled.set(inode, found);
      names.set(path, found);
    }
    return new FaultyLayer(this.#random, faults, names);
  }

  /** What a process that starts after a kill finds: everything, though not all of it would last. */
  afterKill(faults: Faults = {}): FaultyLayer {
    const next = new FaultyLayer(this.#random, faults, this.#durableNames);
    for (const change of this.#nameChanges) next.#changeName(change.directories, change.apply);
    return next;
  }

  open(path: string, mode: OpenMode): LayerFile {
    let inode = this.#names.get(path);
    if (inode === undefined) {
      if (mode !== 'create') throw Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT' });
      this.#step();
      inode = { content: Buffer.alloc(0), durable: Buffer.alloc(0), changes: [], modifiedNs: this.#clock++ };
      this.#changeName([dirname(path)], (names) => names.set(path, inode!));
    }
    return this.#file(inode);
  }

  openTemporary(): LayerFile {
    return this.#file({ content: Buffer.alloc(0), durable: Buffer.alloc(0), changes: [], modifiedNs: 0n });
  }

  stat(path: string): FileStat | undefined {
    const inode = this.#names.get(path);
    return inode && { bytes: inode.content.length, modifiedNs: inode.modifiedNs };
  }

  list(directory: string): readonly string[] {
    return [...this.#names.keys()]
      .filter((path) => dirname(path) === directory)
      .map((path) => path.slice(directory.length + 1));
  }

  makeDirectory(): void {}

  rename(from: string, to: string): void {
    this.#step();
    const inode = this.#names.get(from);
    if (inode === undefined) throw Object.assign(new Error(`ENOENT: ${from}`), { code: 'ENOENT' });
    this.#changeName([dirname(from), dirname(to)], (names) => {
      names.delete(from);
      names.set(to, inode);
    });
  }

  remove(path: string): void {
    this.#step();
    this.#changeName([dirname(path)], (names) => names.delete(path));
  }

  syncDirectory(directory: string): void {
    this.#step();
    const isHere = ({ directories }: NameChange): boolean => directories.includes(directory);
    // A journal keeps the order: what lasts takes what was before it along.
    const last = this.#nameChanges.findLastIndex(isHere);
    for (const change of this.#nameChanges.splice(0, last + 1)) change.apply(this.#durableNames);
  }

  /** A file's bytes now. */
  content(path: string): Buffer | undefined {
    return this.#names.get(path)?.content;
  }

  /** Changes a file behind everybody's back, durably. */
  damage(path: string, change: (content: Buffer) => void): void {
    const inode = this.#names.get(path)!;
    change(inode.content);
    inode.durable = Buffer.from(inode.content);
  }

  #step(): void {
    this.operations += 1;
    if (this.#faults.dieAt !== undefined && this.operations >= this.#faults.dieAt)
      throw new PowerCut('the machine is off');
  }

  #changeName(directories: readonly string[], apply: (names: Map<string, Inode>) => void): void {
    apply(this.#names);
    this.#nameChanges.push({ directories, apply });
  }

  #file(inode: Inode): LayerFile {
    const sync = (): void => {
      this.#step();
      if (this.#faults.failSyncAt !== undefined && this.operations >= this.#faults.failSyncAt) {
        // As Linux does: the pages count as clean now, whatever became of them.
        inode.durable = this.#settle(inode).content;
        inode.changes = [];
        throw Object.assign(new Error('EIO: input/output error, fdatasync'), { code: 'EIO' });
      }
      inode.durable = Buffer.from(inode.content);
      inode.changes = [];
    };
    const resize = (length: number): void => {
      const resized = Buffer.alloc(length);
      inode.content.copy(resized, 0, 0, Math.min(length, inode.content.length));
      inode.content = resized;
    };
    return {
      read: (into, offset) => {
        const part = inode.content.subarray(offset, offset + into.length);
        into.set(part);
        return part.length;
      },
      write: (content, offset) => {
        this.#step();
        if (offset + content.length > inode.content.length) resize(offset + content.length);
        inode.content.set(content, offset);
        inode.changes.push({ offset, content: Uint8Array.from(content) });
        inode.modifiedNs = this.#clock++;
      },
      truncate: (length) => {
        this.#step();
        resize(length);
        inode.changes.push({ length });
        inode.modifiedNs = this.#clock++;
      },
      size: () => inode.content.length,
      sync,
      syncSoon: async () => {
        await Promise.resolve();
        sync();
      },
      close: () => undefined,
    };
  }

  /** What is on the disk of a file: its synced content, and of every sector that was written since, the old or a new version. */
  #settle({ durable, changes, modifiedNs }: Inode): Inode {
    let content: Buffer = Buffer.from(durable);
    const grow = (length: number): void => {
      if (length > content.length) content = Buffer.concat([content, Buffer.alloc(length - content.length)]);
    };
    const keepAll = this.#random.integer(0, 3) === 0;
    const keepNone = this.#random.integer(0, 3) === 0;
    for (const change of changes) {
      if ('length' in change) {
        if (keepAll || this.#random.integer(0, 1) === 0) {
          grow(change.length);
          content = Buffer.from(content.subarray(0, change.length));
        }
        continue;
      }
      for (let at = 0; at < change.content.length; ) {
        const offset = change.offset + at;
        const length = Math.min(sectorBytes - (offset % sectorBytes), change.content.length - at);
        if (keepAll || (!keepNone && this.#random.integer(0, 1) === 0)) {
          grow(offset + length);
          content.set(change.content.subarray(at, at + length), offset);
        }
        at += length;
      }
    }
    return { content: Buffer.from(content), durable: content, changes: [], modifiedNs };
  }
}
