import { BatonError } from '@batondb/core/errors';
import type pg from 'pg';
import type { Resumption } from '../source.ts';
import { runSimple } from './connect.ts';
import { isSqlState } from './failures.ts';
import { formatLsn, formatPosition, type Lsn, type PostgresPosition } from './position.ts';
import { faultOf, missingSlot, newSlotHint, type Slot, slotNotYetThere } from './slot.ts';
import { ancestryOf, type PastTimeline, parseTimelineHistory } from './timeline.ts';

// Whether a stream can go on where a sink is. What a server does not have any more is never passed over (Y7).

/** Who a server is: IDENTIFY_SYSTEM. */
export type ServerIdentity = {
  readonly systemId: string;
  readonly timeline: number;
  /** How its timeline came to be. */
  readonly history: readonly PastTimeline[];
};

/** A server, and the end of its log at this moment. */
export type ServerState = ServerIdentity & { readonly newest: Lsn };

/** Asks over a replication connection. */
export async function readIdentity(client: pg.Client, node: string): Promise<ServerIdentity> {
  const [row] = (await runSimple(client, 'IDENTIFY_SYSTEM', node)).rows;
  const [systemId, timelineText] = row ?? [];
  const timeline = Number(timelineText);
  return {
    systemId: systemId ?? '',
    timeline,
    history: await readHistory(client, timeline, node),
  };
}

/** The first timeline has no history, and the file of an old one may be gone. */
async function readHistory(client: pg.Client, timeline: number, node: string): Promise<readonly PastTimeline[]> {
  if (timeline === 1) return [];
  try {
    const [row] = (await runSimple(client, `TIMELINE_HISTORY ${timeline}`, node)).rows;
    return parseTimelineHistory(textOf(row?.[1] ?? ''));
  } catch (error) {
    if (isSqlState(error, '58P01')) return [];
    throw error;
  }
}

/** The content is declared as bytea and sent raw; a driver may have written it in hexadecimal. */
function textOf(content: string): string {
  return content.startsWith('\\x') ? Buffer.from(content.slice(2), 'hex').toString('utf8') : content;
}

/**
 * Throws DIVERGED for a position of another cluster, NOT_FOUND for a slot that is missing, HISTORY_LOST for one that is of no use any more, and UNAVAILABLE (retryable) for a server that is behind: an old primary
 * that has not noticed yet.
 */
export function resume(
  stored: PostgresPosition,
  server: ServerState,
  slot: Slot | undefined,
  where: Where,
): Resumption {
  if (stored.systemId !== server.systemId) {
    throw new BatonError(
      'DIVERGED',
      `${where.node} is of the cluster ${server.systemId}, and the sink was filled from the cluster ${stored.systemId}`,
      {
        hint: 'check the address; a sink for another cluster is to be begun anew',
      },
    );
  }
  if (stored.timeline > server.timeline) {
    throw new BatonError(
      'UNAVAILABLE',
      `${where.node} is on timeline ${server.timeline}, and the sink has been on ${stored.timeline} already`,
      {
        retryable: true,
        hint: 'it may be a primary that was replaced; the address must lead to the new one',
      },
    );
  }
  if (slot === undefined) {
    throw stored.timeline < server.timeline
      ? slotNotYetThere(where.slot, where.node)
      : missingSlot(where.slot, where.node);
  }
  const at = (lsn: Lsn): string => formatPosition({ systemId: server.systemId, timeline: server.timeline, lsn });
  const begin = at(slot.confirmed);
  const fault = faultOf(slot, where.slot, where.database);
  if (fault !== undefined) {
    throw new BatonError('HISTORY_LOST', `${where.node}: ${fault}`, {
      hint: newSlotHint,
    });
  }
  const ancestry = ancestryOf(stored, server.timeline, server.history);
  if (ancestry.kind === 'unknown') {
    return {
      kind: 'lost',
      position: begin,
      reason: `timeline ${stored.timeline} is not in the history of timeline ${server.timeline}`,
    };
  }
  const known = ancestry.kind === 'forked' ? ancestry.at : stored.lsn < server.newest ? stored.lsn : server.newest;
  if (slot.confirmed > known) {
    const reason = `the slot "${where.slot}" is at ${formatLsn(slot.confirmed)} already, and the sink at ${formatLsn(known)}`;
    return { kind: 'lost', position: begin, reason };
  }
  if (known === stored.lsn) return { kind: 'continues', position: at(known) };
  return { kind: 'diverged', position: at(known), reason: reasonOf(stored, server, known) };
}

export type Where = { readonly node: string; readonly slot: string; readonly database: string };

function reasonOf(stored: PostgresPosition, server: ServerState, known: Lsn): string {
  if (stored.timeline === server.timeline) {
    return `the log of ${formatLsn(known)} is the server's newest, and the sink has ${formatLsn(stored.lsn)}: the server lost what it had written`;
  }
  return `timeline ${server.timeline} left timeline ${stored.timeline} at ${formatLsn(known)}, and the sink has ${formatLsn(stored.lsn)} of it`;
}
