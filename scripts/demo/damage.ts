import { closeSync, globSync, openSync, readdirSync, readSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { DemoFailure, expect } from './failure.ts';

// One bit turned over in a partial copy, as a bad disk or bad memory would do it.

/** What was turned over. */
export type Damage = {
  /** Path of the staging directory. */
  readonly staging: string;
  /** Path below the copy. */
  readonly path: string;
  readonly offset: number;
  readonly before: number;
  readonly after: number;
};

/** Large enough that its pieces share no unit with other files. */
const fileBytesMin = 4 * 1024 * 1024;
const pieceBytes = 1024 * 1024;

/** Turns over a bit of the first large file that the partial copy in `target` has received that far. */
export function turnBit(source: string, target: string): Damage {
  const [name] = globSync('.baton-*.partial', { cwd: target });
  expect(name !== undefined, `there is no partial copy in ${target}`);
  const staging = join(target, name);
  for (const path of filesBelow(join(staging, 'tree'), '')) {
    const original = join(source, path);
    const copy = join(staging, 'tree', path);
    const offset = Math.floor(statSync(copy).size / 4);
    if (offset * 4 < fileBytesMin || !isReceived(original, copy, offset)) continue;
    return { staging, path, offset, ...turnBitAt(copy, offset) };
  }
  throw new DemoFailure(`no file of more than ${fileBytesMin} bytes was received in ${target}`);
}

/** Files in the order in which a copy goes through them: names by their bytes. */
function* filesBelow(directory: string, prefix: string): Generator<string> {
  const entries = readdirSync(directory, { withFileTypes: true });
  entries.sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
  for (const entry of entries) {
    if (entry.isDirectory()) yield* filesBelow(join(directory, entry.name), `${prefix}${entry.name}/`);
    else if (entry.isFile()) yield prefix + entry.name;
  }
}

/** Whether the whole piece that holds `offset` is there. */
function isReceived(original: string, copy: string, offset: number): boolean {
  const start = offset - (offset % pieceBytes);
  const piece = readAt(copy, start, pieceBytes);
  return piece.length === pieceBytes && piece.equals(readAt(original, start, pieceBytes));
}

function turnBitAt(file: string, offset: number): Pick<Damage, 'before' | 'after'> {
  const [before = 0] = readAt(file, offset, 1);
  const after = before ^ 1;
  const descriptor = openSync(file, 'r+');
  try {
    writeSync(descriptor, Buffer.of(after), 0, 1, offset);
  } finally {
    closeSync(descriptor);
  }
  return { before, after };
}

function readAt(file: string, offset: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  const descriptor = openSync(file, 'r');
  try {
    return bytes.subarray(0, readSync(descriptor, bytes, 0, length, offset));
  } finally {
    closeSync(descriptor);
  }
}
