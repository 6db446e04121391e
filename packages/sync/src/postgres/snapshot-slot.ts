import { BatonError } from '@batondb/core/errors';
import type pg from 'pg';
import { endClient, runSimple } from './connect.ts';
import { type Lsn, parseLsn } from './position.ts';
import type { SnapshotContext } from './snapshot-context.ts';

// A temporary slot: the one thing that gives a snapshot together with its place in the log.

const waitNoticeMs = 3000;
/** A cancellation that comes before the server has begun with the statement is lost. */
const cancelAgainMs = 500;

export type SlotPlace = {
  readonly slot: string;
  readonly systemId: string;
  readonly timeline: number;
  readonly lsn: Lsn;
  readonly snapshotName: string;
};

/** Made on a connection of replication, with which the slot goes; the snapshot lasts until its next command. Waits for all transactions that are open. */
export async function createTemporarySlot(
  context: SnapshotContext,
  client: pg.Client,
  signal: AbortSignal,
): Promise<SlotPlace> {
  signal.throwIfAborted();
  const { node } = context;
  const system = await runSimple(client, 'IDENTIFY_SYSTEM', node);
  const slotName = `baton_snapshot_${process.pid}_${Math.random().toString(36).slice(2, 10)}`;
  const sql = `CREATE_REPLICATION_SLOT ${slotName} TEMPORARY LOGICAL pgoutput EXPORT_SNAPSHOT`;
  await using _watch = await watchWait(context, client, signal);
  signal.throwIfAborted();
  const slot = await runSimple(client, sql, node).catch((error: unknown) => {
    throw signal.aborted ? signal.reason : error;
  });
  const [systemId, timeline] = system.rows[0] ?? [];
  const [, consistentPoint, snapshotName] = slot.rows[0] ?? [];
  if (!systemId || !timeline || !consistentPoint || !snapshotName) {
    throw new BatonError('PROTOCOL', `${node}: a temporary slot was made, but no snapshot was exported`);
  }
  return { slot: slotName, systemId, timeline: Number(timeline), lsn: parseLsn(consistentPoint), snapshotName };
}

const openTransactionsSql = `
SELECT owner.name, owner.since::pg_catalog.text, pg_catalog.count(*) OVER ()::pg_catalog.text
FROM (
  SELECT 'process ' || lock.pid || coalesce(' of ' || activity.usename, '') || coalesce(' (' || nullif(activity.application_name, '') || ')', '') AS name,
    activity.xact_start AS since
  FROM pg_catalog.pg_locks AS lock
  LEFT JOIN pg_catalog.pg_stat_activity AS activity ON activity.pid = lock.pid
  WHERE lock.locktype = 'transactionid' AND lock.mode = 'ExclusiveLock' AND lock.granted AND lock.pid IS NOT NULL
  UNION ALL
  SELECT 'the prepared transaction ' || gid, prepared FROM pg_catalog.pg_prepared_xacts
) AS owner
ORDER BY owner.since NULLS LAST
LIMIT 1`;

/** Says what the slot waits for, and cancels it when the signal says so: a server that waits does not notice that its client has gone. */
async function watchWait(context: SnapshotContext, waiting: pg.Client, signal: AbortSignal): Promise<AsyncDisposable> {
  const watcher = await context.connect();
  const waitingPid = (waiting as unknown as { processID: number }).processID;
  const tell = async (): Promise<void> => {
    const { rows } = await runSimple(watcher, openTransactionsSql, context.node);
    if (rows[0] === undefined) return;
    const [name, since, count] = rows[0];
    const sinceText = since === null ? '' : `, since ${since}`;
    const othersText = Number(count) > 1 ? `, and ${Number(count) - 1} more` : '';
    context.onWait(`${context.node}: a snapshot waits for open transactions: ${name}${sinceText}${othersText}`);
  };
  // Whether it could be said changes nothing; the slot's own connection tells of a broken server.
  const timer = setInterval(() => void tell().catch(() => undefined), waitNoticeMs);
  const cancel = () => {
    runSimple(watcher, `SELECT pg_catalog.pg_cancel_backend(${waitingPid})`, context.node).catch(() => undefined);
  };
  let cancelling: NodeJS.Timeout | undefined;
  const onAbort = (): void => {
    cancel();
    cancelling = setInterval(cancel, cancelAgainMs);
  };
  signal.addEventListener('abort', onAbort);
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      clearInterval(cancelling);
      signal.removeEventListener('abort', onAbort);
      await endClient(watcher);
    },
  };
}
