import { BatonError } from '@batondb/core/errors';
import { close, errnos, faccessat, flags, mkdirat, unlinkat } from '@batondb/core/files/libc';
import { exchangeNames } from '@batondb/core/files/publish';
import { toBatonError } from '@batondb/core/files/system-error';
import { textToBytes } from '@batondb/core/text/bytes';
import { type DataLayout, type ResolvedLayout, resolveLayout } from './layout.ts';
import { type Role, roleOf } from './names.ts';
import { type Place, type Places, prepareStaging, removeElsewhere } from './places.ts';
import { openMadeDirectory } from './small-file.ts';
import type { Staging } from './staging.ts';
import { elsewhereIn, type FoundEntry, listTop } from './top.ts';

const writeAndSearch = 3;
const hintMariabackup = 'use wsrep_sst_method=mariabackup, which empties the directories instead of exchanging them';

/**
 * Looks whether the data of this layout can be exchanged by a swap, before anything is touched but the staging directories. Throws UNSUPPORTED
 * (symlinks, tables with a directory of their own, mounts, raw devices, a file system that cannot exchange names), NO_PERMISSION, NOT_FOUND,
 * NOT_A_DIRECTORY, READ_ONLY, NO_SPACE: each with a sentence that names what stands in the way.
 */
export function checkLayout(staging: Staging, layout: DataLayout): void {
  const resolved = resolveLayout(layout);
  using places = prepareStaging(staging, resolved);
  for (const [index, place] of places.all.entries()) {
    checkWritable(place.top, '.', place.path);
    for (const entry of listTop(place.top, place.path)) {
      if (leaves(entry, resolved, place.roles, index)) checkEntry(place, entry);
    }
  }
  checkExchange(staging, places);
  removeElsewhere(places.all);
}

function leaves(entry: FoundEntry, { names }: ResolvedLayout, roles: readonly Role[], place: number): boolean {
  const role = roleOf(entry, names);
  return role !== undefined && (place === 0 || roles.includes(role));
}

/** Throws UNSUPPORTED or NO_PERMISSION for an entry that cannot be renamed, or not as a whole. */
export function checkEntry({ top, path }: Pick<Place, 'top' | 'path'>, entry: FoundEntry): void {
  const name = `${path}/${entry.name}`;
  if (entry.isSymlink) {
    throw new BatonError(
      'UNSUPPORTED',
      `${name} is a symlink, and what it leads to cannot be exchanged with the rest`,
      {
        hint: `move it into ${path} in place of the symlink; or ${hintMariabackup}`,
      },
    );
  }
  if (entry.stat.mountRoot === true) {
    throw new BatonError(
      'UNSUPPORTED',
      `something is mounted at ${name}, and a mount cannot be exchanged by a rename`,
      {
        hint: `unmount it, with its content in ${path}; or ${hintMariabackup}`,
      },
    );
  }
  if (entry.kind !== 'directory') return;
  // To be moved, a directory has to be writable, since `..` in it changes.
  checkWritable(top, entry.name, name);
  const elsewhere = elsewhereIn(top, entry.name);
  if (elsewhere === undefined) return;
  throw new BatonError(
    'UNSUPPORTED',
    `${path}/${elsewhere} leads to a table outside of the data directory, which cannot be exchanged with the rest`,
    { hint: `make the table anew without DATA DIRECTORY and INDEX DIRECTORY; or ${hintMariabackup}` },
  );
}

function checkWritable(directory: number, name: string, path: string): void {
  const result = faccessat(directory, textToBytes(name), writeAndSearch);
  if (result === 0) return;
  const code = result === -errnos.EROFS ? 'READ_ONLY' : 'NO_PERMISSION';
  const user = process.geteuid?.();
  throw new BatonError(code, `${path}: user ${user} may not change this directory, so nothing in it can be exchanged`, {
    hint: `chown it to the server's user`,
  });
}

/** Tries what the guard stands on, where the guard will stand. */
function checkExchange(staging: Staging, places: Places): void {
  const place = places.all.find(({ roles }) => roles.includes('system')) ?? places.at(0);
  const [one, other] = ['exchange.1', 'exchange.2'];
  const remove = (): void => {
    for (const name of [one, other]) unlinkat(place.old, textToBytes(name), flags.AT_REMOVEDIR);
  };
  remove();
  try {
    close(openMadeDirectory(place.old, one, staging.owner));
    mkdirat(place.old, textToBytes(other), 0o700);
    exchangeNames(place.old, textToBytes(one), place.old, textToBytes(other));
  } catch (error) {
    if (!(error instanceof BatonError) || error.code !== 'UNSUPPORTED') throw toBatonError(error, { path: place.path });
    throw new BatonError('UNSUPPORTED', `${place.path}: ${error.message}, which a safe swap of the data needs`, {
      hint: `use another file system (ext4, XFS, Btrfs, ZFS from 2.2 on), or space=in-place; or ${hintMariabackup}`,
      cause: error,
    });
  } finally {
    remove();
  }
}
