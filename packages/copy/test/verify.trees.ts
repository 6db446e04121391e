import { createHash } from 'node:crypto';
import { limits } from '@batondb/core/limits';
import fc from 'fast-check';
import type { InventoryItem } from '../src/control/inventory.ts';
import { Cursor } from '../src/verify/cursor.ts';
import type { Difference } from '../src/verify/events.ts';

// Trees as values: made at random, turned into inventories, and compared path by path by the simplest means there are.

/** What one path is. `units`: one number for each unit's content. */
export type Thing = {
  readonly kind: 'file' | 'directory' | 'symlink' | 'fifo' | 'hardlink' | 'unreadable' | 'vanished';
  readonly mode: number;
  readonly owner: number;
  readonly time: number;
  readonly xattrs: number;
  readonly units: readonly number[];
  readonly end: 'whole' | 'changed' | 'unreadable';
  readonly target: string;
  readonly isUnlisted: boolean;
};

/** Things by path below the root; the root is ''. Not in order. */
export type Tree = ReadonlyMap<string, Thing>;

const thing: fc.Arbitrary<Thing> = fc.record({
  kind: fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom('file' as const, 'directory' as const) },
    {
      weight: 2,
      arbitrary: fc.constantFrom(...(['symlink', 'fifo', 'hardlink', 'unreadable', 'vanished'] as const)),
    },
  ),
  mode: fc.constantFrom(0o644, 0o755),
  owner: fc.nat(2),
  time: fc.nat(3),
  xattrs: fc.nat(2),
  units: fc.array(fc.nat(2), { maxLength: 12 }),
  end: fc.oneof(
    { weight: 9, arbitrary: fc.constant('whole' as const) },
    { weight: 1, arbitrary: fc.constantFrom('changed' as const, 'unreadable' as const) },
  ),
  target: fc.constantFrom('x', 'y'),
  isUnlisted: fc.oneof({ weight: 9, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
});

const names = ['a', 'a.b', 'a-', 'b', 'B', 'é', 'c'];
const path = fc.array(fc.constantFrom(...names), { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));

const root: Thing = {
  kind: 'directory',
  mode: 0o755,
  owner: 0,
  time: 0,
  xattrs: 0,
  units: [],
  end: 'whole',
  target: '',
  isUnlisted: false,
};

/** Some paths with some things; what would lie in no directory is left out. */
export function treeOf(entries: readonly (readonly [string, Thing])[]): Tree {
  const all = new Map<string, Thing>([['', root]]);
  for (const [at, value] of [...entries].sort(([a], [b]) => a.length - b.length)) {
    const parent = all.get(parentOf(at));
    if (parent?.kind === 'directory' && !parent.isUnlisted) all.set(at, value);
  }
  return all;
}

/** A tree, and another one that is the same but for some paths. */
export const treePair: fc.Arbitrary<{ readonly source: Tree; readonly target: Tree }> = fc
  .record({
    entries: fc.array(fc.tuple(path, thing), { maxLength: 25 }),
    changes: fc.array(fc.tuple(fc.nat(30), fc.option(thing)), { maxLength: 4 }),
    additions: fc.array(fc.tuple(path, thing), { maxLength: 2 }),
  })
  .map(({ entries, changes, additions }) => {
    const changed = entries.flatMap((entry, index): (readonly [string, Thing])[] => {
      const change = changes.find(([at]) => at === index);
      if (change === undefined) return [entry];
      return change[1] === null ? [] : [[entry[0], change[1]]];
    });
    return { source: treeOf(entries), target: treeOf([...changed, ...additions]) };
  });

const parentOf = (at: string): string => (at.includes('/') ? at.slice(0, at.lastIndexOf('/')) : '');

/** Bytewise by component, a directory before what is in it. */
function inOrder(tree: Tree): [string, Thing][] {
  const key = (at: string): string[] => (at === '' ? [] : at.split('/'));
  return [...tree].sort(([a], [b]) => {
    const [left, right] = [key(a), key(b)];
    for (const [index, name] of left.entries()) {
      const other = right[index];
      if (other === undefined) return 1;
      const order = Buffer.compare(Buffer.from(name), Buffer.from(other));
      if (order !== 0) return order;
    }
    return left.length - right.length;
  });
}

export const sizeOf = ({ units }: Thing): number => units.length * limits.unitBytes;

const digest = (value: number): string => createHash('sha256').update(String(value)).digest('hex');
const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** The inventory of a tree, as an agent gives it. `packing`: whether equal units are told as a repetition. */
export function inventoryOf(tree: Tree, packing: boolean): InventoryItem[] {
  return inOrder(tree).flatMap(([at, value]): InventoryItem[] => {
    const parts = at === '' ? [] : at.split('/');
    const place = { depth: parts.length, name: base64(parts.at(-1) ?? '') };
    const { kind, mode, owner, time, units, end, target } = value;
    if (kind === 'hardlink') return [{ type: 'hardlink', ...place, link: base64(target) }];
    if (kind === 'unreadable' || kind === 'vanished') return [{ type: 'passed', ...place, why: kind }];
    const entry: InventoryItem = {
      type: 'entry',
      ...place,
      ...{ kind, mode, uid: owner, gid: owner, modifyTimeNs: String(time) },
      ...(kind === 'file' ? { sizeBytes: sizeOf(value) } : {}),
      ...(kind === 'symlink' ? { target: base64(target) } : {}),
      ...(value.xattrs === 0 ? {} : { xattrs: digest(value.xattrs) }),
      ...(kind === 'directory' && value.isUnlisted ? { isUnlisted: true } : {}),
    };
    if (kind !== 'file' || units.length === 0) return [entry];
    return [entry, ...unitItems(units, packing), { type: 'end', state: end }];
  });
}

function unitItems(units: readonly number[], packing: boolean): InventoryItem[] {
  if (!packing) return [{ type: 'units', digests: units.map(digest).join('') }];
  const items: InventoryItem[] = [];
  for (let at = 0; at < units.length; ) {
    let end = at + 1;
    while (units[end] === units[at]) end += 1;
    items.push({ type: 'units', digests: digest(units[at] ?? 0), times: end - at });
    at = end;
  }
  return items;
}

/** A cursor over items that come in batches of some sizes, empty ones too. */
export function cursorOver(
  items: readonly InventoryItem[],
  sizes: readonly number[] = [],
  content: boolean = true,
): Cursor {
  let at = 0;
  let batch = 0;
  const pull = async () => {
    if (at >= items.length) return undefined;
    const size = sizes[batch++ % Math.max(1, sizes.length)] ?? items.length;
    // At least every second batch has something, or it would never end.
    const end = at + (batch % 2 === 0 ? Math.max(1, size) : size);
    const values = items.slice(at, end);
    at = end;
    return values;
  };
  return new Cursor(pull, content);
}

type Told = Pick<Difference, 'what' | 'path' | 'entries' | 'units' | 'side'>;

/** What differs, found by looking at every path in both trees at once. */
export function differencesOf(source: Tree, target: Tree): Told[] {
  const told: Told[] = [];
  const closed = new Set<string>();
  for (const [at] of inOrder(new Map([...source, ...target]))) {
    const parent = parentOf(at);
    if (at !== '' && closed.has(parent)) {
      closed.add(at);
      continue;
    }
    const [a, b] = [source.get(at), target.get(at)];
    const path = at === '' ? '.' : at;
    if (a === undefined || b === undefined) {
      closed.add(at);
      const [tree, only] = a === undefined ? [target, b] : [source, a];
      const side = a === undefined ? 'target' : 'source';
      if (only?.kind === 'vanished') told.push({ what: 'changed-meanwhile', path, side });
      else {
        const entries = [...tree.keys()].filter((other) => other === at || other.startsWith(`${at}/`)).length;
        told.push({ what: a === undefined ? 'extra' : 'missing', path, entries });
      }
      continue;
    }
    const { found, isClosed } = pairOf(a, b);
    if (isClosed) closed.add(at);
    told.push(...found.map((one) => ({ ...one, path })));
  }
  return told;
}

type Found = Omit<Told, 'path'>;

function sides(a: boolean, b: boolean): 'source' | 'target' | 'both' {
  return a && b ? 'both' : a ? 'source' : 'target';
}

function pairOf(a: Thing, b: Thing): { readonly found: Found[]; readonly isClosed: boolean } {
  for (const [kind, what] of [
    ['unreadable', 'unreadable'],
    ['vanished', 'changed-meanwhile'],
  ] as const) {
    if (a.kind === kind || b.kind === kind)
      return { found: [{ what, side: sides(a.kind === kind, b.kind === kind) }], isClosed: true };
  }
  if (a.kind === 'hardlink' && b.kind === 'hardlink')
    return { found: a.target === b.target ? [] : [{ what: 'hardlinks' }], isClosed: false };
  if (a.kind === 'hardlink' || b.kind === 'hardlink') {
    const isDirectory = a.kind === 'directory' || b.kind === 'directory';
    return { found: [{ what: isDirectory ? 'kind' : 'hardlinks' }], isClosed: isDirectory };
  }
  if (a.kind !== b.kind) return { found: [{ what: 'kind' }], isClosed: true };
  if (a.kind === 'file') return { found: fileDifferences(a, b), isClosed: false };
  const isClosed = a.kind === 'directory' && (a.isUnlisted || b.isUnlisted);
  const unlisted: Found[] = isClosed ? [{ what: 'unreadable', side: sides(a.isUnlisted, b.isUnlisted) }] : [];
  return { found: [...metadata(a, b), ...unlisted], isClosed };
}

function fileDifferences(a: Thing, b: Thing): Found[] {
  const endOf = ({ units, end }: Thing) => (units.length === 0 ? 'whole' : end);
  const is = (state: Thing['end']) => [endOf(a) === state, endOf(b) === state] as const;
  const [changedA, changedB] = is('changed');
  if (changedA || changedB) return [{ what: 'changed-meanwhile', side: sides(changedA, changedB) }];
  const [unreadA, unreadB] = is('unreadable');
  if (unreadA || unreadB) return [{ what: 'unreadable', side: sides(unreadA, unreadB) }, ...metadata(a, b)];
  const common = a.units.slice(0, b.units.length);
  const differing = common.flatMap((unit, index) => (unit === b.units[index] ? [] : [index]));
  const first = differing.slice(0, 10).map((index) => ({ offset: index * limits.unitBytes, length: limits.unitBytes }));
  const content: Found[] =
    differing.length === 0 ? [] : [{ what: 'content', units: { first, total: differing.length } }];
  return [...content, ...metadata(a, b)];
}

function metadata(a: Thing, b: Thing): Found[] {
  const is = (what: Found['what'], differs: boolean): Found[] => (differs ? [{ what }] : []);
  return [
    ...is('size', a.kind === 'file' && sizeOf(a) !== sizeOf(b)),
    ...is('link', a.kind === 'symlink' && a.target !== b.target),
    ...is('mode', a.mode !== b.mode),
    ...is('owner', a.owner !== b.owner),
    ...is('times', a.time !== b.time),
    ...is('xattrs', a.xattrs !== b.xattrs),
  ];
}

/** All that a generator yields. */
export async function collect<T>(values: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const value of values) all.push(value);
  return all;
}
