import { join } from 'node:path';
import { BatonError } from '@batondb/core/errors';
import { toBatonError } from '@batondb/core/files/system-error';
import { limits as coreLimits } from '@batondb/core/limits';
import { Layout } from '@batondb/core/transfer/layout';
import { encodeUnit } from '@batondb/core/transfer/unit-codec';
import { Blake3Hasher } from '@napi-rs/blake-hash';
import type { FileLayer } from '../log/file-layer.ts';
import type { ReaderContext } from '../machine/reader-view.ts';
import { encodeState, type StateRecord } from '../machine/state-record.ts';
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

  /** Writes all files that a record speaks of into an empty directory, and syncs them and it. */
  writeAll(directory: string, record: StateRecord): WrittenFile[] {
    const state = encodeState(record);
    const written = filesOf(record, state).map((file) => this.#write(file, join(directory, file.name), state));
    this.#layer.syncDirectory(directory);
    return written;
  }

  /** What a file would be, without writing it. Throws NOT_FOUND. */
  digest(name: string): WrittenFile {
    return this.#readAll(this.#find(name), () => undefined);
  }

  /** A part of a file. */
  part(name: string, offset: number, bytes: number): Uint8Array<ArrayBuffer> {
    const content = new Uint8Array(bytes);
    this.#read(this.#find(name), offset, content);
    return content;
  }

  #find(name: string): SnapshotFile {
    const file = this.#files.find((candidate) => candidate.name === name);
    if (file === undefined) throw new BatonError('NOT_FOUND', `there is no ${name} in the snapshot`);
    return file;
  }

  #write(file: SnapshotFile, path: string, state: Uint8Array): WrittenFile {
    const target = this.#layer.open(path, 'create');
    try {
      const written = this.#readAll(file, (part, offset) => target.write(part, offset), state);
      target.sync();
      return written;
    } catch (error) {
      throw toBatonError(error, { path });
    } finally {
      target.close();
    }
  }

  #readAll(
    file: SnapshotFile,
    each: (part: Uint8Array, offset: number) => void,
    state: Uint8Array = this.#state,
  ): WrittenFile {
    const hasher = new Blake3Hasher();
    for (let offset = 0; offset < file.bytes; offset += this.#scratch.length) {
      const part = this.#scratch.subarray(0, Math.min(this.#scratch.length, file.bytes - offset));
      this.#read(file, offset, part, state);
      hasher.update(part);
      each(part, offset);
    }
    return { name: file.name, bytes: file.bytes, blake3: hasher.digestBuffer().toString('hex') };
  }

  #read({ database }: SnapshotFile, offset: number, into: Uint8Array, state: Uint8Array = this.#state): void {
    if (database === undefined) into.set(state.subarray(offset, offset + into.length));
    else this.#pinned.read(database, offset, into);
  }
}
