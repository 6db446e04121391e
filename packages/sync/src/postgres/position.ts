import { BatonError } from '@batondb/core/errors';
import type { Position } from '../stream.ts';

// Where PostgreSQL's history is: the cluster, the timeline and the place in its log, as `SYSTEMID/TIMELINE/HIGH/LOW`, such as
// `7386042151890817245/1/0/16B3748`. Equal places have equal texts: no leading zeros, capitals only.

/** A place in the write-ahead log: bytes since its beginning. */
export type Lsn = bigint;

export type PostgresPosition = {
  /** What `initdb` gave the cluster; a restored backup keeps it. */
  readonly systemId: string;
  /** Each promotion begins another one. */
  readonly timeline: number;
  readonly lsn: Lsn;
};

const lsnMax = 0xffff_ffff_ffff_ffffn;
const timelineMax = 0xffff_ffff;
const positionPattern = /^([1-9][0-9]{0,19})\/([1-9][0-9]{0,9})\/([0-9A-F]{1,8}\/[0-9A-F]{1,8})$/;
const lsnPattern = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/;

/** Throws PROTOCOL for what {@link formatPosition} does not write. */
export function parsePosition(text: Position): PostgresPosition {
  const [, systemId, timelineText, lsnText] = positionPattern.exec(text) ?? [];
  const timeline = Number(timelineText);
  if (systemId === undefined || lsnText === undefined || timeline > timelineMax) throw notOne(text);
  const lsn = parseLsn(lsnText);
  if (formatLsn(lsn) !== lsnText) throw notOne(text);
  return { systemId, timeline, lsn };
}

export function formatPosition({ systemId, timeline, lsn }: PostgresPosition): Position {
  return `${systemId}/${timeline}/${formatLsn(lsn)}`;
}

/** `16/B374D848` as PostgreSQL writes it, leading zeros allowed. Throws PROTOCOL. */
export function parseLsn(text: string): Lsn {
  const [, high, low] = lsnPattern.exec(text) ?? [];
  if (high === undefined || low === undefined) {
    throw new BatonError('PROTOCOL', `"${text}" is no place in a log of PostgreSQL, which is of the form 16/B374D848`);
  }
  return (BigInt(Number.parseInt(high, 16)) << 32n) | BigInt(Number.parseInt(low, 16));
}

/** As PostgreSQL writes it. Throws RangeError for what 64 bits do not hold. */
export function formatLsn(lsn: Lsn): string {
  if (lsn < 0n || lsn > lsnMax) throw new RangeError(`${lsn} is no place in a log of PostgreSQL`);
  const low = Number(BigInt.asUintN(32, lsn)).toString(16).toUpperCase();
  return `${Number(lsn >> 32n)
    .toString(16)
    .toUpperCase()}/${low}`;
}

/**
 * True when `position` is before `other` in one history. A place on an older timeline is compared by its log alone: a caller who has not checked where the timelines
 * part (TIMELINE_HISTORY) must not ask. Throws DIVERGED for positions of two clusters.
 */
export function isBefore(position: Position, other: Position): boolean {
  const [one, two] = [parsePosition(position), parsePosition(other)];
  if (one.systemId !== two.systemId) {
    throw new BatonError('DIVERGED', `${position} and ${other} are positions of two different database clusters`, {
      hint: 'connect to the cluster that the sink was filled from, or begin the sink anew',
    });
  }
  return one.lsn < two.lsn;
}

function notOne(text: string): BatonError {
  return new BatonError(
    'PROTOCOL',
    `"${text}" is no position of PostgreSQL, which is of the form SYSTEMID/TIMELINE/LSN`,
  );
}
