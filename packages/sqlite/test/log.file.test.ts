// The file log on a file system in memory.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random, seedOfRun } from '@batondb/testbed/random';
import { FileLog } from '../src/log/file-log.ts';
import { encodeRecord } from '../src/log/record.ts';
import { segmentPath } from '../src/log/segment-files.ts';
import { FaultyLayer } from './faulty-layer.ts';
import { describeLog } from './log.conformance.ts';

const directory = '/log';
const segmentBytes = 65_536;
const never = new AbortController().signal;

function open(layer: FaultyLayer, checkpoint = 0): FileLog {
  return FileLog.open({ layer, directory, checkpoint, epoch: 0, segmentBytes });
}

async function lead(log: FileLog): Promise<(payload: string) => Promise<string>> {
  const { epoch } = await log.lead();
  return async (payload) => await log.append({ index: log.head + 1, epoch, payload: Buffer.from(payload) }, epoch);
}

async function readAll(log: FileLog, after = 0): Promise<string[]> {
  const payloads: string[] = [];
  if (log.head <= after) return payloads;
  for await (const { index, payload } of log.entries(after, never)) {
    payloads.push(Buffer.from(payload).toString());
    if (index === log.head) break;
  }
  return payloads;
}

describeLog('file', () => {
  const layer = new FaultyLayer(new Random(seedOfRun()));
  return {
    open: ({ epoch, index } = { epoch: 0, index: 0 }) =>
      Promise.resolve(FileLog.open({ layer, directory, checkpoint: index, epoch, segmentBytes: 524_288 })),
  };
});

// Proves: what was accepted is there after a power cut, over many segments, and an older fence is refused (L1, L5, L8).
test('append, power cut, read', async () => {
  const layer = new FaultyLayer(new Random(seedOfRun()));
  const log = open(layer);
  const append = await lead(log);
  const payloads = Array.from({ length: 60 }, (_, number) => `${number}-`.repeat(2000));
  for (const payload of payloads) assert.equal(await append(payload), 'accepted');
  await log.lead();
  assert.equal(await append('late'), 'refused');
  const again = open(layer.afterPowerCut());
  assert.equal(again.head, 60);
  assert.deepEqual(await readAll(again), payloads);
  assert.deepEqual(await readAll(again, 57), payloads.slice(57));
});

// Proves: a trimmed log says that it is, segments are used again, and what they held before never comes back (L7).
test('trim and recycle', async () => {
  const layer = new FaultyLayer(new Random(seedOfRun()));
  const log = open(layer);
  const append = await lead(log);
  for (let number = 1; number <= 200; number++) {
    await append(`${number}-`.repeat(2000));
    if (number % 20 === 0) await log.trim(number - 5);
  }
  assert.ok(log.bytes <= 5 * segmentBytes, `${log.bytes} bytes for a few entries`);
  await assert.rejects(readAll(log, 3), { code: 'HISTORY_LOST' });
  const again = open(layer.afterPowerCut(), 195);
  assert.equal(again.head, 200);
  assert.equal((await readAll(again, 199))[0], '200-'.repeat(2000));
});

// Proves: a good record behind a torn one is erased before anything is appended, so that it does not come back after the next crash (L4).
test('a record behind a torn one', async () => {
  const layer = new FaultyLayer(new Random(seedOfRun()));
  const log = open(layer);
  const append = await lead(log);
  for (const payload of ['a', 'b', 'c', 'd']) await append(payload);
  const path = segmentPath(directory, 1);
  // As if c and d had been written in one breath, and c had not arrived.
  layer.damage(path, (content) => {
    content.fill(0x55, 2 * 4096, 3 * 4096);
    encodeRecord(
      { index: 4, epoch: 1, payload: Buffer.from('d') },
      { generation: 1, syncedThrough: 2 },
      content.subarray(3 * 4096, 4 * 4096),
    );
  });
  const afterCut = layer.afterPowerCut();
  const torn = open(afterCut);
  assert.equal(torn.head, 2);
  const appendAgain = await lead(torn);
  await appendAgain('C');
  const last = open(afterCut.afterPowerCut());
  assert.deepEqual(await readAll(last), ['a', 'b', 'C']);
});

// Proves: a bad record that was acknowledged is told, with what is still there (L3).
test('a corrupt middle', async () => {
  const layer = new FaultyLayer(new Random(seedOfRun()));
  const log = open(layer);
  const append = await lead(log);
  for (const payload of ['a', 'b', 'c', 'd']) await append(payload);
  layer.damage(segmentPath(directory, 1), (content) => content.fill(0x55, 4096 + 50, 4096 + 80));
  assert.throws(() => open(layer.afterPowerCut()), {
    code: 'LOG_DAMAGED',
    message: /entries 2 to 3 .* everything through 1 can/,
  });
});

// Proves: after a failed fdatasync nothing is ever written again by this log (L6).
test('a failed fdatasync', async () => {
  const layer = new FaultyLayer(new Random(seedOfRun()), { failSyncAt: 6 });
  const log = open(layer);
  const append = await lead(log);
  await assert.rejects(
    async () => {
      for (;;) await append('x');
    },
    { code: 'SYSTEM' },
  );
  const { operations } = layer;
  await assert.rejects(append('y'), { code: 'SYSTEM' });
  assert.equal(layer.operations, operations);
});
