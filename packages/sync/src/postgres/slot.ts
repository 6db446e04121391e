import { setTimeout as delay } from 'node:timers/promises';
import { BatonError } from '@batondb/core/errors';
import { formatBytes } from '@batondb/core/text/format';
import type pg from 'pg';
import { runQuery } from './connect.ts';
import { isSqlState } from './failures.ts';
import { type Lsn, parseLsn } from './position.ts';

// A logical replication slot as the server has it ("54.19. pg_replication_slots").

export type Slot = {
  readonly plugin: string;
  readonly database: string;
  readonly isTemporary: boolean;
  /** The process that reads it. */
  readonly activePid: number | undefined;
  /** `reserved`, `extended`, `unreserved` or `lost`. */
  readonly walStatus: string;
  /** The server sends nothing that commits before. */
  readonly confirmed: Lsn;
  /** The oldest log that it needs. */
  readonly restart: Lsn | undefined;
  /** How much more log may be written before it is lost. Undefined: no bound. */
  readonly safeBytes: number | undefined;
  readonly retainedBytes: number;
};

/** The slot of this name; undefined: there is none. `node` is a primary. */
export async function readSlot(client: pg.Client, name: string, node: string): Promise<Slot | undefined> {
  const sql = `SELECT plugin, database, temporary, active_pid, wal_status, confirmed_flush_lsn, restart_lsn, safe_wal_size,
      pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)
    FROM pg_replication_slots WHERE slot_name = $1 AND slot_type = 'logical'`;
  const [row] = (await runQuery(client, sql, [name], node)).rows;
  if (row === undefined) return undefined;
  const [plugin, database, temporary, pid, walStatus, confirmed, restart, safe, retained] = row;
  return {
    plugin: plugin ?? '',
    database: database ?? '',
    isTemporary: temporary === 't',
    activePid: pid === null || pid === undefined ? undefined : Number(pid),
    walStatus: walStatus ?? 'lost',
    confirmed: confirmed === null || confirmed === undefined ? 0n : parseLsn(confirmed),
    restart: restart === null || restart === undefined ? undefined : parseLsn(restart),
    safeBytes: safe === null || safe === undefined ? undefined : Math.max(0, Number(safe)),
    retainedBytes: Number(retained ?? 0),
  };
}

/** For a slot that is of no use any more. */
export const newSlotHint =
  '`baton sync drop --yes` and `baton sync setup` make another; the next run then writes what differs';

/** Why nothing can be read from a slot, for people; undefined: it can. */
export function faultOf(slot: Slot, name: string, database: string): string | undefined {
  if (slot.plugin !== 'pgoutput') return `the slot "${name}" is of the plugin ${slot.plugin}, not of pgoutput`;
  if (slot.database !== database)
    return `the slot "${name}" is of the database "${slot.database}", not of "${database}"`;
  if (slot.walStatus === 'lost') return `the slot "${name}" has lost the log that it needs (max_slot_wal_keep_size)`;
  return undefined;
}

/** An error when the server keeps more log for a slot than it may; undefined: it does not. */
export function abandonment(slot: Slot, name: string, bytesMax: number, node: string): BatonError | undefined {
  if (slot.retainedBytes <= bytesMax) return undefined;
  const kept = `${formatBytes(slot.retainedBytes)} of log, more than ${formatBytes(bytesMax)}`;
  return new BatonError(
    'HISTORY_LOST',
    `${node}: the slot "${name}" kept ${kept}, and was given up to save the server's disk`,
    {
      hint: '`baton sync setup` makes another; the next run then writes what differs',
    },
  );
}

/** Waits a moment for a reader that has just gone. */
export async function dropSlot(client: pg.Client, name: string, node: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await runQuery(client, 'SELECT pg_drop_replication_slot($1)', [name], node);
      return;
    } catch (error) {
      if (!isSqlState(error, '55006') || attempt === dropAttempts) throw error;
    }
    await delay(dropWaitMs);
  }
}

const dropAttempts = 50;
const dropWaitMs = 200;

export function missingSlot(name: string, node: string): BatonError {
  return new BatonError('NOT_FOUND', `${node}: there is no replication slot "${name}"`, {
    hint: '`baton sync setup` creates it; running never does',
  });
}

/** A primary that has just been promoted: who looks after the cluster (Patroni) makes its permanent slots some seconds later. */
export function slotNotYetThere(name: string, node: string): BatonError {
  return new BatonError('UNAVAILABLE', `${node}: there is no replication slot "${name}" since it was promoted`, {
    retryable: true,
    hint: 'a permanent slot of Patroni comes by itself; any other is made by `baton sync setup`, and the sync then writes what differs',
  });
}
