import { BatonError } from '@batondb/core/errors';
import { entryPath } from '@batondb/core/files/directories';
import type { Manifest } from '@batondb/core/protocol/manifest';
import { treeDigest } from '@batondb/core/protocol/tree-digest';
import type { Layout } from '@batondb/core/transfer/layout';
import { prepareStaging } from '@batondb/core/transfer/resume';
import { StagedTree } from '@batondb/core/transfer/staged-tree';
import { Staging } from '@batondb/core/transfer/staging';
import { WorkerPool } from '@batondb/core/transfer/worker-pool';
import { openIncoming } from './incoming.ts';
import type { JoinerSession } from './joiner-session.ts';

/** Where a tree goes. */
export type ReceiveTreeOptions = {
  /** An existing directory. */
  readonly directory: string;
  /** What the tree is called in it; the name has to be free. */
  readonly name: string;
  /** Threads that check and write. Default: 2. */
  readonly workers?: number;
  /** Told twice a second of bytes that are here, out of all. */
  readonly onProgress?: (bytes: number, totalBytes: number) => void;
};

export type ReceivedTree = { readonly files: number; readonly bytes: number };

const progressMs = 500;

/**
 * Receives a tree into `directory`/`name`. When it resolves, all of it is verified, has its metadata, is synced, and only then got its
 * name. Throws EXISTS, NO_SPACE, SOURCE_CHANGED (the donor noticed a change), what the session or `signal` ends with; then nothing has
 * the name.
 */
export async function receiveTree(
  session: JoinerSession,
  { directory, name, workers = 2, onProgress }: ReceiveTreeOptions,
  signal: AbortSignal,
): Promise<ReceivedTree> {
  const transfer = await session.nextTransfer('tree', signal);
  await using pool = new WorkerPool(workers);
  const job = { source: 'galera', name: Buffer.from(name) };
  using staging = await Staging.open(Buffer.from(directory), job, pool);
  try {
    await staging.checkName(pool);
    const open = (manifest: Manifest, layout: Layout): Promise<StagedTree> =>
      openStaged(staging, pool, manifest, layout);
    const { receiver, sink, failed } = openIncoming(session, transfer, { pool, open }, signal);
    // Until the session ends: the donor may have missed that all is here.
    session.serve(transfer.transfer, receiver);
    const tree = await Promise.race([sink, failed]);
    let bytes = 0;
    using _watch = tree.watch((unit) => void (bytes += tree.layout.unitBytes(unit)));
    const timer = setInterval(() => onProgress?.(bytes, tree.layout.contentBytes), progressMs);
    await Promise.race([tree.full, failed]).finally(() => clearInterval(timer));
    checkWhole(tree);
    await publish(tree, staging, pool);
    return { files: tree.layout.fileCount, bytes: tree.layout.contentBytes };
  } catch (error) {
    session.fail(error);
    await staging.remove(pool).catch(() => undefined);
    throw error;
  }
}

async function openStaged(staging: Staging, pool: WorkerPool, manifest: Manifest, layout: Layout): Promise<StagedTree> {
  const nobody = { onDamaged: () => undefined, onChecked: () => undefined };
  const { have } = await prepareStaging({ pool, staging, manifest, layout, ...nobody });
  return new StagedTree(pool, staging, { manifest, layout, have });
}

async function publish(tree: StagedTree, staging: Staging, pool: WorkerPool): Promise<void> {
  await pool.runOnAll({ kind: 'close' });
  await pool.run({ kind: 'finish', applyAllFiles: true, omit: [] });
  await pool.run({ kind: 'sync', descriptor: staging.descriptor, scope: 'file-system' });
  await staging.publish(treeDigest(tree.manifest.digest, tree.have.allDigests(), tree.have.allChanges()), pool);
  await staging.replaceByNote(pool);
  staging.conclude();
}

/** A file that changed at the donor is a mixture here. */
function checkWhole({ have, layout, manifest }: StagedTree): void {
  const [changed] = have.allChanges();
  if (changed === undefined) return;
  const piece = layout.pieces(changed.unit)[changed.changes[0]?.piece ?? 0];
  throw new BatonError(
    'SOURCE_CHANGED',
    `${entryPath(manifest, piece?.entry ?? 0)} changed at the donor while it was sent`,
    { hint: 'find out which program writes there while tables are flushed, or use method=backup' },
  );
}
