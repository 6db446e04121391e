import { ByteWriter } from '@batondb/core/protocol/bytes';
import type { DirectoryEntry, Entry, FileEntry, HardlinkEntry, SymlinkEntry } from '@batondb/core/protocol/entry';
import { writeEntry } from '@batondb/core/protocol/entry-codec';
import { digestSections } from '@batondb/core/protocol/manifest';

// Manifests that no honest source makes: encoded by the codec of single entries, which checks nothing, with the right digest.

type Name = string | Uint8Array;
const bytes = (text: Name): Uint8Array => (typeof text === 'string' ? Buffer.from(text) : text);
const usual = { mode: 0o644, uid: 0, gid: 0, modifyTimeNs: 1_000_000_007n, accessTimeNs: 1n, xattrs: [] } as const;

export function directory(parent: number, name: Name, mode = 0o755): DirectoryEntry {
  return { kind: 'directory', parent, name: bytes(name), ...usual, mode };
}

export function file(parent: number, name: Name, sizeBytes = 4, more: Partial<FileEntry> = {}): FileEntry {
  const identity = { device: 1n, inode: 1n, changeTimeNs: 1n };
  return { kind: 'file', parent, name: bytes(name), ...usual, sizeBytes, identity, extents: undefined, ...more };
}

export function symlink(parent: number, name: Name, target: Name): SymlinkEntry {
  return { kind: 'symlink', parent, name: bytes(name), target: bytes(target), ...usual };
}

export function hardlink(parent: number, name: Name, link: number): HardlinkEntry {
  return { kind: 'hardlink', parent, name: bytes(name), link };
}

/** One section with these entries, unchecked, and the manifest's digest. */
export function uncheckedManifest(entries: readonly Entry[]): { sections: Uint8Array[]; digest: Uint8Array } {
  const writer = new ByteWriter(1024).u8(1).u32(0).u32(entries.length);
  for (const entry of entries) writeEntry(writer, entry);
  for (const entry of entries) writer.i64(entry.kind === 'hardlink' ? 0n : entry.accessTimeNs);
  const section = writer.toBytes();
  return { sections: [section], digest: digestSections([section]) };
}
