import { closeSync, existsSync, mkdirSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type Content, PageContent, Random, RandomContent } from './content.ts';

/** What is copied: a tree, which lies in `parent` under `name`, or the server whose data directory `parent` is. */
export type DataSet = {
  readonly name: 'large' | 'small' | 'backup';
  readonly parent: string;
  /** What a copy is compared with: the tree, or the tables of the server's database of that name. */
  readonly path: string;
  /** Of a server: where it answers. */
  readonly socketPath?: string;
};

const MiB = 2 ** 20;

/** Shares of one half of `large`: 512, 256, 192 and 64 MiB of a GiB. */
const largeShares = [8, 4, 3, 1] as const;
const shareSum = 16;

/** Sizes of `small` are spread evenly over their logarithm between these: a mean of 7.1 KB, 143 MB in 20,000 files. */
const smallBytesMin = 128;
const smallBytesMax = 41_300;
const filesPerDirectory = 40;
const directoriesPerDirectory = 25;

/**
 * Makes `large` below `directory`, once: half of its bytes in files like tables, half in files that do not compress,
 * 64 to 512 MiB each with the default size.
 */
export function makeLarge(directory: string, sizeBytes: number, seed: number): DataSet {
  return makeTree(directory, 'large', `${seed}-${sizeBytes}`, (path) => {
    largeShares.forEach((share, index) => {
      const bytes = Math.floor((sizeBytes / 2) * (share / shareSum));
      writeContent(join(path, `table${index}.ibd`), bytes, new PageContent(seed + index));
      writeContent(join(path, `blobs${index}.bin`), bytes, new RandomContent(seed + index));
    });
  });
}

/** Makes `small` below `directory`, once: `files` files in nested directories of 40, every other one compressible. */
export function makeSmall(directory: string, files: number, seed: number): DataSet {
  return makeTree(directory, 'small', `${seed}-${files}`, (path) => {
    const random = new Random(seed);
    const pages = new PageContent(seed);
    const noise = new RandomContent(seed);
    for (let index = 0; index < files; index += 1) {
      const leaf = Math.floor(index / filesPerDirectory);
      const folder = join(path, `a${Math.floor(leaf / directoriesPerDirectory)}`, `b${leaf % directoriesPerDirectory}`);
      if (index % filesPerDirectory === 0) mkdirSync(folder, { recursive: true });
      const buffer = Buffer.alloc(smallBytes(random.below(2 ** 16) / 2 ** 16));
      (index % 2 === 0 ? pages : noise).fill(buffer);
      writeFileSync(join(folder, `file${index}`), buffer);
    }
  });
}

function smallBytes(share: number): number {
  return Math.round(smallBytesMin * (smallBytesMax / smallBytesMin) ** share);
}

function makeTree(directory: string, name: DataSet['name'], variant: string, fill: (path: string) => void): DataSet {
  const parent = join(directory, `${name}-${variant}`);
  const path = join(parent, name);
  if (!isComplete(parent)) {
    rmSync(parent, { recursive: true, force: true });
    mkdirSync(path, { recursive: true });
    fill(path);
    markComplete(parent);
  }
  return { name, parent, path };
}

/** Whether an earlier run made all that is in the directory. */
export function isComplete(directory: string): boolean {
  return existsSync(join(directory, 'complete'));
}

/** Comes last, so that data cut short by a killed bench is made again. */
export function markComplete(directory: string): void {
  writeFileSync(join(directory, 'complete'), '');
}

function writeContent(path: string, bytes: number, content: Content): void {
  const file = openSync(path, 'wx');
  try {
    const buffer = Buffer.alloc(MiB);
    for (let written = 0; written < bytes; ) {
      const piece = buffer.subarray(0, Math.min(MiB, bytes - written));
      content.fill(piece);
      written += writeSync(file, piece);
    }
  } finally {
    closeSync(file);
  }
}
