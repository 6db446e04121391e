// Proves: changes that wait for their commit come back as they went in, from memory or a file, without those of aborted parts; and a full disk is an error that is tried again.
import assert from 'node:assert/strict';
import { readdirSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { BatonError } from '@batondb/core/errors';
import { smallFileSystem } from '@batondb/testbed/mounts';
import { makeSandbox } from '@batondb/testbed/sandbox';
import fc from 'fast-check';
import { ChangeBlockWriter } from '../src/postgres/change-block.ts';
import { UnfinishedTransactions } from '../src/postgres/unfinished.ts';
import { runs } from './property.ts';

const change = fc.record({
  top: fc.integer({ min: 1, max: 3 }),
  sub: fc.integer({ min: 10, max: 14 }),
  bytes: fc.oneof(fc.integer({ min: 0, max: 200 }), fc.integer({ min: 60_000, max: 400_000 })),
});

test('changes come back in their order, without aborted ones', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(change, { maxLength: 60 }),
      fc.subarray([10, 11, 12, 13, 14]),
      async (changes, aborted) => {
        await using sandbox = makeSandbox();
        writeFileSync(sandbox.join('left.unfinished'), 'of a process that died');
        await using unfinished = await UnfinishedTransactions.open(sandbox.path);
        for (const [number, { top, sub, bytes }] of changes.entries()) {
          const blocks: Buffer[] = [];
          const writer = new ChangeBlockWriter((block) => blocks.push(block));
          writer.add(sub, Buffer.alloc(bytes + 1, number), 1);
          writer.flush();
          for (const block of blocks) await unfinished.add(top, block);
        }
        for (const sub of aborted) for (const top of [1, 2, 3]) await unfinished.abort(top, sub);
        await unfinished.abort(3, 3);
        for (const top of [1, 2, 3]) {
          const found: unknown[] = [];
          for await (const piece of unfinished.take(top))
            found.push(...piece.map(({ xid, bytes }) => [xid, bytes.length, bytes[0]]));
          const wanted = changes.flatMap(({ top: of, sub, bytes }, number) =>
            of !== top || top === 3 || aborted.includes(sub) ? [] : [[sub, bytes, bytes === 0 ? undefined : number]],
          );
          assert.deepEqual(found, wanted);
        }
        assert.deepEqual(readdirSync(sandbox.path), []);
      },
    ),
    runs(20),
  );
});

test('blocks hold whole changes in their order', () => {
  const blocks: Buffer[] = [];
  const writer = new ChangeBlockWriter((block) => blocks.push(block));
  for (let n = 0; n < 1000; n++) writer.add(n, Buffer.alloc(200, n & 255), 0);
  writer.flush();
  writer.flush();
  assert.equal(Buffer.concat(blocks).length, 208_000);
  assert.ok(blocks.length < 8);
});

test('a disk that is full', async () => {
  await using sandbox = makeSandbox();
  await using disk = await smallFileSystem(sandbox, sandbox.join('small'), { kind: 'tmpfs', sizeBytes: 1_000_000 });
  await using unfinished = await UnfinishedTransactions.open(disk.path);
  const fill = async (): Promise<void> => {
    for (let n = 0; n < 20; n++) await unfinished.add(1, Buffer.alloc(262_144));
  };
  await assert.rejects(fill(), (error) => error instanceof BatonError && error.code === 'NO_SPACE' && error.retryable);
});
