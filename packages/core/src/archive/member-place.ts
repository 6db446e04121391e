import { limits } from '../limits.ts';
import { badArchive, shownPath } from './archive-error.ts';

// Where a member goes, and whether it may. Pure: what a name means on the disk, the unpacker finds out.

const slash = 0x2f;
const dot = Buffer.from('.');
const dotDot = Buffer.from('..');

/**
 * The components of a member's place: its path without the first component, which may be `.`, as `tar --strip-components=1`
 * takes it. Empty: nothing is left, and the member is skipped. Throws BAD_ARCHIVE for a path that is absolute, goes up, or
 * cannot be a name.
 */
export function placeOf(path: Uint8Array, member: Uint8Array = path): readonly Uint8Array[] {
  if (path.length === 0) throw badArchive(member, 'has no name');
  if (path.length > limits.archivePathBytesMax)
    throw badArchive(member, `has a path of ${path.length} bytes, and the limit is ${limits.archivePathBytesMax}`);
  if (path.includes(0)) throw badArchive(member, 'has a NUL in its name');
  if (path[0] === slash) throw badArchive(member, `has an absolute path${elsewhere(path, member)}`);
  const components = split(path);
  for (const component of components) {
    if (dotDot.equals(component)) throw badArchive(member, `goes up with '..'${elsewhere(path, member)}`);
    if (component.length > limits.nameBytesMax)
      throw badArchive(member, `has a name of ${component.length} bytes, and the limit is ${limits.nameBytesMax}`);
  }
  return components.slice(1).filter((component) => !dot.equals(component));
}

/**
 * Throws BAD_ARCHIVE unless a symlink `depth` directories below the top stays inside of the tree, whatever else is in there: `..`
 * may only stand at the beginning, since behind a name it leads up from wherever that name leads.
 */
export function checkSymlink(target: Uint8Array, depth: number, member: Uint8Array): void {
  const refuse = (reason: string): never => {
    throw badArchive(member, `is a symlink to ${shownPath(target)}, ${reason}`);
  };
  if (target.length === 0 || target.length > limits.symlinkBytesMax || target.includes(0))
    refuse('which cannot be a target');
  if (target[0] === slash) refuse('which is an absolute path');
  let ups = 0;
  let isBehindName = false;
  for (const component of split(target)) {
    if (dot.equals(component)) continue;
    if (!dotDot.equals(component)) isBehindName = true;
    else if (isBehindName) refuse("which goes up with '..' behind a name");
    else ups += 1;
  }
  if (ups > depth) refuse('which leads out of the archive');
}

function split(path: Uint8Array): Uint8Array[] {
  const components: Uint8Array[] = [];
  for (let start = 0; start < path.length; ) {
    const found = path.indexOf(slash, start);
    const end = found < 0 ? path.length : found;
    if (end > start) components.push(path.slice(start, end));
    start = end + 1;
  }
  return components;
}

/** Of a hardlink, the path that is wrong is not the member's own. */
function elsewhere(path: Uint8Array, member: Uint8Array): string {
  return path === member ? '' : ` in what it links to, ${shownPath(path)}`;
}
