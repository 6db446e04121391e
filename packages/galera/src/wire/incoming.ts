import { BatonError } from '@batondb/core/errors';
import { Manifest } from '@batondb/core/protocol/manifest';
import { treeDigest } from '@batondb/core/protocol/tree-digest';
import { dataVersions } from '@batondb/core/protocol/versions';
import { Layout } from '@batondb/core/transfer/layout';
import { Receiver, type UnitSink } from '@batondb/core/transfer/receiver';
import type { WorkerPool } from '@batondb/core/transfer/worker-pool';
import { members, onlyEpoch } from './hop.ts';
import type { JoinerSession } from './joiner-session.ts';
import type { Transfer } from './messages.ts';
import { jobIdOf } from './proof.ts';

/** Where what comes is put. */
export type Sink<T extends UnitSink> = {
  readonly pool: WorkerPool;
  readonly open: (manifest: Manifest, layout: Layout) => Promise<T>;
};

/** A transfer on its way in. */
export type Incoming<T extends UnitSink> = {
  readonly receiver: Receiver<T>;
  /** What is there of it; once the donor has sent its manifest. */
  readonly sink: Promise<T>;
  /** Rejects with what ends it for good: a full disk, the session's or the signal's end. */
  readonly failed: Promise<never>;
};

/** Makes a transfer ready to be received; the session's `serve` hands it its connections. */
export function openIncoming<T extends UnitSink & { readonly manifest: Manifest }>(
  session: JoinerSession,
  { transfer, kind, manifestDigest, manifestBytes }: Transfer,
  { pool, open }: Sink<T>,
  signal: AbortSignal,
): Incoming<T> {
  const failed = Promise.withResolvers<never>();
  // Nobody may be listening yet.
  failed.promise.catch(() => undefined);
  const either = AbortSignal.any([signal, session.signal]);
  if (either.aborted) failed.reject(either.reason as Error);
  either.addEventListener('abort', () => failed.reject(either.reason as Error), { once: true });
  const prepare = async (sections: readonly Uint8Array[]): Promise<T> => {
    const checked = await pool.run({ kind: 'manifest', sections, digest: manifestDigest });
    const manifest = Manifest.fromShare(checked.manifest);
    const layout = Layout.fromShare(checked.layout);
    if (layout.isStream !== (kind === 'stream')) throw notOfKind(kind);
    return await open(manifest, layout);
  };
  const { secret, donor, joiner } = session.ids;
  const receiver = new Receiver({
    expectation: () => ({
      jobId: jobIdOf(secret, transfer),
      to: members.joiner,
      members: [joiner, donor],
      epoch: onlyEpoch,
      versions: dataVersions,
    }),
    manifestDigest,
    manifestBytesMax: manifestBytes,
    prepare,
    complete: (sink) => Promise.resolve(digestOf(sink)),
    onFailure: (error) => failed.reject(error),
    writesMax: pool.size * 2,
  });
  return { receiver, sink: receiver.tree, failed: failed.promise };
}

function digestOf({ manifest, have }: UnitSink & { readonly manifest: Manifest }): Uint8Array {
  return treeDigest(manifest.digest, have.allDigests(), have.allChanges());
}

function notOfKind(kind: Transfer['kind']): BatonError {
  return new BatonError('PROTOCOL', `the donor announced a ${kind}, and its manifest speaks of something else`);
}
