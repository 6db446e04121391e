import { randomBytes } from 'node:crypto';
import { BatonError } from '../errors.ts';
import { printable } from '../files/names.ts';
import { encodeFrame, frameTypes } from '../protocol/frame.ts';
import { bindingBytes, jobIdBytes } from '../protocol/hello.ts';
import { Manifest } from '../protocol/manifest.ts';
import { decodeOffer, encodeOffer, type Offer } from '../protocol/offer.ts';
import { treeDigest } from '../protocol/tree-digest.ts';
import { dataVersions } from '../protocol/versions.ts';
import type { Peer } from '../transport/socket-connection.ts';
import type { Connection } from '../transport/transport.ts';
import { sendToHop } from './hop-sender.ts';
import type { UnitCompression } from './jobs.ts';
import { Layout } from './layout.ts';
import { Receiver } from './receiver.ts';
import { prepareStaging } from './resume.ts';
import { StagedTree } from './staged-tree.ts';
import { Staging } from './staging.ts';
import type { UnitSupply } from './supply.ts';
import type { WorkerPool } from './worker-pool.ts';

// One tree over one connection, between two nodes without a coordinator: one offers, the other takes. A connection that breaks costs
// nothing but another one: who takes has what it received.

/** Of the two, the one who offers. */
const offering = 0;
const taking = 1;
/** There is one route, and it is never changed. */
const onlyEpoch = 1;

/** The other end of a socket whose owner has shown already that it may speak, over that very socket: by a token, say. */
export function trustedPeer(name: string): Peer {
  return { fingerprint: '0'.repeat(64), binding: new Uint8Array(bindingBytes), name };
}

/** How a tree is offered. */
export type Offering = {
  readonly supply: UnitSupply;
  readonly about: Uint8Array;
  readonly compression: UnitCompression;
  /** Units read ahead. */
  readonly readsMax: number;
};

/** Offers a tree and sends what the other side lacks of it. Resolves when it has all. Throws as sendToHop does. */
export async function offerTree(connection: Connection, offer: Offering, signal: AbortSignal): Promise<void> {
  const { supply, about, compression, readsMax } = offer;
  const jobId = new Uint8Array(randomBytes(jobIdBytes));
  const { digest: manifestDigest, sections } = supply.manifest;
  const manifestBytes = sections.reduce((sum, { byteLength }) => sum + byteLength, 0);
  await connection.write(
    ...encodeFrame(frameTypes.offer, encodeOffer({ jobId, manifestDigest, manifestBytes, about })),
  );
  const hello = { version: dataVersions.max, jobId, from: offering, to: taking, epoch: onlyEpoch };
  const connect = (): Promise<Connection> => Promise.resolve(connection);
  await sendToHop(supply, { hello, streams: 1, compression, rateLimit: undefined, readsMax, connect }, signal);
}

/** Reads what is offered. Throws PROTOCOL, CONNECTION_LOST. */
export async function readOffer(connection: Connection, signal: AbortSignal): Promise<Offer> {
  const frame = await connection.readFrame(signal);
  if (frame?.type === frameTypes.offer) return decodeOffer(frame.payload);
  if (frame !== undefined)
    throw new BatonError('PROTOCOL', `a frame of type ${frame.type} arrived where OFFER was due`);
  throw new BatonError('CONNECTION_LOST', 'the peer closed the connection before it offered anything', {
    retryable: true,
  });
}

/** Where a tree is put that was offered. */
export type Taking = {
  /** An existing directory, in which it gets its name when it is whole. */
  readonly directory: Uint8Array;
  readonly name: Uint8Array;
  /** What of an earlier, broken transfer under the same words is still the same is not sent again. */
  readonly source: string;
  readonly pool: WorkerPool;
  /** Told of bytes that are there, out of all. */
  readonly onProgress: (doneBytes: number, totalBytes: number) => void;
};

/**
 * Takes what was offered: every unit is compared with its digest, and all of it is synced before it gets its name. Throws EXISTS when
 * something has that name; CONNECTION_LOST, after which another attempt goes on; NO_SPACE.
 */
export async function takeOffer(
  connection: Connection,
  offer: Offer,
  place: Taking,
  signal: AbortSignal,
): Promise<void> {
  const { directory, name, source, pool } = place;
  using staging = await Staging.open(directory, { source, name }, pool);
  await staging.checkName(pool);
  const tree = await receive(connection, offer, { ...place, staging }, signal);
  await pool.runOnAll({ kind: 'close' });
  await pool.run({ kind: 'finish', applyAllFiles: true, omit: [] });
  await pool.run({ kind: 'sync', descriptor: staging.descriptor, scope: 'file-system' });
  await staging.publish(digestOf(tree), pool);
  await staging.replaceByNote(pool);
  staging.conclude();
}

async function receive(
  connection: Connection,
  { jobId, manifestDigest, manifestBytes }: Offer,
  { pool, staging, directory, onProgress }: Taking & { readonly staging: Staging },
  signal: AbortSignal,
): Promise<StagedTree> {
  const prepare = async (sections: readonly Uint8Array[]): Promise<StagedTree> => {
    const manifest = Manifest.fromSections(sections, manifestDigest);
    const layout = Layout.of(manifest);
    const context = { pool, staging, manifest, layout, onDamaged: () => undefined, onChecked: () => undefined };
    const { have, report } = await prepareStaging(context);
    let doneBytes = report.keptBytes;
    const tree = new StagedTree(pool, staging, { manifest, layout, have });
    tree.watch((unit) => {
      doneBytes += layout.unitBytes(unit);
      onProgress(doneBytes, layout.contentBytes);
    });
    return tree;
  };
  const failed = Promise.withResolvers<never>();
  const receiver = new Receiver({
    expectation: () => ({
      jobId,
      to: taking,
      members: [connection.peerFingerprint, ''],
      epoch: onlyEpoch,
      versions: dataVersions,
    }),
    manifestDigest,
    manifestBytesMax: manifestBytes,
    prepare,
    complete: (tree) => Promise.resolve(digestOf(tree)),
    onFailure: failed.reject,
    writesMax: pool.size * 2,
  });
  const ended = receiver.serve(connection, signal);
  const tree = await Promise.race([receiver.tree, failed.promise, ended.then(() => lost(directory, signal))]);
  await Promise.race([
    tree.full,
    failed.promise,
    ended.then(() => (tree.have.isFull ? undefined : lost(directory, signal))),
  ]);
  // The peer reads COMPLETE, and closes.
  await ended;
  if (tree.lostEntries().length > 0)
    throw new BatonError('SOURCE_CHANGED', 'the peer could not read all that it offered');
  return tree;
}

function digestOf(tree: StagedTree): Uint8Array {
  return treeDigest(tree.manifest.digest, tree.have.allDigests(), tree.have.allChanges());
}

function lost(directory: Uint8Array, signal: AbortSignal): never {
  signal.throwIfAborted();
  throw new BatonError('CONNECTION_LOST', `the connection ended before all was in ${printable(directory)}`, {
    retryable: true,
    hint: 'another attempt goes on from what is there',
  });
}
