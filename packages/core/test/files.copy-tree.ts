import { DirectoryHandles } from '../src/files/directories.ts';
import { close } from '../src/files/libc.ts';
import { openDirectory, splitPath } from '../src/files/open.ts';
import { TreeReader } from '../src/files/tree-reader.ts';
import { type NotKept, TreeWriter } from '../src/files/tree-writer.ts';
import { type WalkOptions, type WalkReport, walkTree } from '../src/files/walk.ts';
import type { Entry } from '../src/protocol/entry.ts';
import type { EntryTable } from '../src/protocol/entry-table.ts';

// A copy within one thread and one machine, for the tests: walk, read, write, finish.

export const pieceBytes = 256 * 1024;

export type Walked = { readonly entries: Entry[]; readonly report: WalkReport };

export function walkAll(root: string | Uint8Array, options: Partial<WalkOptions> = {}): Walked {
  const bytes = typeof root === 'string' ? Buffer.from(root) : root;
  const walk = walkTree({ exclude: [], oneFileSystem: false, ...options, root: bytes });
  const entries: Entry[] = [];
  for (;;) {
    const next = walk.next();
    if (next.done) return { entries, report: next.value };
    entries.push(next.value);
  }
}

export function tableOf(entries: readonly Entry[]): EntryTable {
  return { count: entries.length, entry: (index) => entries[index]! };
}

/** Opens a tree for reading; everything is closed at the end of the test's scope. */
export function openTree(path: string, entries: readonly Entry[], checkIdentity: boolean = true) {
  const { directory, name } = splitPath(Buffer.from(path));
  const parent = openDirectory(directory);
  const table = tableOf(entries);
  const handles = new DirectoryHandles(table, parent, name);
  const reader = new TreeReader(table, handles, { checkIdentity });
  const writer = new TreeWriter(table, handles);
  const dispose = (): void => {
    writer.close();
    reader.close();
    handles.close();
    close(parent);
  };
  return { reader, writer, handles, parent, name, [Symbol.dispose]: dispose };
}

/** The pieces in which a file's content travels. */
export function* piecesOf(entry: Entry): Generator<{ readonly offset: number; readonly length: number }> {
  if (entry.kind !== 'file') return;
  for (const extent of entry.extents ?? [{ offset: 0, length: entry.sizeBytes }]) {
    const end = extent.offset + extent.length;
    for (let offset = extent.offset; offset < end; offset += pieceBytes) {
      yield { offset, length: Math.min(pieceBytes, end - offset) };
    }
  }
}

/** Copies `source` to `target`, which must not exist; its directory must. */
export function copyTree(
  source: string,
  target: string,
): Walked & { readonly notKept: NotKept[]; readonly changes: string[] } {
  const { entries, report } = walkAll(source);
  using from = openTree(source, entries);
  using to = openTree(target, entries);
  to.writer.makeDirectories();
  const changes: string[] = [];
  for (const [index, entry] of entries.entries()) {
    for (const { offset, length } of piecesOf(entry)) {
      const content = new Uint8Array(length);
      const { change } = from.reader.readPiece(index, offset, content);
      if (change !== undefined) changes.push(change);
      const isWhole = entry.kind === 'file' && length === entry.sizeBytes && entry.extents === undefined;
      if (isWhole) to.writer.writeWholeFile(index, content);
      else to.writer.writePiece(index, offset, content);
    }
  }
  return { entries, report, changes, notKept: to.writer.finish({ applyAllFiles: false }) };
}
