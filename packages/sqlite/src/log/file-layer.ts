import { randomUUID } from 'node:crypto';
import {
  closeSync,
  fdatasync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';

// Every file that the log, the databases and the node's own records are kept in is reached through this, so that tests can
// put a layer in its place that tears, drops and reorders what was not synced.

/** An open file. Offsets and lengths are in bytes. All calls throw errors of Node with a `code`. */
export interface LayerFile {
  /** Reads until `into` is full or the file ends. Returns the bytes read. */
  read(into: Uint8Array, offset: number): number;
  /** Writes all of `content`. */
  write(content: Uint8Array, offset: number): void;
  truncate(bytes: number): void;
  size(): number;
  /** Returns when everything written so far is on the disk. */
  sync(): void;
  /** The same, without holding up the thread. */
  syncSoon(): Promise<void>;
  close(): void;
}

/** What is known of a file from outside. */
export type FileStat = { readonly bytes: number; readonly modifiedNs: bigint };

/** How a file is opened. `create`: for reading and writing, made when it is missing. */
export type OpenMode = 'read' | 'write' | 'create';

/** A file system, as far as it is needed. */
export interface FileLayer {
  open(path: string, mode: OpenMode): LayerFile;
  /** A file without a name, that goes when it is closed. */
  openTemporary(directory: string): LayerFile;
  /** Undefined: there is nothing of that name. */
  stat(path: string): FileStat | undefined;
  /** The names in a directory. */
  list(directory: string): readonly string[];
  makeDirectory(path: string): void;
  rename(from: string, to: string): void;
  remove(path: string): void;
  /** Makes the names in a directory last. */
  syncDirectory(path: string): void;
}

const nodeModes = { read: 'r', write: 'r+' } as const;

class NodeFile implements LayerFile {
  readonly #fd: number;

  constructor(fd: number) {
    this.#fd = fd;
  }

  read(into: Uint8Array, offset: number): number {
    let done = 0;
    while (done < into.length) {
      const count = readSync(this.#fd, into, done, into.length - done, offset + done);
      if (count === 0) break;
      done += count;
    }
    return done;
  }

  write(content: Uint8Array, offset: number): void {
    let done = 0;
    while (done < content.length) done += writeSync(this.#fd, content, done, content.length - done, offset + done);
  }

  truncate(bytes: number): void {
    ftruncateSync(this.#fd, bytes);
  }

  size(): number {
    return fstatSync(this.#fd).size;
  }

  sync(): void {
    fdatasyncSync(this.#fd);
  }

  syncSoon(): Promise<void> {
    return new Promise((resolve, reject) => {
      fdatasync(this.#fd, (error) => (error === null ? resolve() : reject(error)));
    });
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** The file system of this machine. */
export const nodeFileLayer: FileLayer = {
  open(path, mode) {
    if (mode !== 'create') return new NodeFile(openSync(path, nodeModes[mode]));
    // Linux appends to a file that was opened with `a`, whatever offset is asked: so it is made first, and opened for writing.
    closeSync(openSync(path, 'a', 0o600));
    return new NodeFile(openSync(path, 'r+'));
  },
  openTemporary(directory) {
    const path = join(directory, `spill-${randomUUID()}`);
    const file = new NodeFile(openSync(path, 'wx+', 0o600));
    unlinkSync(path);
    return file;
  },
  stat(path) {
    const found = statSync(path, { bigint: true, throwIfNoEntry: false });
    return found && { bytes: Number(found.size), modifiedNs: found.mtimeNs };
  },
  list: (directory) => readdirSync(directory),
  makeDirectory: (path) => void mkdirSync(path, { recursive: true, mode: 0o700 }),
  rename: renameSync,
  remove: unlinkSync,
  syncDirectory(path) {
    const fd = openSync(path, 'r');
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  },
};
