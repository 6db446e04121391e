import { BatonError } from '@batondb/core/errors';
import { StreamWindow } from '@batondb/core/transfer/stream-window';
import { WorkerPool } from '@batondb/core/transfer/worker-pool';
import { openIncoming } from './incoming.ts';
import type { JoinerSession } from './joiner-session.ts';
import { wireLimits } from './limits.ts';

/** How a stream is received. */
export type ReceiveStreamOptions = {
  /** Threads that check and decompress. Default: 2. */
  readonly workers?: number;
  /** Told twice a second of bytes received. */
  readonly onProgress?: (bytes: number) => void;
};

const progressMs = 500;

/**
 * The content of the stream that the donor sends, in order and while it comes, verified unit by unit. A chunk is good until the next one is
 * asked for. It ends only when the donor has said that the stream was good to its end; whoever stops earlier says by `session.fail` why.
 * Of the stream, at most `limits.streamWindowUnits` units are in memory, and none is on a disk: what a joiner that was killed had of it
 * would be of no use. Throws what the session or `signal` ends with.
 */
export async function* receiveStream(
  session: JoinerSession,
  { workers = 2, onProgress }: ReceiveStreamOptions,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  const transfer = await session.nextTransfer('stream', signal);
  const ended = new AbortController();
  try {
    await using pool = new WorkerPool(workers);
    const open = async (...of: OpenWindow): Promise<StreamWindow> => new StreamWindow(pool, ...of);
    const { receiver, sink, failed } = openIncoming(session, transfer, { pool, open }, signal);
    // Until the session ends: the donor may have missed that all is here.
    session.serve(transfer.transfer, receiver);
    using window = await Promise.race([sink, failed]);
    failed.catch((error: Error) => ended.abort(error));
    using _said = sayTaken(session, transfer.transfer, window, onProgress);
    yield* window.content(ended.signal);
  } catch (error) {
    session.fail(error);
    throw error;
  } finally {
    ended.abort(new BatonError('INTERRUPTED', 'the stream was given up'));
  }
}

type OpenWindow = ConstructorParameters<typeof StreamWindow> extends [WorkerPool, ...infer Rest] ? Rest : never;

/** Says again and again how much the donor may forget: the word may have been lost with a connection. */
function sayTaken(
  session: JoinerSession,
  transfer: number,
  window: StreamWindow,
  onProgress: ReceiveStreamOptions['onProgress'],
): Disposable {
  const held = setInterval(() => session.sayHeld(transfer, window.taken), wireLimits.heldMs);
  const progress = setInterval(() => onProgress?.(window.receivedBytes), progressMs);
  return {
    [Symbol.dispose]() {
      clearInterval(held);
      clearInterval(progress);
    },
  };
}
