import { mkdirSync, rmSync } from 'node:fs';
import { BatonError } from '@batondb/core/errors';
import { offerTree, readOffer, takeOffer } from '@batondb/core/transfer/offering';
import { WorkerPool } from '@batondb/core/transfer/worker-pool';
import type { Connection } from '@batondb/core/transport/transport';
import { nodeFileLayer } from '../log/file-layer.ts';
import { Paths } from '../machine/paths.ts';
import { formatPosition, type Position, parsePosition } from '../machine/position.ts';
import type { StateRecord } from '../machine/state-record.ts';
import { withCheckThread } from '../node/node-thread.ts';
import type { SnapshotDesk } from './desk.ts';
import { installReceived } from './swap.ts';

// A snapshot's way from a node to one that joins: core's transfer over one connection (docs/protocol/data.md).

/** Version of what an offer says of a snapshot, and of the files in it. */
const format = 1;
/** Units that are read ahead of the network: two keep the snapshot's thread busy. */
const readsMax = 2;
/** A joiner has nothing else to do, and a machine has at least two processors. */
const receivingThreads = 2;

/** What is offered. */
export type SnapshotOffer = { readonly logId: string; readonly position: Position };

/**
 * Sends a snapshot to who joins, and resolves to its position when that has all of it. Throws CONNECTION_LOST, HISTORY_LOST when the snapshot
 * had to be given up, and what the other side refuses with.
 */
export async function sendSnapshot(desk: SnapshotDesk, connection: Connection, signal: AbortSignal): Promise<Position> {
  using lent = await desk.lend();
  const { snapshot } = lent;
  const { logId, position } = snapshot.record;
  const about = Buffer.from(JSON.stringify({ format, logId, position: formatPosition(position) }));
  try {
    const offer = { supply: snapshot.supply, about, compression: { mode: 'auto' }, readsMax } as const;
    await offerTree(connection, offer, signal);
  } catch (error) {
    if (error instanceof BatonError && error.code === 'HISTORY_LOST') await desk.forget(snapshot);
    throw error;
  }
  return position;
}

/** How a snapshot is received. */
export type ReceiveOptions = {
  /** Throws what speaks against taking what is offered: another log's, say. */
  readonly accept?: (offer: SnapshotOffer) => void;
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
};

/**
 * Receives a snapshot into a node's directory, beside what is there, and compares all of it with its checksums. It changes nothing else:
 * `installSnapshot` does. What a broken connection has left is gone on with by the next call. Throws CONNECTION_LOST, NO_SPACE,
 * DIGEST_MISMATCH, VERSION_MISMATCH.
 */
export async function receiveSnapshot(
  connection: Connection,
  directory: string,
  options: ReceiveOptions,
  signal: AbortSignal,
): Promise<StateRecord> {
  const paths = new Paths(directory);
  mkdirSync(paths.own, { recursive: true, mode: 0o700 });
  const offer = await readOffer(connection, signal);
  options.accept?.(readAbout(offer.about));
  rmSync(paths.received, { recursive: true, force: true });
  await using pool = new WorkerPool(receivingThreads);
  const place = {
    directory: Buffer.from(paths.own),
    name: Buffer.from('received'),
    source: 'snapshot',
    pool,
    onProgress: options.onProgress ?? (() => undefined),
  };
  await takeOffer(connection, offer, place, signal);
  return await checkReceived(paths, signal);
}

/** Compares `.baton/received` with its record. What is not good is removed, so that nobody takes it for something. */
async function checkReceived(paths: Paths, signal: AbortSignal): Promise<StateRecord> {
  try {
    return await withCheckThread(signal, (thread) =>
      thread.call('check', { directory: paths.received, withEngine: false }),
    );
  } catch (error) {
    rmSync(paths.received, { recursive: true, force: true });
    throw error;
  }
}

/**
 * Puts a received snapshot in place of what the directory holds, which is kept in `.baton/old-TIME`. No node has the directory open, and
 * the caller holds its lock. A crash in between is finished by the next start.
 */
export function installSnapshot(directory: string, record: StateRecord): void {
  installReceived(nodeFileLayer, new Paths(directory), record);
}

function readAbout(about: Uint8Array): SnapshotOffer {
  const said = JSON.parse(Buffer.from(about).toString('utf8')) as {
    readonly format: number;
    readonly logId: string;
    readonly position: string;
  };
  if (said.format !== format) {
    throw new BatonError(
      'VERSION_MISMATCH',
      `a snapshot of format ${said.format} is offered, and this release reads ${format}`,
      {
        hint: 'run the same release on both sides',
      },
    );
  }
  return { logId: said.logId, position: parsePosition(said.position) };
}
