import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BatonError } from '@batondb/core/errors';
import { limits } from '@batondb/core/limits';
import fc from 'fast-check';
import type { InventoryItem } from '../src/control/inventory.ts';
import { parseResult } from '../src/control/schemas.ts';
import type { Difference } from '../src/verify/events.ts';
import { compareTrees } from '../src/verify/merge.ts';
import { runs } from './property.ts';
import { collect, cursorOver, differencesOf, inventoryOf, type Tree, treePair } from './verify.trees.ts';

async function compare(source: Tree, target: Tree, sizes: readonly number[]): Promise<Difference[]> {
  const [a, b] = [inventoryOf(source, false), inventoryOf(target, true)];
  return await collect(compareTrees(cursorOver(a, sizes), cursorOver(b, [...sizes].reverse())));
}

/** What the oracle knows of a difference. */
function told({ what, path, entries, units, side }: Difference) {
  return {
    what,
    path,
    ...(entries === undefined ? {} : { entries }),
    ...(units === undefined ? {} : { units }),
    ...(side === undefined ? {} : { side }),
  };
}

const sizes = fc.array(fc.nat(5), { minLength: 1, maxLength: 5 });

// Proves (V1): of any two trees, however their inventories are cut, exactly that is told which differs: path, kind, units and sides.
test('any two trees', async () => {
  await fc.assert(
    fc.asyncProperty(treePair, sizes, async ({ source, target }, cut) => {
      assert.deepEqual((await compare(source, target, cut)).map(told), differencesOf(source, target));
    }),
    runs(400),
  );
});

// Proves (V1): a tree is the same as itself, but for what of it could not be read.
test('a tree and itself', async () => {
  await fc.assert(
    fc.asyncProperty(treePair, sizes, async ({ source }, cut) => {
      const differences = await compare(source, source, cut);
      assert.ok(
        differences.every(({ what, side }) => side === 'both' && /^(changed-meanwhile|unreadable)$/.test(what)),
      );
    }),
    runs(100),
  );
});

// Proves: without content, files differ by what their file systems say alone.
test('without content', async () => {
  const items = (time: string): InventoryItem[] => [
    {
      type: 'entry',
      depth: 0,
      name: '',
      kind: 'file',
      mode: 0o644,
      uid: 0,
      gid: 0,
      modifyTimeNs: time,
      sizeBytes: 5e9,
    },
  ];
  const differences = await collect(
    compareTrees(cursorOver(items('1'), [], false), cursorOver(items('1700000000000000001'), [], false)),
  );
  assert.deepEqual(differences, [
    {
      what: 'times',
      path: '.',
      source: '1970-01-01T00:00:00.000000001Z',
      target: '2023-11-14T22:13:20.000000001Z',
    },
  ]);
});

// Proves: a hole as large as a file can be costs nothing to compare.
test('huge holes', async () => {
  const digest = (letter: string): string => letter.repeat(64);
  const units = 2 ** 32;
  const items = (letter: string): InventoryItem[] => [
    {
      ...{ type: 'entry', depth: 0, name: '', kind: 'file', mode: 0o644, uid: 0, gid: 0, modifyTimeNs: '0' },
      sizeBytes: units * limits.unitBytes,
    },
    { type: 'units', digests: digest(letter), times: units },
    { type: 'end', state: 'whole' },
  ];
  assert.deepEqual(await collect(compareTrees(cursorOver(items('a')), cursorOver(items('a')))), []);
  const [content, ...more] = await collect(compareTrees(cursorOver(items('a')), cursorOver(items('b'))));
  assert.deepEqual([content?.units?.total, content?.units?.first.length, more], [units, 10, []]);
});

const fileEntry = (name: string, depth: number, sizeBytes: number): InventoryItem => ({
  ...{ type: 'entry', depth, name: Buffer.from(name).toString('base64'), kind: 'file', mode: 0o644, uid: 0, gid: 0 },
  ...{ modifyTimeNs: '0', sizeBytes },
});
const top: InventoryItem = {
  ...{ type: 'entry', depth: 0, name: '', kind: 'directory', mode: 0o755, uid: 0, gid: 0, modifyTimeNs: '0' },
};
const oneUnit: InventoryItem = { type: 'units', digests: 'a'.repeat(64) };
const whole: InventoryItem = { type: 'end', state: 'whole' };

const impossible: readonly (readonly [string, readonly InventoryItem[], RegExp])[] = [
  ['nothing', [], /ended before its root/],
  ['no root', [fileEntry('a', 1, 0)], /first entry is not the root/],
  ['a second root', [top, top], /no directory/],
  ['out of order', [top, fileEntry('b', 1, 0), fileEntry('a', 1, 0)], /out of order/],
  ['twice', [top, fileEntry('a', 1, 0), fileEntry('a', 1, 0)], /out of order/],
  ['in a file', [top, fileEntry('a', 1, 0), fileEntry('b', 2, 0)], /no directory/],
  ['a bad name', [top, fileEntry('..', 1, 0)], /a name is none/],
  ['too few units', [top, fileEntry('a', 1, 2 * limits.unitBytes), oneUnit, whole], /1 units of a file are missing/],
  ['too many units', [top, fileEntry('a', 1, 1), oneUnit, oneUnit, whole], /more units than its size/],
  ['no end', [top, fileEntry('a', 1, 1), oneUnit], /a file has no end/],
  ['units of nothing', [top, oneUnit], /units without a file/],
];
for (const [name, items, message] of impossible) {
  // Proves (V2): an inventory that cannot be right is refused, also when both sides say the same.
  test(`an impossible inventory: ${name}`, async () => {
    const differences = collect(compareTrees(cursorOver(items), cursorOver(items)));
    await assert.rejects(
      differences,
      (error) => error instanceof BatonError && error.code === 'PROTOCOL' && message.test(error.message),
    );
  });
}

// Proves (V2): what is no batch of an inventory is refused before anybody reads it.
test('batches are checked', () => {
  const batch = {
    items: [top, fileEntry('a', 1, 1), oneUnit, whole],
    isLast: true,
    done: { entries: 2, files: 1, bytes: 1 },
  };
  assert.deepEqual(parseResult('inventoryBatch', batch), batch);
  for (const item of [
    { ...top, mode: 0o10000 },
    { ...top, depth: -1 },
    { ...top, kind: 'socket' },
    { ...oneUnit, digests: 'abc' },
    { ...oneUnit, times: 0 },
    { ...whole, state: 'same' },
    { type: 'other' },
  ]) {
    assert.throws(
      () => parseResult('inventoryBatch', { ...batch, items: [item] }),
      (error) => error instanceof BatonError && error.code === 'PROTOCOL',
      JSON.stringify(item),
    );
  }
});
