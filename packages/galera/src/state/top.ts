import { readdirSync, statSync } from 'node:fs';
import { close, flags, openat } from '@batondb/core/files/libc';
import { descriptorPath, listDirectory } from '@batondb/core/files/open';
import { type Stat, tryStatAt } from '@batondb/core/files/stat';
import { bytesToText, textToBytes } from '@batondb/core/text/bytes';
import { type Contents, isTableFile, type TopEntry } from './names.ts';

/** A top entry and what the kernel says of it. */
export type FoundEntry = TopEntry & { readonly stat: Stat };

/** What lies at the top of an open directory, in the order of names. `path`: the directory's, for people. Throws SystemError. */
export function listTop(directory: number, path: string): FoundEntry[] {
  const found: FoundEntry[] = [];
  for (const bytes of listDirectory(directory, () => path)) {
    const stat = tryStatAt(directory, bytes);
    // Gone since: a server that starts removes its temporary files.
    if (typeof stat !== 'number') found.push(describe(directory, bytes, stat));
  }
  return found;
}

function describe(directory: number, bytes: Uint8Array, stat: Stat): FoundEntry {
  const name = bytesToText(bytes);
  const isSymlink = stat.kind === 'symlink';
  const kind = isSymlink ? kindBehind(directory, bytes) : kindOf(stat.kind);
  return { name, kind, isSymlink, stat, ...(kind === 'directory' ? { contents: contentsOf(directory, bytes) } : {}) };
}

function kindOf(kind: Stat['kind']): TopEntry['kind'] {
  return kind === 'file' || kind === 'directory' ? kind : 'other';
}

function kindBehind(directory: number, name: Uint8Array): TopEntry['kind'] {
  try {
    const stat = statSync(Buffer.from(descriptorPath(directory, name)));
    return stat.isDirectory() ? 'directory' : stat.isFile() ? 'file' : 'other';
  } catch {
    return 'other';
  }
}

function contentsOf(directory: number, name: Uint8Array): Contents {
  try {
    const names = readdirSync(Buffer.from(descriptorPath(directory, name)), 'latin1');
    if (names.length === 0) return 'nothing';
    return names.some(isTableFile) ? 'tables' : 'other';
  } catch {
    return 'other';
  }
}

/**
 * What in a database's directory lies elsewhere: the first `.isl` file or symlink. A rename of the directory would leave what it leads to.
 */
export function elsewhereIn(directory: number, name: string): string | undefined {
  const bytes = textToBytes(name);
  const descriptor = openat(directory, bytes, flags.O_RDONLY | flags.O_DIRECTORY | flags.O_NOFOLLOW);
  // What cannot be read is told by who asks for its permissions.
  if (descriptor < 0) return undefined;
  try {
    const path = Buffer.from(descriptorPath(descriptor)).toString();
    for (const entry of readdirSync(path, { withFileTypes: true, encoding: 'utf8' })) {
      if (entry.isSymbolicLink() || entry.name.endsWith('.isl')) return `${name}/${entry.name}`;
    }
    return undefined;
  } finally {
    close(descriptor);
  }
}
