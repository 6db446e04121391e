import { BatonError } from '@batondb/core/errors';
import { type Lsn, parseLsn } from './position.ts';

// Which timelines a server's history came by: the file that TIMELINE_HISTORY sends ("26.3.6. Timelines").

/** A timeline that is over, and where the next one began. */
export type PastTimeline = { readonly timeline: number; readonly switchpoint: Lsn };

/** From the oldest to the newest. Throws PROTOCOL. */
export function parseTimelineHistory(text: string): readonly PastTimeline[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '' && !line.trimStart().startsWith('#'));
  return lines.map((line) => {
    const [, timeline, lsn] = /^\s*([0-9]+)\s+([0-9A-Fa-f]+\/[0-9A-Fa-f]+)/.exec(line) ?? [];
    if (timeline === undefined || lsn === undefined) {
      throw new BatonError('PROTOCOL', `"${line.slice(0, 100)}" is no line of a timeline's history`);
    }
    return { timeline: Number(timeline), switchpoint: parseLsn(lsn) };
  });
}

/** How a place on some timeline stands to a server's own history. */
export type Ancestry =
  /** It is a part of it. */
  | { readonly kind: 'ancestor' }
  /** The server's history left that of the place before. */
  | { readonly kind: 'forked'; readonly at: Lsn }
  /** Nothing is known of that timeline. */
  | { readonly kind: 'unknown' };

/** `history` is that of the server's current timeline. */
export function ancestryOf(
  place: { readonly timeline: number; readonly lsn: Lsn },
  current: number,
  history: readonly PastTimeline[],
): Ancestry {
  if (place.timeline === current) return { kind: 'ancestor' };
  const past = history.find(({ timeline }) => timeline === place.timeline);
  if (past === undefined) return { kind: 'unknown' };
  return place.lsn <= past.switchpoint ? { kind: 'ancestor' } : { kind: 'forked', at: past.switchpoint };
}
