import { BatonError } from '../errors.ts';
import { Descent } from './descent.ts';
import { check, errnos, fchmod, flags, unlinkat } from './libc.ts';
import { printable } from './names.ts';
import { listDirectory, openOwnDirectory } from './open.ts';
import { type Stat, statDescriptor, tryStatAt } from './stat.ts';

// Removes what Baton itself made.

type Level = { readonly name: Uint8Array; readonly names: readonly Uint8Array[]; next: number };

function refuseMount(name: Uint8Array): never {
  throw new BatonError('BUSY', `something is mounted at ${printable(name)}, and another file system is never emptied`, {
    hint: 'unmount it and run the same command again',
  });
}

/**
 * Removes `name` below `parentDirfd` with all that is in it; that it does not exist is no error. Never follows a symlink and
 * never enters another file system: a mount point inside is BatonError BUSY. Directories whose mode keeps their own owner out
 * are opened up first. Throws SystemError. Can be repeated after a failure.
 */
export function removeTree(parentDirfd: number, name: Uint8Array): void {
  const root = tryStatAt(parentDirfd, name);
  if (root === -errnos.ENOENT) return;
  const path = (): string => printable(name);
  if (typeof root === 'number') check(root, 'statx', path);
  else if (root.kind !== 'directory') check(unlinkat(parentDirfd, name), 'unlinkat', path);
  else {
    emptyDirectory(parentDirfd, name, root);
    check(unlinkat(parentDirfd, name, flags.AT_REMOVEDIR), 'unlinkat', path);
  }
}

function emptyDirectory(parentDirfd: number, rootName: Uint8Array, root: Stat): void {
  using descent = new Descent();
  const levels: Level[] = [enter(descent, parentDirfd, rootName, root.device)];
  for (;;) {
    const level = levels.at(-1)!;
    const name = level.names[level.next++];
    if (name !== undefined) {
      const stat = tryStatAt(descent.fd, name);
      if (stat === -errnos.ENOENT) continue;
      if (typeof stat === 'number') check(stat, 'statx', () => printable(name));
      else if (stat.kind === 'directory') levels.push(enter(descent, descent.fd, name, root.device));
      else remove(descent.fd, name, 0);
      continue;
    }
    levels.pop();
    if (!descent.leave()) throw new BatonError('BUSY', `${printable(rootName)} is being moved while it is removed`);
    if (levels.length === 0) return;
    remove(descent.fd, level.name, flags.AT_REMOVEDIR);
  }
}

function enter(descent: Descent, dirfd: number, name: Uint8Array, device: bigint): Level {
  const path = (): string => printable(name);
  const fd = check(openOwnDirectory(dirfd, name), 'openat', path);
  const stat = statDescriptor(fd);
  descent.enter(fd, stat);
  if (stat.device !== device || stat.mountRoot === true) refuseMount(name);
  // What its owner may not write or search cannot be emptied; root needs none of it.
  if ((stat.mode & 0o300) !== 0o300 && process.geteuid?.() !== 0) check(fchmod(fd, 0o700), 'fchmod', path);
  return { name, names: listDirectory(fd, path), next: 0 };
}

function remove(dirfd: number, name: Uint8Array, atFlags: number): void {
  const result = unlinkat(dirfd, name, atFlags);
  if (result === -errnos.ENOENT) return;
  if (result === -errnos.EBUSY) refuseMount(name);
  check(result, 'unlinkat', () => printable(name));
}
