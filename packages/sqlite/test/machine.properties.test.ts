// The parts of the state machine against models that are too simple to be wrong.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { limits } from '../src/limits.ts';
import { type CommandToWrite, commandBytes, decodeCommands, encodeCommands } from '../src/machine/command.ts';
import { PageIndex, pageIndexMemory, type Snapshot } from '../src/machine/page-index.ts';
import { Receipts } from '../src/machine/receipts.ts';
import { runs } from './property.ts';

const size = { frames: 16, pins: 3 };
const databases = [1, 2] as const;
const pages = [1, 2, 3, 4, 5, 6] as const;
const reader = fc.constantFrom(0, 1, 2);

type Step =
  | { readonly kind: 'add'; readonly database: number; readonly page: number }
  | { readonly kind: 'pin' | 'unpin'; readonly reader: number }
  | { readonly kind: 'publish' | 'fold' };
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant('add' as const),
      database: fc.constantFrom(...databases),
      page: fc.constantFrom(...pages),
    }),
  },
  { weight: 4, arbitrary: fc.constant({ kind: 'publish' as const }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('pin' as const, 'unpin' as const), reader }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'fold' as const }) },
);

/** Every frame ever added, by its number. */
type Frame = { readonly database: number; readonly page: number; readonly offset: number };

function find(
  frames: readonly Frame[],
  database: number,
  page: number,
  { frame, floor }: Snapshot,
): number | undefined {
  return frames.slice(floor, frame).findLast((one) => one.database === database && one.page === page)?.offset;
}

// Proves: whatever is added, published, folded and trimmed, each pinned snapshot finds the newest version of each page within it, and nothing
// that came later or that is in the database's own file (I0 to I3).
test('the page index and a list of frames', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 20, maxLength: 300 }), (steps) => {
      const memory = pageIndexMemory(size);
      const [index, reading] = [new PageIndex(memory, size), new PageIndex(memory, size)];
      const pins = [0, 1, 2].map(() => reading.takePin()!);
      const snapshots = new Map<number, Snapshot>();
      const frames: Frame[] = [];
      let published = 0;
      for (const one of steps) {
        switch (one.kind) {
          case 'add':
            if (index.room === 0) break;
            frames.push({ database: one.database, page: one.page, offset: frames.length * 4096 });
            index.add(one.database, one.page, { file: 1, offset: (frames.length - 1) * 4096 });
            break;
          case 'publish':
            published = frames.length;
            index.publish({ epoch: 1, index: published });
            break;
          case 'pin':
            if (!snapshots.has(one.reader)) snapshots.set(one.reader, reading.pin(pins[one.reader]!));
            break;
          case 'unpin':
            if (snapshots.delete(one.reader)) reading.unpin(pins[one.reader]!);
            break;
          case 'fold': {
            const through = index.beginFold(published);
            assert.ok(
              [...snapshots.values()].every(({ frame }) => through <= frame),
              'C1',
            );
            // A fold never goes back.
            index.trim(index.endFold(Math.max(through, index.folded)));
          }
        }
        for (const snapshot of snapshots.values())
          for (const database of databases)
            for (const page of pages)
              assert.equal(reading.find(database, page, snapshot)?.offset, find(frames, database, page, snapshot));
      }
    }),
    runs(60),
  );
});

const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<T>;
const text = fc.string({ minLength: 1, maxLength: 20 });
const id = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const sequence = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
const checksum = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const commit = record({
  pageCount: id,
  before: checksum,
  after: checksum,
  ends: fc.array(fc.oneof(record({ sequence }), record({ sequence, key: text })), { maxLength: 5 }),
});
const framesOf = fc
  .tuple(id, sequence, fc.uniqueArray(fc.integer({ min: 1, max: 1000 }), { maxLength: 6 }), fc.option(commit))
  .map(
    ([database, number, numbers, end]): CommandToWrite => ({
      kind: 'frames',
      database,
      sequence: number,
      pageBytes: 512,
      pages: numbers,
      read: (page, into) => void into.fill(page & 0xff),
      ...(end === null ? {} : { commit: end }),
    }),
  );
const command: fc.Arbitrary<CommandToWrite> = fc.oneof(
  record({
    kind: fc.constant('open' as const),
    database: id,
    name: text,
    pageBytes: fc.constantFrom(512, 4096, 65_536),
  }),
  record({ kind: fc.constantFrom('drop' as const, 'undo' as const), database: id }),
  fc.constant({ kind: 'checkpoint' as const }),
  framesOf,
);

// Proves: commands are read as they were written, in no more bytes than was measured, and pages lie where their frames say (M7).
test('commands come back', () => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 6 }), (commands) => {
      const payload = encodeCommands(commands);
      assert.ok(payload.length <= 8 + commands.reduce((sum, one) => sum + commandBytes(one), 0));
      const decoded = decodeCommands(payload);
      assert.equal(decoded.length, commands.length);
      for (const [at, found] of decoded.entries()) {
        const written = commands[at]!;
        if (written.kind !== 'frames' || found.kind !== 'frames') {
          assert.deepEqual(found, written);
          continue;
        }
        const { pages: numbers, read: _read, ...rest } = written;
        const { frames, ...head } = found;
        assert.deepEqual(head, rest);
        assert.deepEqual(
          frames.map(({ page }) => page),
          numbers,
        );
        for (const { page, offset } of frames)
          assert.ok(payload.subarray(offset, offset + 512).every((byte) => byte === (page & 0xff)));
      }
    }),
    runs(100),
  );
});

// Proves: bytes from anywhere are commands or PROTOCOL, VERSION_MISMATCH, and never another error or an endless wait.
test('any payload', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (bytes, hasFormat) => {
      try {
        decodeCommands(Buffer.from(hasFormat ? [1, ...bytes] : bytes));
      } catch (error) {
        assert.match((error as { readonly code: string }).code, /^(?:PROTOCOL|VERSION_MISMATCH)$/);
      }
    }),
    runs(300),
  );
});

// Proves: receipts are the last ones that were added, each under its newest position, and as a list they make the same again.
test('receipts', () => {
  const receipts = new Receipts();
  const count = limits.receiptsMax + 50;
  for (let index = 1; index <= count; index++)
    receipts.add({ key: `key ${index}`, database: 1, sequence: index, position: { epoch: 1, index } });
  assert.equal(receipts.get('key 50'), undefined);
  assert.equal(receipts.get('key 51')?.sequence, 51);
  const half = receipts.through(count - 10);
  assert.equal(half.length, limits.receiptsMax - 10);
  assert.deepEqual(new Receipts(half).through(count), half);
});
