import { type Stats, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { toBatonError } from '@batondb/core/files/system-error';
import { fetchFile, sendFile } from '@batondb/sqlite/client/files';
import { formatLocation, type Location } from '@batondb/sqlite/client/location';
import { discardReplaced, listReplaced, restoreBackup } from '@batondb/sqlite/snapshot/restore';
import { exitCodes } from '../exit-codes.ts';
import { jsonLine } from '../render/json.ts';
import { printableText } from '../render/style.ts';
import { readAccess } from '../service/access.ts';
import { confirm } from '../service/confirm.ts';
import type { CommandContext } from '../service/context.ts';
import type { Run } from '../service/subcommands.ts';
import { hasDatabase, locate } from './database.ts';
import type { DatabaseFlags } from './database-command.ts';
import { openSource } from './dump-file.ts';
import { TransferProgress } from './transfer-progress.ts';

// `backup`, `restore`, `load` and `discard-old`.

export function runBackup(url: string, file: string, flags: DatabaseFlags): Run {
  return async (context) => {
    const location = locate(url);
    const { signal } = context.watchInterruption();
    using progress = new TransferProgress(location.database, { isJson: flags.json ?? false }, context);
    const access = readAccess(flags, context.environment);
    const fetched = await fetchFile(location, file, access, { onProgress: progress.note, signal });
    await progress.done(`backup of ${formatLocation(location)} in ${printableText(file)}`, fetched);
    return exitCodes.ok;
  };
}

export function runRestore(source: string, target: string, flags: DatabaseFlags): Run {
  return async (context) => {
    if (isDirectory(source)) return await restoreDirectory(source, target, flags, context);
    return await send({ path: source, name: source }, locate(target), flags, context);
  };
}

export function runLoad(file: string, url: string, flags: DatabaseFlags): Run {
  return async (context) => {
    const location = locate(url);
    await using source = await openSource(file, context.watchInterruption().signal);
    return await send({ path: source.path, name: file }, location, flags, context);
  };
}

export function runDiscardOld(directory: string, flags: DatabaseFlags): Run {
  return async (context) => {
    const { stdout } = context;
    const paths = listReplaced(directory);
    if (paths.length === 0) await stdout.writeLines(['nothing was put aside there']);
    else if (flags.dryRun) await stdout.writeLines(paths.map((path) => `dry run: would remove ${printableText(path)}`));
    else if (await agrees(`${paths.join(' and ')} is removed for good`, flags, context)) discardReplaced(directory);
    else return exitCodes.interrupted;
    return exitCodes.ok;
  };
}

/** Sends a file, after it was asked whether it may take the place of what is there. `name`: what a person calls it. */
async function send(
  { path, name }: { readonly path: string; readonly name: string },
  location: Location,
  flags: DatabaseFlags,
  context: CommandContext,
): Promise<number> {
  const { stdout, environment, watchInterruption } = context;
  const where = formatLocation(location);
  const access = readAccess(flags, environment);
  const { signal } = watchInterruption();
  const { size: bytes } = statOf(path);
  const replaces = await hasDatabase(location, access, signal);
  if (flags.dryRun) {
    await stdout.writeLines([`dry run: would ${replaces ? 'replace' : 'make'} ${where}`]);
    return exitCodes.ok;
  }
  const question = `the database ${location.database} of ${where} is replaced; its file is kept on the server`;
  if (replaces && !(await agrees(question, flags, context))) return exitCodes.interrupted;
  using progress = new TransferProgress(location.database, { isJson: flags.json ?? false }, context);
  const position = await sendFile(location, path, access, { replaces, onProgress: progress.note, signal });
  await progress.done(`${where} is what ${printableText(name)} was`, { bytes, position });
  return exitCodes.ok;
}

/** A whole backup, into a directory that no server has in use. */
async function restoreDirectory(
  backup: string,
  target: string,
  flags: DatabaseFlags,
  context: CommandContext,
): Promise<number> {
  const directory = resolve(target);
  const { stdout, watchInterruption } = context;
  if (flags.dryRun) {
    await stdout.writeLines([
      `dry run: would put ${printableText(backup)} in the place of all that is in ${directory}`,
    ]);
    return exitCodes.ok;
  }
  const question = `everything in ${directory} is put aside, and ${backup} takes its place`;
  if (!(await agrees(question, flags, context))) return exitCodes.interrupted;
  const restored = await restoreBackup(resolve(backup), directory, watchInterruption().signal);
  const line = `restored ${printableText(directory)} from ${printableText(restored.path)} at position ${restored.position}`;
  const hint = 'what was there is kept until baton sqlite discard-old';
  await stdout.writeLines(flags.json ? [jsonLine({ type: 'restored', ...restored }, Date.now())] : [line, hint]);
  return exitCodes.ok;
}

async function agrees(question: string, flags: DatabaseFlags, context: CommandContext): Promise<boolean> {
  const isAgreed = await confirm(question, flags.yes ?? false, context);
  if (!isAgreed) await context.stderr.writeLines(['nothing was changed']);
  return isAgreed;
}

function isDirectory(path: string): boolean {
  return statOf(path).isDirectory();
}

function statOf(path: string): Stats {
  try {
    return statSync(path);
  } catch (error) {
    throw toBatonError(error, { path });
  }
}
