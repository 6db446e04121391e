import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, rm, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { BatonError } from '@batondb/core/errors';
import { toBatonError } from '@batondb/core/files/system-error';
import { cutChanges, type UnfinishedChange } from './change-block.ts';
import { streamLimits } from './stream-limits.ts';

// Transactions that the server streams before they commit. Small ones stay in memory, the others go to a file each, which has no name any more: nothing is
// left of it when the process dies.

type Transaction = {
  file: FileHandle | undefined;
  fileBytes: number;
  /** What is not in the file. */
  pending: Buffer[];
  pendingBytes: number;
  readonly aborted: Set<number>;
};

export class UnfinishedTransactions implements AsyncDisposable {
  readonly #directory: string;
  readonly #byXid = new Map<number, Transaction>();
  #pendingBytes = 0;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /** Makes the directory, and removes what an earlier process may have left in it. */
  static async open(directory: string): Promise<UnfinishedTransactions> {
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      const names = await readdir(directory);
      for (const name of names.filter((each) => each.endsWith('.unfinished')))
        await rm(join(directory, name), { force: true });
    } catch (error) {
      throw toBatonError(error, { path: directory });
    }
    return new UnfinishedTransactions(directory);
  }

  /** Blocks of a {@link ChangeBlockWriter}. Has to be awaited when it returns a promise. Throws NO_SPACE, retryable: somebody may make room. */
  add(xid: number, block: Buffer): Promise<void> | undefined {
    const transaction = this.#of(xid);
    transaction.pending.push(block);
    transaction.pendingBytes += block.length;
    this.#pendingBytes += block.length;
    const isLarge = transaction.pendingBytes > streamLimits.unfinishedBytesMax;
    return isLarge || this.#pendingBytes > streamLimits.allUnfinishedBytesMax ? this.#spill(transaction) : undefined;
  }

  /** The changes of a subtransaction do not count; the server sends again what others need of them. All of it when both are the same. */
  async abort(xid: number, subtransaction: number): Promise<void> {
    if (xid === subtransaction) await this.#forget(xid);
    else this.#of(xid).aborted.add(subtransaction);
  }

  /** The changes of a transaction in their order, once. It is forgotten afterwards. Memory is bounded. */
  async *take(xid: number): AsyncGenerator<readonly UnfinishedChange[]> {
    const transaction = this.#of(xid);
    try {
      if (transaction.file !== undefined)
        yield* readChanges(transaction.file, transaction.fileBytes, transaction.aborted);
      for (const block of transaction.pending) yield cutChanges(block, transaction.aborted).changes;
    } finally {
      await this.#forget(xid);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const xid of [...this.#byXid.keys()]) await this.#forget(xid);
  }

  #of(xid: number): Transaction {
    const known = this.#byXid.get(xid);
    if (known !== undefined) return known;
    const made: Transaction = { file: undefined, fileBytes: 0, pending: [], pendingBytes: 0, aborted: new Set() };
    this.#byXid.set(xid, made);
    return made;
  }

  async #forget(xid: number): Promise<void> {
    const transaction = this.#byXid.get(xid);
    this.#byXid.delete(xid);
    this.#pendingBytes -= transaction?.pendingBytes ?? 0;
    await transaction?.file?.close();
  }

  async #spill(transaction: Transaction): Promise<void> {
    try {
      transaction.file ??= await this.#makeFile();
      for (const block of transaction.pending) {
        for (let at = 0; at < block.length; ) {
          const { bytesWritten } = await transaction.file.write(block, at, block.length - at, transaction.fileBytes);
          at += bytesWritten;
          transaction.fileBytes += bytesWritten;
        }
      }
    } catch (error) {
      throw explain(error, this.#directory);
    }
    this.#pendingBytes -= transaction.pendingBytes;
    transaction.pending = [];
    transaction.pendingBytes = 0;
  }

  async #makeFile(): Promise<FileHandle> {
    const path = join(this.#directory, `${randomUUID()}.unfinished`);
    const file = await open(path, 'wx+', 0o600);
    await unlink(path);
    return file;
  }
}

async function* readChanges(
  file: FileHandle,
  fileBytes: number,
  aborted: ReadonlySet<number>,
): AsyncGenerator<readonly UnfinishedChange[]> {
  let rest: Buffer = Buffer.alloc(0);
  for (let at = 0; at < fileBytes; ) {
    const wanted = Math.min(streamLimits.spillBlockBytes, fileBytes - at);
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(wanted), 0, wanted, at);
    if (bytesRead === 0)
      throw new BatonError('SYSTEM', `${fileBytes - at} bytes are missing in a file of unfinished transactions`);
    at += bytesRead;
    const bytes =
      rest.length === 0 ? buffer.subarray(0, bytesRead) : Buffer.concat([rest, buffer.subarray(0, bytesRead)]);
    const { changes, used } = cutChanges(bytes, aborted);
    rest = bytes.subarray(used);
    yield changes;
  }
}

function explain(error: unknown, directory: string): BatonError {
  const found = toBatonError(error, { path: directory });
  if (found.code !== 'NO_SPACE') return found;
  return new BatonError('NO_SPACE', `${directory}: no space is left for transactions that are not committed yet`, {
    retryable: true,
    hint: 'make room there, or name another directory for them; nothing is lost meanwhile',
    cause: error,
  });
}
