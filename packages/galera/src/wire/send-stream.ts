import { BatonError } from '@batondb/core/errors';
import { treeDigest } from '@batondb/core/protocol/tree-digest';
import { Layout } from '@batondb/core/transfer/layout';
import { streamManifest } from '@batondb/core/transfer/stream-manifest';
import { StreamSupply } from '@batondb/core/transfer/stream-supply';
import { WorkerPool } from '@batondb/core/transfer/worker-pool';
import type { DonorSession } from './donor-session.ts';
import { feed, type SendOptions, sendDefaults } from './hop.ts';

/** What is sent, read once. */
export type StreamSource = {
  /** Its chunks are ours: their memory is freed. */
  readonly content: AsyncIterable<Uint8Array>;
  /** Resolves when all that made the content has ended well; until then the joiner takes nothing for complete. */
  readonly finished: () => Promise<void>;
};

export type SentStream = { readonly bytes: number };

export type StreamProgress = {
  /** Told ten times a second at most of bytes read from the content, and whether it waits for the joiner. */
  readonly onProgress?: (bytes: number, isWaiting: boolean) => void;
};

const progressMs = 500;

/**
 * Sends a stream, and resolves when the joiner has all of it. Of it are kept `limits.streamWindowUnits` units, for a connection that
 * breaks. When it rejects the caller ends what makes the content. Throws what `content` and `finished` throw, what the joiner refuses
 * with, or what the session or `signal` ends with.
 */
export async function sendStream(
  session: DonorSession,
  source: StreamSource,
  options: SendOptions & StreamProgress,
  signal: AbortSignal,
): Promise<SentStream> {
  const { compression = sendDefaults.compression, workers = sendDefaults.workers, onProgress } = options;
  await using pool = new WorkerPool(workers);
  const manifest = streamManifest(Buffer.from('stream'));
  using supply = new StreamSupply(pool, manifest, Layout.of(manifest));
  const manifestBytes = manifest.sections.reduce((bytes, { byteLength }) => bytes + byteLength, 0);
  const transfer = session.announce({ kind: 'stream', manifestDigest: manifest.digest, manifestBytes });
  using _held = session.onHeld(transfer, (units) => supply.release(units));
  const timer = setInterval(() => onProgress?.(supply.contentBytes, supply.isWaiting), progressMs);
  const ended = new AbortController();
  const either = AbortSignal.any([signal, session.signal, ended.signal]);
  try {
    const produced = produce(supply, source, compression, either);
    const fed = feed(session, transfer, supply, options, either);
    // The first to fail decides. The other one ends by the signal.
    const [, theirs] = await Promise.all([produced, fed]);
    const ours = treeDigest(manifest.digest, supply.known.allDigests(), supply.known.allChanges());
    if (Buffer.compare(ours, theirs) !== 0) {
      throw new BatonError('DIGEST_MISMATCH', 'what the joiner has received is not the stream that was sent');
    }
    return { bytes: supply.contentBytes };
  } finally {
    clearInterval(timer);
    ended.abort(new BatonError('INTERRUPTED', 'the stream was given up'));
  }
}

async function produce(
  supply: StreamSupply,
  { content, finished }: StreamSource,
  compression: NonNullable<SendOptions['compression']>,
  signal: AbortSignal,
): Promise<void> {
  await supply.send(content, compression, signal);
  await finished();
  signal.throwIfAborted();
  supply.end();
}
