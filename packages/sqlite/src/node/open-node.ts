import { resolve } from 'node:path';
import { sqliteModule } from '../engine/wasm.ts';
import { Paths } from '../machine/paths.ts';
import { lockNodeDirectory } from './lock.ts';
import { SqliteNode } from './node.ts';
import { defaultSettings, type FollowOptions, type NodeOptions, type NodeSettings } from './options.ts';
import { prepareDirectory } from './prepare.ts';
import { roleOf } from './role.ts';
import type { ThreadData } from './thread-data.ts';
import { Threads } from './threads.ts';

/**
 * Opens a node on a directory, which is made when it is missing: takes its lock, cuts a torn tail off its log, and applies what the
 * databases' files do not hold yet. A node whose log is in etcd is open when it leads, or when it waits for that: `status` says which. Throws IN_USE, CHANGED,
 * LOG_DAMAGED, VERSION_MISMATCH, NO_PERMISSION, NO_SPACE; with etcd USAGE, EXISTS, DIVERGED, HISTORY_LOST, UNREACHABLE, ACCESS_DENIED.
 */
export async function openNode(options: NodeOptions): Promise<SqliteNode> {
  const { directory, adopt = [], log, follow, promote = false, backupTo, restoreIfEmpty = false, ...given } = options;
  const settings: NodeSettings = { ...defaultSettings, ...given };
  const path = resolve(directory);
  const role = roleOf(follow, promote, log);
  const lock = lockNodeDirectory(path);
  const data = { directory: path, adopt, role, settings, module: sqliteModule(), hasBackups: backupTo !== undefined };
  const node = await openLocked(lock, data, { backupTo, restoreIfEmpty });
  if (follow !== undefined) await followOrClose(node, follow);
  return node;
}

/** Opens a directory whose lock was taken, and gives it back when it cannot be opened. */
async function openLocked(
  lock: Disposable,
  data: Omit<ThreadData, 'index' | 'gate'>,
  { backupTo, restoreIfEmpty }: { readonly backupTo: NodeOptions['backupTo']; readonly restoreIfEmpty: boolean },
): Promise<SqliteNode> {
  try {
    const backups = restoreIfEmpty && backupTo !== undefined ? resolve(backupTo.directory) : undefined;
    const restored = await prepareDirectory(new Paths(data.directory), backups, data.role);
    const node = new SqliteNode(lock, await Threads.start(data));
    if (backupTo !== undefined)
      await node.beginBackups({ ...backupTo, directory: resolve(backupTo.directory) }, restored);
    return node;
  } catch (error) {
    lock[Symbol.dispose]();
    throw error;
  }
}

async function followOrClose(node: SqliteNode, follow: FollowOptions): Promise<void> {
  try {
    await node.follow(follow);
  } catch (error) {
    await node.close();
    throw error;
  }
}
