import { BatonError } from '@batondb/core/errors';
import { printable } from '@batondb/core/files/names';
import { limits } from './limits.ts';

// The xbstream format, as mariadb-backup and xtrabackup write it (`extra/mariabackup/xbstream.h`; for sparse chunks
// docs.percona.com/percona-xtrabackup, "xbstream file format"). Numbers are little-endian:
//
//   "XBSTCK01"  flags 1  type 1  path length 4  path
//   type P      + payload length 8, offset 8, CRC-32 4, payload          content of a file
//   type E                                                               the file is complete
//   type S      + offset 8 (MariaDB), or entries 4, then as P with a map of 8 bytes an entry before the payload (Percona)
//   type R      + path length 4, path (MariaDB)                          a table was renamed during the backup
//   type D                              (MariaDB)                        a table was dropped
//
// Not checked: CRC-32 of payloads and the content of files. The unpackers do the first. What they do not do, each of them with
// exit code 0: notice a stream that ends after any chunk, or before the first one; refuse a path that leaves the directory.

/** Whose dialect a stream is in. */
export type StreamDialect = 'mariadb' | 'percona';

export type StreamSummary = {
  /** Files that are complete. */
  readonly files: number;
  /** Content of all files, in bytes. */
  readonly contentBytes: number;
};

/** A part of a file's content, which follows in the stream. `path` as the stream has it. Bytes. */
export type StreamPart = { readonly path: string; readonly offset: number; readonly bytes: number };

type Step = { readonly take: number } | { readonly skip: number };

const magic = Buffer.from('XBSTCK01');
/** Written when the backup is complete, but for the end of the redo log. */
const infoNames: ReadonlySet<string> = new Set(['xtrabackup_info', 'mariadb_backup_info']);

/**
 * Follows a stream's structure while it passes, without keeping it: at most one header is in memory. `push` throws PROTOCOL for
 * what is not the format, NOT_TRUSTED for a path that leaves the directory, LIMIT; `end` throws BACKUP_FAILED when the stream is not
 * whole.
 */
export class StreamCheck {
  readonly #dialect: StreamDialect;
  readonly #parser: Generator<Step, never, Buffer>;
  #step: Step;
  /** Bytes of the present step that are here already. */
  #kept: Buffer[] = [];
  #keptBytes = 0;
  #offset = 0;
  #openFiles = new Set<string>();
  #files = 0;
  #contentBytes = 0;
  #hasInfo = false;
  #isBetweenChunks = true;

  readonly #onPart: (part: StreamPart) => void;

  /** `onPart` is told of every part of a file's content before its first byte. */
  constructor(dialect: StreamDialect, onPart: (part: StreamPart) => void = () => undefined) {
    this.#dialect = dialect;
    this.#onPart = onPart;
    this.#parser = this.#parse();
    this.#step = this.#parser.next().value;
  }

  push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) {
      const wanted = 'take' in this.#step ? this.#step.take : this.#step.skip;
      const part = chunk.subarray(at, at + wanted - this.#keptBytes);
      // A copy, since a header may be spread over chunks whose buffers are used again.
      if ('take' in this.#step) this.#kept.push(Buffer.from(part));
      this.#keptBytes += part.length;
      at += part.length;
      this.#offset += part.length;
      if (this.#keptBytes === wanted) this.#advance();
    }
  }

  /** To be called at the end of the stream. */
  end(): StreamSummary {
    const broken = (what: string): BatonError =>
      new BatonError('BACKUP_FAILED', `the backup's stream is cut short after ${this.#offset} bytes: ${what}`, {
        hint: 'look for what ended the backup tool on the source; the next attempt is a new backup',
      });
    if (!this.#isBetweenChunks) throw broken('it ends in the middle of a chunk');
    const [open] = this.#openFiles;
    if (open !== undefined) throw broken(`${this.#openFiles.size} files have no end, ${open} among them`);
    if (!this.#hasInfo) throw broken(`it has no ${[...infoNames].join(' or ')}, which is written when all is there`);
    return { files: this.#files, contentBytes: this.#contentBytes };
  }

  #advance(): void {
    do {
      const taken = 'take' in this.#step ? Buffer.concat(this.#kept) : Buffer.alloc(0);
      this.#kept = [];
      this.#keptBytes = 0;
      this.#step = this.#parser.next(taken).value;
      // Nothing to wait for: an empty payload.
    } while ('skip' in this.#step && this.#step.skip === 0);
  }

  *#parse(): Generator<Step, never, Buffer> {
    for (;;) {
      this.#isBetweenChunks = true;
      const first: Buffer = yield { take: 1 };
      this.#isBetweenChunks = false;
      const header: Buffer = Buffer.concat([first, yield { take: 13 }]);
      if (!header.subarray(0, 8).equals(magic)) throw this.#wrong(`begins with ${header.toString('hex', 0, 8)}`);
      const type = String.fromCharCode(header[9] ?? 0);
      const path = yield* this.#parsePath(header.readUInt32LE(10));
      if (type === 'P') yield* this.#parsePayload(path, 0);
      else if (type === 'E') this.#close(path);
      else if (type === 'S' && this.#dialect === 'percona') yield* this.#parseSparse(path);
      else if (type === 'S') yield { take: 8 };
      else if (type === 'R' && this.#dialect === 'mariadb') {
        const length: Buffer = yield { take: 4 };
        yield* this.#parsePath(length.readUInt32LE(0));
      } else if (type !== 'D' || this.#dialect !== 'mariadb') {
        throw this.#wrong(`has the type 0x${(header[9] ?? 0).toString(16)}, which this version of baton does not know`);
      }
    }
  }

  *#parsePath(length: number): Generator<Step, string, Buffer> {
    if (length === 0 || length > limits.streamPathBytesMax) {
      const message = `a path of ${length} bytes in the backup's stream, and 1 to ${limits.streamPathBytesMax} are allowed`;
      throw new BatonError('LIMIT', message);
    }
    const bytes: Buffer = yield { take: length };
    const names = bytes.toString('latin1').replace(/^\.\//, '').split('/');
    if (bytes.includes(0) || names.some((name) => name === '' || name === '.' || name === '..')) {
      throw new BatonError(
        'NOT_TRUSTED',
        `the backup's stream has a path that leaves its directory: ${printable(bytes)}`,
      );
    }
    return printable(bytes);
  }

  *#parseSparse(path: string): Generator<Step, void, Buffer> {
    const count: Buffer = yield { take: 4 };
    yield* this.#parsePayload(path, count.readUInt32LE(0));
  }

  *#parsePayload(path: string, sparseEntries: number): Generator<Step, void, Buffer> {
    const fields: Buffer = yield { take: 20 };
    const bytes = fields.readBigUInt64LE(0);
    if (bytes > limits.chunkBytesMax || sparseEntries > limits.sparseEntriesMax) {
      throw new BatonError('LIMIT', `a chunk of ${path} has ${bytes} bytes and ${sparseEntries} holes`);
    }
    if (!this.#openFiles.has(path) && this.#openFiles.size >= limits.openFilesMax) {
      throw new BatonError('LIMIT', `more than ${limits.openFilesMax} files of the backup's stream are open at a time`);
    }
    this.#openFiles.add(path);
    this.#contentBytes += Number(bytes);
    this.#onPart({ path, offset: Number(fields.readBigUInt64LE(8)), bytes: Number(bytes) });
    yield { skip: sparseEntries * 8 + Number(bytes) };
  }

  #close(path: string): void {
    this.#openFiles.delete(path);
    this.#files += 1;
    if (infoNames.has(path)) this.#hasInfo = true;
  }

  #wrong(what: string): BatonError {
    return new BatonError('PROTOCOL', `the backup's stream is damaged: the chunk that ends at ${this.#offset} ${what}`);
  }
}
