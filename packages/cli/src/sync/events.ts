import type { ErrorRecord } from '@batondb/core/errors';
import { formatCount, formatDuration } from '@batondb/core/text/format';
import type { SyncEvent } from '@batondb/sync/status';
import type { LogLevel } from '../service/log-level.ts';

/** An event as a line of a log: what happened and, of a failure, the error. Pure. */
export type EventLine = { readonly level: LogLevel; readonly text: string; readonly err?: ErrorRecord };

export function eventLine(event: SyncEvent): EventLine {
  switch (event.kind) {
    case 'phase':
      return phaseLine(event);
    case 'connected':
      return { level: 'info', text: `reading from ${event.node}` };
    case 'table-dumped': {
      const text = `dumped ${event.table}: ${formatCount(event.rows, 'row')} after ${formatDuration(event.durationMs)}`;
      return { level: 'info', text };
    }
    case 'table-resynced':
      return { level: 'info', text: `read ${event.table} anew: ${formatCount(event.rows, 'row')}` };
    case 'table-reshaped':
      return { level: 'info', text: `${event.table} is new, or has another shape now` };
    case 'table-dropped':
      return { level: 'warn', text: `${event.table} was dropped, and its rows are gone from the sink` };
    case 'history-lost':
      return {
        level: 'warn',
        text: `what comes after the sink's position is lost, and all tables are read anew: ${event.reason}`,
      };
    case 'diverged':
      return { level: 'warn', text: `a failover lost what the sink has after ${event.position}: ${event.reason}` };
    case 'repairing':
      return { level: 'warn', text: `${formatCount(event.keys, 'row')} that a failover may have lost are read anew` };
    case 'row-recorded':
      return { level: 'warn', text: `a row of ${event.table} was kept aside`, err: event.error };
    case 'retry':
      return {
        level: event.isRepeated ? 'debug' : 'warn',
        text: `tried again in ${formatDuration(event.inMs)}`,
        err: event.error,
      };
  }
}

/** What is said elsewhere, by an error or at the end, is no line of its own. */
function phaseLine({ phase, detail }: Extract<SyncEvent, { readonly kind: 'phase' }>): EventLine {
  switch (phase) {
    case 'waiting':
      return { level: 'warn', text: `waiting: the sink is owned by ${detail}` };
    case 'connecting':
    case 'retrying':
    case 'ended':
      return { level: 'debug', text: `${phase}: ${detail}` };
    default:
      return { level: 'info', text: `${phase}: ${detail}` };
  }
}
