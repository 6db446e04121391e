import { BatonError } from '@batondb/core/errors';
import { childError, spawnChild } from '@batondb/core/process/child';

// Whom the files of a backup belong to: `USER` or `USER:GROUP`, by name or number.

/** Gives a directory, and unless `isDeep` is false all that is in it, to its owner. Throws CHILD_FAILED. */
export async function changeOwner(
  owner: string,
  path: string,
  { isDeep = true }: { readonly isDeep?: boolean } = {},
): Promise<void> {
  // Symlinks themselves, never what they point at.
  const argv = ['chown', ...(isDeep ? ['-R', '-P'] : []), '-h', '--', owner, path];
  await using child = await spawnChild(argv);
  child.stdin.end();
  const exit = await child.exited;
  if (exit.code !== 0) throw childError(argv, exit);
}

/** Throws NO_PERMISSION when we may not give files away, NOT_FOUND when this host knows no such user or group. */
export async function checkOwner(owner: string): Promise<void> {
  if (process.geteuid?.() !== 0) {
    throw new BatonError('NO_PERMISSION', `only root can give files to ${owner}`, { hint: 'copy with --sudo' });
  }
  const [user = '', group] = owner.split(':');
  const lookups: [string, string][] = [['passwd', user]];
  if (group !== undefined && group !== '') lookups.push(['group', group]);
  for (const [database, name] of lookups) {
    await using child = await spawnChild(['getent', database, name]);
    child.stdin.end();
    child.stdout.resume();
    if ((await child.exited).code === 0) continue;
    throw new BatonError('NOT_FOUND', `there is no ${database === 'group' ? 'group' : 'user'} ${name} here`, {
      hint: 'install the server there first, or choose another --owner',
    });
  }
}
