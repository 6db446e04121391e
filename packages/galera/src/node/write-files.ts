import { constants, copyFile, lstat, mkdir, open, readFile, readlink, rename, rm, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Piece } from '@batondb/core/program/pieces';
import { digestOf, type PlannedFile } from './plan.ts';

// Files of an installation: each is made under another name, synced and renamed, so that a server never starts half of one.

const directoryMode = 0o755;
const executable = 0o755;
const readable = 0o644;

/** Makes a directory with what leads to it, readable by all, whatever the umask is. */
export async function makeDirectory(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: directoryMode });
  if (first === undefined) return;
  for (let made = path; made.length >= first.length; made = dirname(made)) await setMode(made, directoryMode);
}

async function setMode(path: string, mode: number): Promise<void> {
  await using file = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  await file.chmod(mode);
}

/** Writes a file or makes a link under its name at once; what was there is replaced. */
export async function putFile(root: string, file: PlannedFile): Promise<void> {
  const path = join(root, file.path);
  await makeDirectory(dirname(path));
  const temporary = `${path}.baton-new`;
  await rm(temporary, { force: true });
  if ('link' in file) await symlink(file.link, temporary);
  else await writeFile(temporary, file.content, file.mode);
  await rename(temporary, path);
  await syncDirectory(dirname(path));
}

async function writeFile(path: string, content: string, mode: number): Promise<void> {
  await using file = await open(path, 'wx', mode);
  await file.chmod(mode);
  await file.writeFile(content);
  await file.sync();
}

/** Writes a runtime into a directory that is made for it. */
export async function putPieces(directory: string, pieces: readonly Piece[]): Promise<void> {
  await makeDirectory(directory);
  for (const piece of pieces) {
    const path = join(directory, piece.path);
    await makeDirectory(dirname(path));
    if ('link' in piece) {
      await symlink(piece.link, path);
      continue;
    }
    const mode = piece.executable ? executable : readable;
    if ('content' in piece) {
      await writeFile(path, piece.content, mode);
      continue;
    }
    await copyFile(piece.from, path, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    await using file = await open(path, 'r+');
    await file.chmod(mode);
    await file.sync();
  }
}

export async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  await directory.sync();
}

/** What is at a path: `same` as what was or would be put there, `other`, or nothing. */
export async function compareFile(
  root: string,
  file: { readonly path: string; readonly link: string } | { readonly path: string; readonly digest: string },
): Promise<'same' | 'other' | 'absent'> {
  const path = join(root, file.path);
  try {
    const found = await lstat(path);
    if ('link' in file) return found.isSymbolicLink() && (await readlink(path)) === file.link ? 'same' : 'other';
    return found.isFile() && digestOf(await readFile(path)) === file.digest ? 'same' : 'other';
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'absent';
    throw error;
  }
}
