import { check, errnos, readlinkat, symlinkat, unlinkat } from '../files/libc.ts';
import { tryStatAt } from '../files/stat.ts';
import type { CommitRecord } from '../protocol/journal.ts';

// A note in place of a staging directory that is no longer needed. It says that the copy is published, for the case that the
// same command is given again: other targets of it may have failed, or the command may have been killed. It is removed once all
// of them are done. The note is a symlink to nowhere: it is made with its text in one step and removed in one step, so it is
// never half there (T6).

/** What a copy is known by under its final name, and of what it is a copy. */
export type PublishedCopy = Pick<CommitRecord, 'device' | 'inode' | 'treeDigest'> & {
  readonly manifestDigest: Uint8Array;
};

const textPattern = /^(\d{1,20}) (\d{1,20}) ([0-9a-f]{64}) ([0-9a-f]{64})$/;
const textBytesMax = 256;

/** Writes the note in place of an older one. A file system that knows no symlinks does without. */
export function writeNote(directory: number, name: Uint8Array, published: PublishedCopy): void {
  const { device, inode, treeDigest, manifestDigest } = published;
  const text = `${device} ${inode} ${hex(treeDigest)} ${hex(manifestDigest)}`;
  unlinkat(directory, name);
  // The copy is complete: it does not fail for want of a note.
  symlinkat(Buffer.from(text), directory, name);
}

/** Reads a note; undefined when there is none, or none of ours: in a directory that all can write to, it could be a lie. */
export function readNote(directory: number, name: Uint8Array): PublishedCopy | undefined {
  const stat = tryStatAt(directory, name);
  if (typeof stat === 'number' || stat.uid !== (process.geteuid?.() ?? 0)) return undefined;
  const text = new Uint8Array(textBytesMax);
  const bytes = readlinkat(directory, name, text);
  const match = textPattern.exec(Buffer.from(text.subarray(0, Math.max(0, bytes))).toString('latin1'));
  if (match === null) return undefined;
  const [, device = '', inode = '', treeDigest = '', manifestDigest = ''] = match;
  return {
    device: BigInt(device),
    inode: BigInt(inode),
    treeDigest: Buffer.from(treeDigest, 'hex'),
    manifestDigest: Buffer.from(manifestDigest, 'hex'),
  };
}

/** Removes a note; that there is none is no error. Throws SystemError. */
export function removeNote(directory: number, name: Uint8Array): void {
  const result = unlinkat(directory, name);
  if (result !== -errnos.ENOENT) check(result, 'unlinkat', () => Buffer.from(name).toString('latin1'));
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
