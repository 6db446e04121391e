// Data directories of plain files, which say in their content whose they are: as a server's by their names, and cheap enough to be killed at
// every call.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { DataLayout } from '../src/state/layout.ts';
import { stagingName } from '../src/state/staging.ts';

/** Files by path below the data directory, or below a directory beside it that an option names. */
export type Files = Readonly<Record<string, string>>;

export const oldFiles: Files = {
  ibdata1: 'old',
  ib_logfile0: 'old',
  undo001: 'old',
  undo002: 'old',
  aria_log_control: 'old',
  'aria_log.00000001': 'old',
  'aria_log.00000002': 'old',
  ib_buffer_pool: 'old',
  'multi-master.info': 'old',
  'node-bin.000001': 'old',
  'node-bin.index': 'old',
  'shop/db.opt': 'old',
  'shop/items.ibd': 'old',
  'gone/db.opt': 'old',
  'mysql/db.opt': 'old',
};

export const newFiles: Files = {
  ibdata1: 'new',
  ib_logfile0: 'new',
  undo001: 'new',
  aria_log_control: 'new',
  'aria_log.00000001': 'new',
  'shop/db.opt': 'new',
  'shop/items.ibd': 'new',
  'added/db.opt': 'new',
  'mysql/db.opt': 'new',
};

/** What no server made, and what Galera keeps for itself. */
export const keptFiles: Files = {
  'grastate.dat': 'kept',
  'galera.cache': 'kept',
  'server-key.pem': 'kept',
  'slow.log': 'kept',
  'notes.txt': 'kept',
  'backups/monday.sql': 'kept',
};

/** Options that name other directories, beside the data directory. */
export const elsewhere: Omit<DataLayout, 'dataDirectory'> = {
  innodbDataHome: '../home',
  innodbLogHome: '../redo',
  innodbUndo: '../undo',
  ariaLog: '../redo',
  binlog: '../logs/node-bin',
};
export const together: Omit<DataLayout, 'dataDirectory'> = { binlog: 'node-bin' };

/** Where each top name lies by an option; all others lie in the data directory. */
const placesElsewhere: readonly (readonly [pattern: RegExp, directory: string])[] = [
  [/^ibdata/, '../home'],
  [/^(ib_logfile|aria_log)/, '../redo'],
  [/^undo/, '../undo'],
  [/^node-bin/, '../logs'],
];

function placeOf(path: string, layout: Omit<DataLayout, 'dataDirectory'>): string {
  if (layout !== elsewhere) return path;
  const found = placesElsewhere.find(([pattern]) => pattern.test(path));
  return found === undefined ? path : join(found[1], path);
}

/** Writes files below a directory. */
export function writeFiles(directory: string, files: Files, layout = together): void {
  for (const [path, content] of Object.entries(files)) {
    const target = join(directory, placeOf(path, layout));
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, content);
  }
}

/** A data directory with old data (by default) and new data in staging, both anew. */
export function makeDirectories(directory: string, layout = together, old = oldFiles): void {
  for (const name of ['data', 'home', 'redo', 'undo', 'logs']) {
    rmSync(join(dirname(directory), name), { recursive: true, force: true });
    mkdirSync(join(dirname(directory), name), { recursive: true });
  }
  writeFiles(directory, { ...old, ...keptFiles }, layout);
  writeFiles(join(directory, stagingName, 'new'), newFiles);
}

/** What lies in a data directory and beside it, but for staging: as {@link Files} has it, by the names of one directory. */
export function readFiles(directory: string, layout = together): Files {
  const found: Record<string, string> = {};
  const read = (base: string, below: string): void => {
    for (const entry of readdirSync(join(base, below), { withFileTypes: true })) {
      const path = join(below, entry.name);
      if (path === stagingName || path.startsWith('.baton-sst-')) continue;
      if (entry.isDirectory() && readdirSync(join(base, path)).length > 0) read(base, path);
      else found[path] = entry.isDirectory() ? 'directory' : readFileSync(join(base, path), 'utf8');
    }
  };
  read(directory, '');
  if (layout === elsewhere) {
    for (const name of ['home', 'redo', 'undo', 'logs']) read(join(directory, '..', name), '');
  }
  return found;
}

/** What is left of staging anywhere. */
export function stagingLeft(directory: string): string[] {
  return ['data', 'home', 'redo', 'undo', 'logs'].flatMap((name) => {
    const path = join(dirname(directory), name);
    const names = existsSync(path) ? readdirSync(path) : [];
    return names.filter((entry) => entry.startsWith('.baton-sst-')).map((entry) => join(name, entry));
  });
}
