import { join } from 'node:path';
import { assert } from '@batondb/core/errors';
import { toBatonError } from '@batondb/core/files/system-error';
import { limits as coreLimits } from '@batondb/core/limits';
import { Layout } from '@batondb/core/transfer/layout';
import { encodeUnit } from '@batondb/core/transfer/unit-codec';
import { Blake3Hasher } from '@napi-rs/blake-hash';
import type { FileLayer } from '../log/file-layer.ts';
import type { ReaderContext } from '../machine/reader-view.ts';
import { filesOf, type SnapshotFile } from './contents.ts';
import { PinnedState } from './pinned-state.ts';
import type { SnapshotCalls, WrittenFile } from './snapshot-calls.ts';

type Request<Name extends keyof SnapshotCalls> = Parameters<SnapshotCalls[Name]>[0];

/** The root directory is the manifest's first entry, and the files follow in their order. */
const firstFileEntry = 1;

/** A snapshot's content, as units and as files. */
export class SnapshotReader {
  readonly #layer: FileLayer;
  readonly #state: Uint8Array;
  readonly #pinned: PinnedState;
  readonly #files: readonly SnapshotFile[];
  readonly #layout: Layout;
  /** Every unit is read into the same memory: it is hashed and encoded, or written, before the next one is. */
  readonly #scratch = new Uint8Array(coreLimits.unitBytes);

  constructor(context: ReaderContext, { pinned, state, layout }: Request<'open'>) {
    this.#layer = context.layer;
    this.#state = state;
    this.#pinned = new PinnedState(context, pinned);
    this.#files = filesOf(pinned.record, state);
    this.#layout = Layout.fromShare(layout);
  }

  /** A unit as a message. Throws HISTORY_LOST. */
  unit({ unit, compression, claim, into }: Request<'read'>): Uint8Array<ArrayBuffer> {
    const content = this.#scratch.subarray(0, this.#layout.unitBytes(unit));
    let at = 0;
    for (const { entry, offset, length } of this.#layout.pieces(unit)) {
      this.#read(this.#files[entry - firstFileEntry]!, offset, content.subarray(at, at + length));
      at += length;
    }
    return encodeUnit({ unit, content, changes: [], claim }, compression, into).payload;
  }

  /** Writes all files into an empty directory, and syncs them and it. */
  writeAll(directory: string): WrittenFile[] {
    const written = this.#files.map((file) => this.#write(file, join(directory, file.name)));
    this.#layer.syncDirectory(directory);
    return written;
  }

  /** Writes one file, and syncs it. */
  writeOne(name: string, path: string): WrittenFile {
    const file = this.#files.find((candidate) => candidate.name === name);
    assert(file !== undefined, `B2: the snapshot has a file ${name}`);
    return this.#write(file, path);
  }

  #write(file: SnapshotFile, path: string): WrittenFile {
    const target = this.#layer.open(path, 'create');
    try {
      const hasher = new Blake3Hasher();
      for (let offset = 0; offset < file.bytes; offset += this.#scratch.length) {
        const part = this.#scratch.subarray(0, Math.min(this.#scratch.length, file.bytes - offset));
        this.#read(file, offset, part);
        hasher.update(part);
        target.write(part, offset);
      }
      target.sync();
      return { name: file.name, bytes: file.bytes, blake3: hasher.digestBuffer().toString('hex') };
    } catch (error) {
      throw toBatonError(error, { path });
    } finally {
      target.close();
    }
  }

  #read({ database }: SnapshotFile, offset: number, into: Uint8Array): void {
    if (database === undefined) into.set(this.#state.subarray(offset, offset + into.length));
    else this.#pinned.read(database, offset, into);
  }
}
