import { check, close } from '../files/libc.ts';
import { listDirectory, openOwnDirectory } from '../files/open.ts';
import { statAt } from '../files/stat.ts';
import { isStagingName } from '../transfer/staging-names.ts';
import { badArchive, shownPath } from './archive-error.ts';
import { type Move, unpackedName } from './moves.ts';

/** What lies at the top of what was unpacked in a staging directory. Throws BAD_ARCHIVE for names that are ours in a target directory. */
export function listTop(stagingDescriptor: number): Move[] {
  const unpacked = check(openOwnDirectory(stagingDescriptor, unpackedName), 'openat', () => 'unpacked');
  try {
    return listDirectory(unpacked, () => 'unpacked').map((name) => {
      if (isStagingName(name)) throw badArchive(undefined, `holds ${shownPath(name)}, a name of baton's own`);
      const { inode, mode, kind } = statAt(unpacked, name);
      return { name: new Uint8Array(name), inode, mode, isDirectory: kind === 'directory' };
    });
  } finally {
    close(unpacked);
  }
}
