import { fstatSync, statSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { BatonError } from '@batondb/core/errors';
import { toBatonError } from '@batondb/core/files/system-error';
import type { TableRecord } from '../sink.ts';
import { fileMembers } from './file-commits.ts';
import { linesLimits } from './limits.ts';
import { LineBytes } from './line-bytes.ts';
import { type Commit, commitLine, stateLine } from './lines.ts';
import type { LinesTarget } from './owned-lines.ts';

/** A file that lines are appended to. What is behind its last commit line was never told. */
export class FileTarget implements LinesTarget {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #records: Map<string, TableRecord>;
  /** Where the newest state line begins, and how many stand on one another below it. */
  #state: number | undefined;
  #stateLinks: number;
  /** Bytes of the file, those that wait included, up to the last line, and up to the last commit line. */
  #size: number;
  #committed: number;
  /** What waits for the next flush: where it begins, and its checksum. */
  readonly #lines = new LineBytes((bytes) => {
    this.#crc = crc32(bytes, this.#crc);
    this.#size += bytes.length;
  });
  #start: number;
  #crc = 0;

  /** `size` is where a file that was cut back ends; `records` and `state` are what it says there. */
  constructor(
    path: string,
    file: FileHandle,
    size: number,
    records: ReadonlyMap<string, TableRecord>,
    state: number | undefined,
  ) {
    this.#path = path;
    this.#file = file;
    this.#size = size;
    this.#committed = size;
    this.#start = size;
    this.#records = new Map(records);
    this.#state = state;
    // How long its chain is is not known: the next state line is a whole one.
    this.#stateLinks = linesLimits.stateChainMax;
  }

  add(text: string): void {
    this.#lines.add(text);
  }

  addBytes(bytes: Buffer): void {
    this.#lines.addBytes(bytes);
  }

  commit(commit: Commit, changed: ReadonlyMap<string, TableRecord | null>): void {
    if (changed.size > 0 || this.#state === undefined) this.#addState(changed);
    // The line tells the checksum of what is before it.
    this.#lines.encode();
    this.#lines.add(commitLine(commit, fileMembers(this.#state ?? 0, this.#start, this.#crc)));
    this.#lines.encode();
    this.#committed = this.#size;
  }

  /** Everything is on the disk when it resolves: file data, and the size that goes with it. */
  async flush(): Promise<void> {
    const bytes = this.#lines.take();
    const start = this.#start;
    this.#start = this.#size;
    this.#crc = 0;
    if (bytes.length === 0) return;
    try {
      this.#expectSameFile(start);
      let written = 0;
      while (written < bytes.length) {
        written += (await this.#file.write(bytes, written, bytes.length - written, start + written)).bytesWritten;
      }
      await this.#file.datasync();
    } catch (error) {
      throw writeError(error, this.#path);
    }
  }

  async rollBack(): Promise<void> {
    try {
      await this.#file.truncate(this.#committed);
    } catch (error) {
      throw writeError(error, this.#path);
    }
    this.#lines.clear();
    this.#crc = 0;
    this.#size = this.#committed;
    this.#start = this.#committed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }

  #addState(changed: ReadonlyMap<string, TableRecord | null>): void {
    for (const [name, record] of changed) {
      if (record === null) this.#records.delete(name);
      else this.#records.set(name, record);
    }
    const isWhole = this.#state === undefined || this.#stateLinks >= linesLimits.stateChainMax;
    const before = this.#state;
    this.#lines.encode();
    this.#state = this.#size;
    this.#stateLinks = isWhole ? 1 : this.#stateLinks + 1;
    this.add(isWhole ? stateLine(this.#records) : stateLine(changed, before));
  }

  #expectSameFile(size: number): void {
    const named = statSync(this.#path, { throwIfNoEntry: false });
    const ours = fstatSync(this.#file.fd);
    if (named?.ino === ours.ino && named.dev === ours.dev && ours.size === size) return;
    const what = named?.ino === ours.ino ? `has ${ours.size} bytes and not ${size}` : 'was removed or replaced';
    throw new BatonError('CHANGED', `${this.#path} ${what} while it was written`, {
      hint: 'stop baton before the file is moved or cut; it begins anew in one that is empty',
    });
  }
}

/** A full disk passes: what was written of the piece is cut off when the file is owned anew. */
function writeError(error: unknown, path: string): BatonError {
  const found = toBatonError(error, { path });
  if (found.code !== 'NO_SPACE') return found;
  return new BatonError('NO_SPACE', found.message, {
    retryable: true,
    hint: 'make space, or raise the quota: it goes on by itself where it was',
    cause: error,
  });
}
