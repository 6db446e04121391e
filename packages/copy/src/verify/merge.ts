import { printable } from '@batondb/core/files/names';
import type { SurveyItem } from '@batondb/core/files/survey';
import { fromBase64 } from '../bytes.ts';
import { compareContent } from './content.ts';
import { type Cursor, comparePaths, isBelow } from './cursor.ts';
import type { Difference, DifferenceKind } from './events.ts';

// The comparison of two trees: both are read once, in the same order, and nothing of them is kept.

type Entry = Extract<SurveyItem, { readonly type: 'entry' }>;
type Passed = Extract<SurveyItem, { readonly type: 'passed' }>;
type Path = readonly Uint8Array[];

/**
 * Yields what differs between the trees of two fresh cursors, in the order of the paths. V1: a pair of trees for which it yields
 * nothing is the same in all that the inventories say. Throws what the cursors throw.
 */
export async function* compareTrees(source: Cursor, target: Cursor): AsyncGenerator<Difference, void> {
  await both(source.advance(), target.advance());
  while (source.entry !== undefined || target.entry !== undefined) {
    const order = orderOf(source, target);
    if (order < 0) yield* alone(source, 'missing');
    else if (order > 0) yield* alone(target, 'extra');
    else yield* pair(source, target);
  }
}

function orderOf(source: Cursor, target: Cursor): number {
  if (source.entry === undefined) return 1;
  return target.entry === undefined ? -1 : comparePaths(source.path, target.path);
}

/** What only one side has: a directory once, with all that is in it. */
async function* alone(cursor: Cursor, what: 'missing' | 'extra'): AsyncGenerator<Difference> {
  const { entry } = cursor;
  const top = [...cursor.path];
  if (entry?.type === 'passed' && entry.why === 'vanished') {
    yield { what: 'changed-meanwhile', path: show(top), side: what === 'missing' ? 'source' : 'target' };
    await cursor.advance();
    return;
  }
  let entries = 0;
  do {
    entries += 1;
    await cursor.advance();
  } while (cursor.entry !== undefined && isBelow(cursor.path, top));
  yield { what, path: show(top), entries };
}

/** What both sides have. */
async function* pair(source: Cursor, target: Cursor): AsyncGenerator<Difference> {
  const [a, b] = [source.entry, target.entry];
  if (a === undefined || b === undefined) return;
  const path = show(source.path);
  if (a.type === 'passed' || b.type === 'passed') {
    yield passed(path, a, b);
    await passBoth(source, target);
  } else if (a.type === 'hardlink' && b.type === 'hardlink') {
    if (a.link !== b.link) yield values('hardlinks', path, linkText(a.link), linkText(b.link));
    await both(source.advance(), target.advance());
  } else if (kindOf(a) !== kindOf(b) && (isDirectory(a) || isDirectory(b) || isNoLink(a, b))) {
    yield values('kind', path, kindOf(a), kindOf(b));
    await passBoth(source, target);
  } else if (a.type === 'hardlink' || b.type === 'hardlink') {
    // Whichever side is a further name was read under its first one, so there is nothing here to compare it with.
    yield values('hardlinks', path, nameText(a), nameText(b));
    await both(source.advance(), target.advance());
  } else {
    yield* same(source, target, a, b, path);
  }
}

/** Two entries of one kind. */
async function* same(source: Cursor, target: Cursor, a: Entry, b: Entry, path: string): AsyncGenerator<Difference> {
  if (a.kind !== 'file') {
    yield* metadata(a, b, path);
    const unlisted = sideOf(a.isUnlisted === true, b.isUnlisted === true);
    if (unlisted === undefined) return await both(source.advance(), target.advance());
    yield { what: 'unreadable', path, side: unlisted };
    return await passBoth(source, target);
  }
  const content = await compareContent(source, target, a.sizeBytes ?? 0, b.sizeBytes ?? 0);
  const changed = sideOf(content.source.state === 'changed', content.target.state === 'changed');
  const unreadable = sideOf(content.source.state === 'unreadable', content.target.state === 'unreadable');
  if (changed !== undefined) yield { what: 'changed-meanwhile', path, side: changed };
  else {
    const { first, total } = content.units;
    if (unreadable !== undefined) {
      const reason = content.source.reason ?? content.target.reason;
      yield { what: 'unreadable', path, side: unreadable, ...(reason === undefined ? {} : { reason }) };
    } else if (total > 0) yield { what: 'content', path, units: { first, total } };
    yield* metadata(a, b, path);
  }
  await both(source.advance(), target.advance());
}

function* metadata(a: Entry, b: Entry, path: string): Generator<Difference> {
  if (a.sizeBytes !== b.sizeBytes) yield values('size', path, String(a.sizeBytes), String(b.sizeBytes));
  if (a.target !== b.target) yield values('link', path, linkText(a.target), linkText(b.target));
  if (a.device !== b.device) yield values('device', path, a.device ?? '', b.device ?? '');
  if (a.mode !== b.mode) yield values('mode', path, modeText(a.mode), modeText(b.mode));
  if (a.uid !== b.uid || a.gid !== b.gid) yield values('owner', path, ownerText(a), ownerText(b));
  if (a.modifyTimeNs !== b.modifyTimeNs) yield values('times', path, timeText(a), timeText(b));
  if (a.xattrs !== b.xattrs) yield values('xattrs', path, a.xattrs ?? 'none', b.xattrs ?? 'none');
}

function passed(path: string, a: SurveyItem, b: SurveyItem): Difference {
  const isPassed = (item: SurveyItem, why: Passed['why']): boolean => item.type === 'passed' && item.why === why;
  const unreadable = sideOf(isPassed(a, 'unreadable'), isPassed(b, 'unreadable'));
  if (unreadable !== undefined) return { what: 'unreadable', path, side: unreadable };
  return { what: 'changed-meanwhile', path, side: sideOf(isPassed(a, 'vanished'), isPassed(b, 'vanished')) ?? 'both' };
}

/** Past the present entries and all that is below them: of one side, nothing there can be known. */
async function passBoth(source: Cursor, target: Cursor): Promise<void> {
  const top = [...source.path];
  const pass = async (cursor: Cursor): Promise<void> => {
    do await cursor.advance();
    while (cursor.entry !== undefined && isBelow(cursor.path, top));
  };
  await both(pass(source), pass(target));
}

/** Waits for both, also when one of them fails: nobody is to be at work on a cursor that somebody else has given up. */
async function both(one: Promise<void>, other: Promise<void>): Promise<void> {
  const results = await Promise.allSettled([one, other]);
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}

function sideOf(isSource: boolean, isTarget: boolean): Difference['side'] {
  if (isSource) return isTarget ? 'both' : 'source';
  return isTarget ? 'target' : undefined;
}

function values(what: DifferenceKind, path: string, source: string, target: string): Difference {
  return { what, path, source, target };
}

function show(path: Path): string {
  return path.length === 0 ? '.' : path.map(printable).join('/');
}

function kindOf(item: SurveyItem): string {
  return item.type === 'entry' ? item.kind : item.type;
}

function isDirectory(item: SurveyItem): boolean {
  return kindOf(item) === 'directory';
}

function isNoLink(a: SurveyItem, b: SurveyItem): boolean {
  return a.type !== 'hardlink' && b.type !== 'hardlink';
}

function nameText(item: SurveyItem): string {
  return item.type === 'hardlink' ? linkText(item.link) : 'not linked to an earlier name';
}

function linkText(link: string | undefined): string {
  return printable(fromBase64(link ?? ''));
}

function modeText(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}

function ownerText({ uid, gid }: Entry): string {
  return `${uid}:${gid}`;
}

/** ISO 8601 to the nanosecond, where that can hold it. */
function timeText({ modifyTimeNs }: Entry): string {
  const ns = BigInt(modifyTimeNs);
  const rest = ((ns % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  const date = new Date(Number((ns - rest) / 1_000_000n));
  if (Number.isNaN(date.getTime())) return `${modifyTimeNs} ns`;
  return `${date.toISOString().slice(0, -5)}.${String(rest).padStart(9, '0')}Z`;
}
