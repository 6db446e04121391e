import { createHash, type Hash } from 'node:crypto';
import { closeSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';

/** What a tree holds: enough to see that two are the same. */
export type TreeContent = { readonly files: number; readonly bytes: number; readonly digest: string };

const buffer = Buffer.alloc(2 ** 20);

/** Reads every byte below `path` and digests names and content (SHA-256). Also brings a source into the page cache. */
export function digestTree(path: string): TreeContent {
  const hash = createHash('sha256');
  const total = readTree(path, hash);
  return { ...total, digest: hash.digest('hex') };
}

/** Reads every byte below `path`, so that the page cache holds it. */
export function warmTree(path: string): { files: number; bytes: number } {
  return readTree(path, undefined);
}

function readTree(root: string, hash: Hash | undefined): { files: number; bytes: number } {
  const total = { files: 0, bytes: 0 };
  const pending = [''];
  for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
    const entries = readdirSync(join(root, folder), { withFileTypes: true });
    entries.sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const entry of entries) {
      const name = join(folder, entry.name);
      hash?.update(`${entry.isDirectory() ? 'directory' : 'file'}\0${name}\0`);
      if (entry.isDirectory()) {
        pending.push(name);
        continue;
      }
      const bytes = readFile(join(root, name), hash);
      hash?.update(`\0${bytes}\0`);
      total.files += 1;
      total.bytes += bytes;
    }
  }
  return total;
}

function readFile(path: string, hash: Hash | undefined): number {
  const file = openSync(path, 'r');
  try {
    let bytes = 0;
    for (;;) {
      const read = readSync(file, buffer);
      if (read === 0) return bytes;
      hash?.update(buffer.subarray(0, read));
      bytes += read;
    }
  } finally {
    closeSync(file);
  }
}
