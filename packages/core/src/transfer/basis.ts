import { BatonError } from '../errors.ts';
import { mountAtOrBelow, pathOfDescriptor, writerAtOrBelow } from '../files/in-use.ts';
import { check, close, errnos, flags, mkdirat, openat, unlinkat } from '../files/libc.ts';
import { printable } from '../files/names.ts';
import { exchangeNames } from '../files/publish.ts';
import { statAt, statDescriptor, tryStatAt } from '../files/stat.ts';

// An older copy that a new one takes the place of. It is read for what is the same in both, and stays as it is until the new one
// is complete; then both change places in one step, and the older one is removed.

/** What has the final name. */
export type Basis = { readonly kind: 'file' | 'directory'; readonly device: bigint; readonly inode: bigint };

/**
 * What has the final name in an open target directory; undefined when nothing has. Throws UNSUPPORTED for what cannot change places
 * with a copy, and IN_USE when a program writes to it: that would go on writing to what is removed.
 */
export function findBasis(target: number, name: Uint8Array): Basis | undefined {
  if (tryStatAt(target, name) === -errnos.ENOENT) return undefined;
  const path = `${pathOfDescriptor(target).replace(/\/$/, '')}/${Buffer.from(name).toString('latin1')}`;
  const text = printable(Buffer.from(path, 'latin1'));
  const { kind, device, inode } = statAt(target, name);
  if (kind !== 'file' && kind !== 'directory') {
    throw new BatonError('UNSUPPORTED', `${text} is a ${kind}: only a file or a directory is brought up to date`, {
      hint: 'name what it stands for, or move it away',
    });
  }
  const mounted = mountAtOrBelow(path);
  if (mounted !== undefined) {
    throw new BatonError('UNSUPPORTED', `${text} is replaced as a whole, and something is mounted at ${mounted}`, {
      hint: 'unmount it, or copy into a new directory',
    });
  }
  const writer = writerAtOrBelow(path);
  if (writer !== undefined) {
    throw new BatonError('IN_USE', `${writer.command} (process ${writer.pid}) has ${writer.path} open for writing`, {
      hint: 'stop it: what it writes would be lost when the copy takes the place of the old one',
    });
  }
  return { kind, device, inode };
}

/** A basis that stays what it is: while it is open, nothing that comes in its place can have its inode. */
export type HeldBasis = Basis & Disposable;

/** What has the final name, held. Undefined and throws as findBasis. */
export function holdBasis(target: number, name: Uint8Array): HeldBasis | undefined {
  const held = openat(target, name, flags.O_PATH | flags.O_NOFOLLOW);
  if (held === -errnos.ENOENT) return undefined;
  check(held, 'openat', () => printable(name));
  try {
    const basis = findBasis(target, name);
    if (basis === undefined || !isSame(basis, statDescriptor(held))) {
      throw new BatonError('EXISTS', `${printable(name)} became something else while it was looked at`, {
        retryable: true,
      });
    }
    return { ...basis, [Symbol.dispose]: () => void close(held) };
  } catch (error) {
    close(held);
    throw error;
  }
}

/** Throws UNSUPPORTED when the file system of an open directory of ours cannot exchange two names. */
export function checkExchange(directory: number): void {
  const names = ['one', 'other'].map((name) => Buffer.from(name));
  const [one, other] = names as [Buffer, Buffer];
  for (const name of names) {
    const made = mkdirat(directory, name, 0o700);
    if (made !== -errnos.EEXIST) check(made, 'mkdirat', () => 'the staging directory');
  }
  try {
    exchangeNames(directory, one, directory, other);
  } finally {
    for (const name of names) unlinkat(directory, name, flags.AT_REMOVEDIR);
  }
}

/** A copy that is ready, and the name it is to have. */
export type Exchange = {
  readonly staging: number;
  readonly stagedName: Uint8Array;
  readonly target: number;
  readonly name: Uint8Array;
};

/**
 * Gives a copy the place of `basis`, which gets the staged name. False when something else has the final name by now: then it keeps
 * it. Throws what findBasis throws.
 */
export function exchangeWith(basis: Basis, { staging, stagedName, target, name }: Exchange): boolean {
  if (!isSame(basis, findBasis(target, name))) return false;
  exchangeNames(staging, stagedName, target, name);
  const replaced = tryStatAt(staging, stagedName);
  if (typeof replaced !== 'number' && isSame(basis, replaced)) return true;
  // It appeared between the look and the exchange.
  exchangeNames(staging, stagedName, target, name);
  return false;
}

function isSame(basis: Basis, other: Pick<Basis, 'device' | 'inode'> | undefined): boolean {
  return basis.device === other?.device && basis.inode === other.inode;
}
