import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { BatonError } from '@batondb/core/errors';
import type { FileLayer } from '../log/file-layer.ts';
import type { Paths } from '../machine/paths.ts';
import { decodeState, encodeState, type StateRecord } from '../machine/state-record.ts';
import { fileName, stateName } from './contents.ts';

// A whole node's state takes the place of another one, in a directory that no node has in use. What is to come lies complete and verified in
// `.baton/received`; a journal then says what goes where, and from then on every start finishes what was begun (B4). Each step is a rename
// that is done or not, so that it can be done again; what was there is kept in `.baton/old-TIME`.

const format = 1;

type Journal = {
  readonly format: number;
  /** `out`: what was there is being put aside. `in`: all of it is, and the new state takes its place. */
  readonly phase: 'out' | 'in';
  /** Below `.baton`. */
  readonly old: string;
  /** Databases' files that were there. */
  readonly files: readonly string[];
  /** What comes. */
  readonly incoming: readonly string[];
};

/** A clock, in milliseconds since 1970. */
export type Now = () => number;

/**
 * Puts a verified snapshot in place of what a directory holds. The caller has the directory's lock. Throws EXISTS when a file that is not
 * the node's own has a name that is needed.
 */
export function installReceived(layer: FileLayer, paths: Paths, record: StateRecord, now: Now = Date.now): void {
  const files = ownFiles(layer, paths);
  const incoming = record.databases.map(fileName);
  for (const name of incoming) {
    const path = join(paths.directory, name);
    if (files.includes(name) || layer.stat(path) === undefined) continue;
    throw new BatonError('EXISTS', `${path} is none of the node's own files, and has a name that is needed`, {
      hint: 'move it away, and try again',
    });
  }
  // As if the node had stopped in order: the next start takes the files by what they look like.
  const databases = record.databases.map((database) => ({
    ...database,
    closed: layer.stat(join(paths.received, fileName(database)))!,
  }));
  replaceFile(layer, paths.received, stateName, encodeState({ ...record, databases }));
  const old = `old-${new Date(now()).toISOString().replaceAll(':', '')}`;
  writeJournal(layer, paths, { format, phase: 'out', old, files, incoming });
  finishSwap(layer, paths);
}

/** Finishes what a journal says was begun; without one there is nothing to finish. The caller has the directory's lock. */
export function finishSwap(layer: FileLayer, paths: Paths): void {
  let journal = readJournal(layer, paths);
  if (journal === undefined) return;
  const { own, directory, received } = paths;
  const old = join(own, journal.old);
  if (journal.phase === 'out') {
    layer.makeDirectory(old);
    for (const name of journal.files) moveIfThere(layer, join(directory, name), join(old, name));
    for (const path of [paths.pages, paths.log]) moveIfThere(layer, path, join(old, path.slice(own.length + 1)));
    // Last: while it is there, what is put aside can be found by hand.
    moveIfThere(layer, paths.state, join(old, stateName));
    for (const path of [old, directory, own]) layer.syncDirectory(path);
    journal = { ...journal, phase: 'in' };
    writeJournal(layer, paths, journal);
  }
  for (const name of journal.incoming) moveIfThere(layer, join(received, name), join(directory, name));
  layer.syncDirectory(directory);
  moveIfThere(layer, join(received, stateName), paths.state);
  layer.syncDirectory(own);
  layer.remove(paths.swap);
  layer.syncDirectory(own);
}

/** What earlier swaps have put aside, the oldest first: names below `.baton`. */
export function listOld(layer: FileLayer, paths: Paths): string[] {
  return layer
    .list(paths.own)
    .filter((name) => name.startsWith('old-'))
    .sort();
}

/** Removes what earlier swaps have put aside. */
export function discardOld(layer: FileLayer, paths: Paths): void {
  for (const name of listOld(layer, paths)) rmSync(join(paths.own, name), { recursive: true });
  layer.syncDirectory(paths.own);
}

/** The databases' files that a stopped node has left under their names. */
function ownFiles(layer: FileLayer, paths: Paths): string[] {
  const stat = layer.stat(paths.state);
  if (stat === undefined) return [];
  const bytes = readFile(layer, paths.state, stat.bytes);
  return decodeState(bytes, paths.state)
    .databases.filter(({ closed }) => closed !== undefined)
    .map(fileName)
    .filter((name) => layer.stat(join(paths.directory, name)) !== undefined);
}

function moveIfThere(layer: FileLayer, from: string, to: string): void {
  if (layer.stat(from) !== undefined) layer.rename(from, to);
}

function readJournal(layer: FileLayer, paths: Paths): Journal | undefined {
  const stat = layer.stat(paths.swap);
  if (stat === undefined) return undefined;
  const journal = JSON.parse(readFile(layer, paths.swap, stat.bytes).toString('utf8')) as Journal;
  if (journal.format === format) return journal;
  throw new BatonError(
    'VERSION_MISMATCH',
    `${paths.swap} has format ${journal.format}, and this release reads ${format}`,
    {
      hint: 'start the release that began it',
    },
  );
}

function writeJournal(layer: FileLayer, { own, swap }: Paths, journal: Journal): void {
  replaceFile(layer, own, swap.slice(own.length + 1), Buffer.from(JSON.stringify(journal)));
}

function readFile(layer: FileLayer, path: string, bytes: number): Buffer {
  const file = layer.open(path, 'read');
  try {
    const content = Buffer.alloc(bytes);
    file.read(content, 0);
    return content;
  } finally {
    file.close();
  }
}

/** Replaces a small file as a whole: temporary name, sync, rename, sync of the directory. */
export function replaceFile(layer: FileLayer, directory: string, name: string, content: Uint8Array): void {
  const path = join(directory, name);
  const file = layer.open(`${path}.new`, 'create');
  try {
    file.truncate(content.length);
    file.write(content, 0);
    file.sync();
  } finally {
    file.close();
  }
  layer.rename(`${path}.new`, path);
  layer.syncDirectory(directory);
}
