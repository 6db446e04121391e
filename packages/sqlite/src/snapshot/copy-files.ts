import { join } from 'node:path';
import { toBatonError } from '@batondb/core/files/system-error';
import { limits as coreLimits } from '@batondb/core/limits';
import { Blake3Hasher } from '@napi-rs/blake-hash';
import type { FileLayer, LayerFile } from '../log/file-layer.ts';
import type { WrittenFile } from './snapshot-calls.ts';

/** Copies files by name into an existing directory, and syncs them and it. Throws NO_SPACE, NOT_FOUND. */
export function copyFiles(layer: FileLayer, from: string, to: string, names: readonly string[]): WrittenFile[] {
  const copied = names.map((name) => {
    const target = layer.open(join(to, name), 'create');
    try {
      const written = readThrough(layer, from, name, (part, offset) => target.write(part, offset));
      target.sync();
      return written;
    } catch (error) {
      throw toBatonError(error, { path: join(to, name) });
    } finally {
      target.close();
    }
  });
  layer.syncDirectory(to);
  return copied;
}

/** Lengths and digests of files. Throws NOT_FOUND. */
export function digestFiles(layer: FileLayer, directory: string, names: readonly string[]): WrittenFile[] {
  return names.map((name) => readThrough(layer, directory, name, () => undefined));
}

function readThrough(
  layer: FileLayer,
  directory: string,
  name: string,
  each: (part: Uint8Array, offset: number) => void,
): WrittenFile {
  const source = openSource(layer, join(directory, name));
  try {
    const hasher = new Blake3Hasher();
    const buffer = Buffer.alloc(coreLimits.unitBytes);
    let bytes = 0;
    for (;;) {
      const part = buffer.subarray(0, source.read(buffer, bytes));
      if (part.length === 0) break;
      hasher.update(part);
      each(part, bytes);
      bytes += part.length;
    }
    return { name, bytes, blake3: hasher.digestBuffer().toString('hex') };
  } finally {
    source.close();
  }
}

function openSource(layer: FileLayer, path: string): LayerFile {
  try {
    return layer.open(path, 'read');
  } catch (error) {
    throw toBatonError(error, { path });
  }
}
