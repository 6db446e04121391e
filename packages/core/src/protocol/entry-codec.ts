import { limits } from '../limits.ts';
import type { ByteReader, ByteWriter } from './bytes.ts';
import type { DeviceEntry, Entry, EntryBase, EntryKind, Extent, FileEntry, Xattr } from './entry.ts';

// One entry of a manifest as bytes. Only sizes and ranges are checked here; what an entry may be among the others is in entry-check.ts.

/** Codes of the kinds in format version 1, in order. */
const kinds = [
  'file',
  'directory',
  'symlink',
  'fifo',
  'character',
  'block',
  'hardlink',
] as const satisfies readonly EntryKind[];
const kindCodes: ReadonlyMap<EntryKind, number> = new Map(kinds.map((kind, code) => [kind, code]));

/** How a file's content is told. */
const contentCodes = { whole: 0, sparse: 1, stream: 2 } as const;

/** The smallest entry: a hardlink with a name of one byte. A section cannot hold more entries than its length over this. Bytes. */
export const entryBytesMin = 5;

const idMax = 0xffff_ffff;

/** The kind with this code. */
export function kindOfCode(code: number): EntryKind | undefined {
  return kinds[code];
}

/**
 * Layout: u8 kind, varint parent + 1, varint length + name; then
 * hardlink: varint link. All others: varint mode, uid, gid, i64 modify time (ns), varint count of xattrs, each as
 * length + name and length + value; then
 * file: varint size, u64 device, u64 inode, i64 change time, u8 content (0 whole, 1 sparse, 2 stream), and when sparse: varint
 * count of extents, each as varint gap after the one before and varint length. symlink: length + target. character, block: varint major, minor.
 * The access time is not part of it: it stands at the end of the section.
 */
export function writeEntry(writer: ByteWriter, entry: Entry): void {
  writer.u8(kindCodes.get(entry.kind) ?? 0xff);
  writer.varint(entry.parent + 1).lengthAndBytes(entry.name);
  if (entry.kind === 'hardlink') {
    writer.varint(entry.link);
    return;
  }
  writer.varint(entry.mode).varint(entry.uid).varint(entry.gid).i64(entry.modifyTimeNs);
  writer.varint(entry.xattrs.length);
  for (const { name, value } of entry.xattrs) writer.lengthAndBytes(name).lengthAndBytes(value);
  if (entry.kind === 'file') writeFile(writer, entry);
  else if (entry.kind === 'symlink') writer.lengthAndBytes(entry.target);
  else if (entry.kind === 'character' || entry.kind === 'block') writer.varint(entry.major).varint(entry.minor);
}

function writeFile(writer: ByteWriter, entry: FileEntry): void {
  const { device, inode, changeTimeNs } = entry.identity;
  writer.varint(entry.sizeBytes).u64(device).u64(inode).i64(changeTimeNs);
  const whole = entry.isStream ? contentCodes.stream : contentCodes.whole;
  writer.u8(entry.extents === undefined ? whole : contentCodes.sparse);
  if (entry.extents === undefined) return;
  writer.varint(entry.extents.length);
  let end = 0;
  for (const { offset, length } of entry.extents) {
    writer.varint(offset - end).varint(length);
    end = offset + length;
  }
}

/** Reads what {@link writeEntry} wrote; a hardlink has no access time of its own. */
export function readEntry(reader: ByteReader, accessTimeNs: bigint): Entry {
  const code = reader.u8('kind');
  const kind = kinds[code];
  if (kind === undefined) throw reader.protocolError('kind', code, `only 0 to ${kinds.length - 1} are known`);
  const parent = reader.varint('parent', limits.entriesMax) - 1;
  const name = reader.lengthAndBytes('name', limits.nameBytesMax);
  if (kind === 'hardlink') return { kind, parent, name, link: reader.varint('link', limits.entriesMax) };
  const base: EntryBase = {
    parent,
    name,
    mode: reader.varint('mode', 0o7777),
    uid: reader.varint('uid', idMax),
    gid: reader.varint('gid', idMax),
    modifyTimeNs: reader.i64('modify time'),
    accessTimeNs,
    xattrs: readXattrs(reader),
  };
  if (kind === 'file') return readFile(reader, base);
  if (kind === 'symlink') return { kind, ...base, target: reader.lengthAndBytes('target', limits.symlinkBytesMax) };
  if (kind === 'character' || kind === 'block') return readDevice(reader, kind, base);
  return { kind, ...base };
}

function readXattrs(reader: ByteReader): Xattr[] {
  const count = reader.count('xattrs count', limits.xattrsBytesMax, 2);
  const xattrs: Xattr[] = [];
  let sumBytes = 0;
  for (let index = 0; index < count; index++) {
    const name = reader.lengthAndBytes('xattr name', limits.nameBytesMax);
    const value = reader.lengthAndBytes('xattr value', limits.xattrValueBytesMax);
    sumBytes += name.length + value.length;
    if (sumBytes > limits.xattrsBytesMax) throw reader.limitError('xattrs in sum', sumBytes, limits.xattrsBytesMax);
    xattrs.push({ name, value });
  }
  return xattrs;
}

function readFile(reader: ByteReader, base: EntryBase): FileEntry {
  const sizeBytes = reader.varint('size');
  const device = reader.u64('device');
  const inode = reader.u64('inode');
  const changeTimeNs = reader.i64('change time');
  const content = reader.u8('content');
  if (content > contentCodes.stream) throw reader.protocolError('content', content, 'only 0 to 2 are known');
  const extents = content === contentCodes.sparse ? readExtents(reader, sizeBytes) : undefined;
  const file: FileEntry = { kind: 'file', ...base, sizeBytes, identity: { device, inode, changeTimeNs }, extents };
  return content === contentCodes.stream ? { ...file, isStream: true } : file;
}

function readExtents(reader: ByteReader, sizeBytes: number): Extent[] {
  const count = reader.count('extents count', limits.extentsMax, 2);
  const extents: Extent[] = [];
  let end = 0;
  for (let index = 0; index < count; index++) {
    // Bounding by what is left of the file first keeps the sums below safe integers.
    const offset = end + reader.varint('extent gap', sizeBytes - end);
    const length = reader.varint('extent length', sizeBytes - offset);
    extents.push({ offset, length });
    end = offset + length;
  }
  return extents;
}

function readDevice(reader: ByteReader, kind: DeviceEntry['kind'], base: EntryBase): DeviceEntry {
  return { kind, ...base, major: reader.varint('major', idMax), minor: reader.varint('minor', idMax) };
}
