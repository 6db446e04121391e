// File systems that are small or read-only, mounted at a directory of a host or a sandbox.
import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Fault } from './faults.ts';
import { mustRun, runCommand } from './processes.ts';
import type { RecordHandle } from './registry.ts';
import { mountsBelow } from './removal.ts';
import { requireRoot, requireTools } from './requirements.ts';

/** What mounts are noted in: a Host, a Bed or a Sandbox. */
export type MountOwner = { readonly record: RecordHandle };

/** Size of a small file system. */
export type FileSystemSize = {
  /** Size of the whole file system, its own tables included. Default: 64 MiB. */
  readonly sizeBytes?: number;
  /** Number of inodes it has. Default: the file system's own choice. */
  readonly inodes?: number;
  /** `ext4`, `xfs` (of 300 MiB at least; it shares blocks) or `btrfs` (of 120) on a loop device, or `tmpfs`. Default: ext4. */
  readonly kind?: 'ext4' | 'xfs' | 'btrfs' | 'tmpfs';
};

/** A mounted small file system. */
export class SmallFileSystem extends Fault {
  readonly path: string;

  constructor(path: string, undo: () => Promise<void>) {
    super(undo);
    this.path = path;
  }

  /** What is free for root. Bytes, and inodes. */
  free(): { readonly bytes: number; readonly inodes: number } {
    const { bavail, bsize, ffree } = statfsSync(this.path);
    return { bytes: bavail * bsize, inodes: ffree };
  }

  /** Fills it until about `leaveBytes` are free; empty() makes the space free again. */
  async fill(leaveBytes: number): Promise<void> {
    const fillBytes = this.free().bytes - leaveBytes;
    if (fillBytes <= 0)
      throw new Error(
        `only ${this.free().bytes} bytes are free in ${this.path}, fewer than the ${leaveBytes} to leave`,
      );
    await mustRun(['fallocate', '-l', String(fillBytes), this.#filler()]);
  }

  /** Takes away what fill() wrote. */
  empty(): void {
    rmSync(this.#filler(), { force: true });
  }

  #filler(): string {
    return join(this.path, '.testbed-filler');
  }
}

async function unmount(owner: MountOwner, path: string): Promise<void> {
  const plain = await runCommand(['umount', path]);
  if (plain.code !== 0 && mountsBelow(path).includes(path)) await mustRun(['umount', '-l', path]);
  owner.record.removeMount(path);
}

/** Mounts an empty small file system at `path`, which is made when it does not exist. Needs root. */
export async function smallFileSystem(
  owner: MountOwner,
  path: string,
  size: FileSystemSize = {},
): Promise<SmallFileSystem> {
  requireRoot('mounting a file system');
  const sizeBytes = size.sizeBytes ?? 64 * 1024 * 1024;
  mkdirSync(path, { recursive: true });
  owner.record.add('mounts', path);
  if (size.kind === 'tmpfs') {
    const inodes = size.inodes === undefined ? '' : `,nr_inodes=${size.inodes}`;
    await mustRun(['mount', '-t', 'tmpfs', '-o', `mode=0755,size=${sizeBytes}${inodes}`, 'baton-testbed', path]);
    return new SmallFileSystem(path, () => unmount(owner, path));
  }
  const image = join(tmpdir(), `baton-image-${randomBytes(4).toString('hex')}`);
  owner.record.add('files', image);
  await mustRun(['truncate', '-s', String(sizeBytes), image]);
  await mustRun([...makeProgram(size), image]);
  await mustRun(['mount', '-o', 'loop', image, path]);
  // An empty directory is what a test expects of an empty file system.
  rmSync(join(path, 'lost+found'), { recursive: true, force: true });
  return new SmallFileSystem(path, async () => {
    await unmount(owner, path);
    rmSync(image, { force: true });
  });
}

function makeProgram({ kind, inodes }: FileSystemSize): string[] {
  if (kind === 'xfs' || kind === 'btrfs') {
    const program = `mkfs.${kind}` as const;
    requireTools('a file system that shares blocks', [program]);
    return kind === 'xfs' ? [program, '-q', '-m', 'reflink=1'] : [program, '-q'];
  }
  // -m 0: no blocks kept for root, so that "free" is the same for everybody.
  const count = inodes === undefined ? [] : ['-N', String(inodes)];
  return ['mkfs.ext4', '-q', '-F', '-m', '0', '-O', '^has_journal', ...count];
}

/** Makes a directory read-only by a mount of itself; what is in it stays visible. Needs root. */
export async function readOnlyMount(owner: MountOwner, path: string): Promise<Fault> {
  requireRoot('mounting a file system');
  owner.record.add('mounts', path);
  await mustRun(['mount', '--bind', path, path]);
  await mustRun(['mount', '-o', 'remount,ro,bind', path]);
  return new Fault(() => unmount(owner, path));
}
