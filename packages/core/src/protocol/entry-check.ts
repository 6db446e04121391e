import { BatonError } from '../errors.ts';
import { limits } from '../limits.ts';
import { limitError, protocolError } from './bytes.ts';
import type { Entry, EntryKind, FileEntry, Xattr } from './entry.ts';

const slash = 0x2f;
const dot = 0x2e;

/**
 * Throws PROTOCOL or LIMIT unless `entry` may be number `index` of a manifest whose earlier entries have the kinds `kindOf` tells.
 * This is what keeps a received tree inside its staging directory: every name is one component and every parent is a directory (P6).
 *
 * Not checked: that siblings have different names (the writer creates exclusively and meets that), and that names are sorted.
 */
export function checkEntry(entry: Entry, index: number, kindOf: (earlier: number) => EntryKind | undefined): void {
  const subject = (): string => `manifest entry ${index}`;
  checkParent(entry, index, kindOf, subject);
  checkName(entry.name, subject);
  if (entry.kind === 'hardlink') {
    checkLink(entry.link, index, kindOf, subject);
    return;
  }
  checkRange(entry.mode, 0o7777, 'mode', subject);
  checkRange(entry.uid, 0xffff_ffff, 'uid', subject);
  checkRange(entry.gid, 0xffff_ffff, 'gid', subject);
  if (entry.xattrs.length > 0) checkXattrs(entry.xattrs, subject);
  if (entry.kind === 'file') checkFile(entry, index, subject);
  else if (entry.kind === 'symlink') checkTarget(entry.target, subject);
  else if (entry.kind === 'character' || entry.kind === 'block') {
    checkRange(entry.major, 0xffff_ffff, 'major', subject);
    checkRange(entry.minor, 0xffff_ffff, 'minor', subject);
  }
}

type LazySubject = () => string;

function checkParent(
  entry: Entry,
  index: number,
  kindOf: (earlier: number) => EntryKind | undefined,
  subject: LazySubject,
): void {
  const { parent } = entry;
  if (index === 0) {
    if (parent !== -1) throw protocolError(subject(), 'parent', parent, 'the first entry is the root and has -1');
    return;
  }
  if (!(parent >= 0 && parent < index))
    throw protocolError(subject(), 'parent', parent, `it must be from 0 to ${index - 1}`);
  const kind = kindOf(parent);
  if (kind !== 'directory')
    throw protocolError(subject(), 'parent', parent, `entry ${parent} is a ${kind}, not a directory`);
}

function checkName(name: Uint8Array, subject: LazySubject): void {
  if (name.length === 0) throw protocolError(subject(), 'name', 'empty', 'a name has at least one byte');
  if (name.length > limits.nameBytesMax) throw limitError(subject(), 'name length', name.length, limits.nameBytesMax);
  for (const byte of name) {
    if (byte === slash || byte === 0)
      throw protocolError(subject(), 'name', shown(name), 'a name has no slash and no NUL');
  }
  const dots = name[0] === dot && (name.length === 1 || (name.length === 2 && name[1] === dot));
  if (dots) throw protocolError(subject(), 'name', shown(name), 'a name is not . or ..');
}

function checkLink(
  link: number,
  index: number,
  kindOf: (earlier: number) => EntryKind | undefined,
  subject: LazySubject,
): void {
  if (!(link >= 0 && link < index)) throw protocolError(subject(), 'link', link, `it must be from 0 to ${index - 1}`);
  const kind = kindOf(link);
  if (kind === 'directory' || kind === 'hardlink')
    throw protocolError(subject(), 'link', link, `entry ${link} is a ${kind}`);
}

function checkXattrs(xattrs: readonly Xattr[], subject: LazySubject): void {
  let sumBytes = 0;
  for (const { name, value } of xattrs) {
    if (name.length === 0 || name.includes(0))
      throw protocolError(subject(), 'xattr name', shown(name), 'it has at least one byte and no NUL');
    if (name.length > limits.nameBytesMax)
      throw limitError(subject(), 'xattr name length', name.length, limits.nameBytesMax);
    if (value.length > limits.xattrValueBytesMax)
      throw limitError(subject(), 'xattr value length', value.length, limits.xattrValueBytesMax);
    sumBytes += name.length + value.length;
  }
  if (sumBytes > limits.xattrsBytesMax) throw limitError(subject(), 'xattrs in sum', sumBytes, limits.xattrsBytesMax);
}

function checkFile({ sizeBytes, extents, isStream }: FileEntry, index: number, subject: LazySubject): void {
  checkRange(sizeBytes, isStream ? limits.streamBytesMax : Number.MAX_SAFE_INTEGER, 'size', subject);
  if (isStream && index > 0) throw protocolError(subject(), 'content', 'stream', 'a stream is alone in its manifest');
  if (extents === undefined) return;
  if (extents.length > limits.extentsMax)
    throw limitError(subject(), 'extents count', extents.length, limits.extentsMax);
  let end = -1;
  for (const { offset, length } of extents) {
    if (!(offset > end))
      throw protocolError(subject(), 'extent offset', offset, `it must be above ${end}, where the one before ends`);
    if (!(length > 0)) throw protocolError(subject(), 'extent length', length, 'an extent is not empty');
    end = offset + length;
    if (end > sizeBytes) throw protocolError(subject(), 'extent end', end, `the file ends at ${sizeBytes}`);
  }
}

function checkTarget(target: Uint8Array, subject: LazySubject): void {
  if (target.length > limits.symlinkBytesMax)
    throw limitError(subject(), 'target length', target.length, limits.symlinkBytesMax);
  if (target.length === 0 || target.includes(0))
    throw protocolError(subject(), 'target', shown(target), 'it has at least one byte and no NUL');
}

function checkRange(value: number, max: number, field: string, subject: LazySubject): void {
  if (Number.isSafeInteger(value) && value >= 0 && value <= max) return;
  throw new BatonError('LIMIT', `${subject()}: ${field} is ${value}, but it must be an integer from 0 to ${max}`);
}

/** Bytes as text for an error message, whatever they are: they may come from a stranger, so nothing of them reaches a terminal raw. */
function shown(bytes: Uint8Array): string {
  return JSON.stringify(Buffer.from(bytes.subarray(0, 64)).toString('latin1'));
}
