import { BatonError } from '@batondb/core/errors';
import type { StagedTree } from '@batondb/core/transfer/staged-tree';
import { Staging, stagedTreeName } from '@batondb/core/transfer/staging';
import { streamContent } from '@batondb/core/transfer/stream-content';
import { WorkerPool } from '@batondb/core/transfer/worker-pool';
import { openIncoming } from './incoming.ts';
import type { JoinerSession } from './joiner-session.ts';
import { wireLimits } from './limits.ts';

/** How a stream is received. */
export type ReceiveStreamOptions = {
  /** An existing directory. The spool lies in it, and goes with the stream. */
  readonly directory: string;
  /** Threads that check and write. Default: 2. */
  readonly workers?: number;
  /** Told of bytes received, twice a second. */
  readonly onProgress?: (bytes: number) => void;
};

const progressMs = 500;

/**
 * The content of the stream that the donor sends, in order and while it comes: verified unit by unit, from a spool that is freed
 * behind. A chunk is good until the next one is asked for. It ends only when the donor has said that the stream was good to its end; whoever
 * stops earlier says by `session.fail` why. Throws NO_SPACE and the like, what the session or `signal` ends with.
 */
export async function* receiveStream(
  session: JoinerSession,
  { directory, workers = 2, onProgress }: ReceiveStreamOptions,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  const transfer = await session.nextTransfer('stream', signal);
  await using pool = new WorkerPool(workers);
  const job = { source: 'galera', name: Buffer.from('stream') };
  using staging = await Staging.open(Buffer.from(directory), job, pool);
  const { receiver, tree: opening, failed } = openIncoming(session, transfer, { staging, pool }, signal);
  // Until the session ends: the donor may have missed that all is here.
  session.serve(transfer.transfer, receiver);
  const ended = new AbortController();
  try {
    const tree = await Promise.race([opening, failed]);
    failed.catch((error: Error) => ended.abort(error));
    using reader = new SpoolReader(session, transfer.transfer, tree, onProgress);
    for await (const chunk of streamContent(tree, stagedPath(staging), ended.signal)) {
      yield chunk;
      await reader.consumed();
    }
  } catch (error) {
    session.fail(error);
    throw error;
  } finally {
    ended.abort(new BatonError('INTERRUPTED', 'the stream was given up'));
    await staging.remove(pool).catch(() => undefined);
  }
}

/** Says how much of a stream is safe, and frees the spool behind its reader. */
class SpoolReader implements Disposable {
  readonly #session: JoinerSession;
  readonly #transfer: number;
  readonly #tree: StagedTree;
  readonly #timers: readonly NodeJS.Timeout[];
  #consumed = 0;
  #said = 0;

  constructor(
    session: JoinerSession,
    transfer: number,
    tree: StagedTree,
    onProgress: ReceiveStreamOptions['onProgress'],
  ) {
    this.#session = session;
    this.#transfer = transfer;
    this.#tree = tree;
    const progress = setInterval(() => onProgress?.(tree.have.count * tree.layout.unitBytes(0)), progressMs);
    this.#timers = [setInterval(() => this.#say(), wireLimits.heldMs), progress];
  }

  /** A unit more has been read by the one who asked for it. */
  async consumed(): Promise<void> {
    this.#consumed += 1;
    if (this.#consumed - this.#tree.oldest >= wireLimits.freedUnitsMin) await this.#tree.forget(this.#consumed);
  }

  [Symbol.dispose](): void {
    for (const timer of this.#timers) clearInterval(timer);
  }

  /** What the spool has no room for stays with the donor, which waits then. */
  #say(): void {
    const units = Math.min(this.#tree.have.prefix, this.#consumed + wireLimits.spoolUnitsMax);
    // Again when nothing is new, too: the word may have been lost with a connection.
    if (units > 0 && (units !== this.#said || !this.#tree.have.isFull)) this.#session.sayHeld(this.#transfer, units);
    this.#said = units;
  }
}

function stagedPath(staging: Staging): string {
  return `/proc/self/fd/${staging.descriptor}/${Buffer.from(stagedTreeName).toString()}`;
}
