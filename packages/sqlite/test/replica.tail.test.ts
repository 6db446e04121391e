// The end of a log, read from outside of the thread that writes it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random, seedOfRun } from '@batondb/testbed/random';
import { FileLog } from '../src/log/file-log.ts';
import { segmentPath } from '../src/log/segment-files.ts';
import { PageIndex, pageIndexMemory } from '../src/machine/page-index.ts';
import { LogTail, type TailPlace } from '../src/replica/log-tail.ts';
import { FaultyLayer } from './faulty-layer.ts';

const directory = '/log';
const segmentBytes = 65_536;
const size = { frames: 16, pins: 1 };

/** A log that appends texts and publishes when it is told to. */
class Bed {
  readonly layer = new FaultyLayer(new Random(seedOfRun()));
  readonly index = new PageIndex(pageIndexMemory(size), size);
  readonly place: TailPlace = { layer: this.layer, directory, index: this.index };
  readonly log: FileLog;
  #epoch = 0;

  constructor(retainBytes: number) {
    this.log = FileLog.open({ layer: this.layer, directory, checkpoint: 0, epoch: 0, segmentBytes, retainBytes });
  }

  async lead(): Promise<void> {
    this.#epoch = (await this.log.lead()).epoch;
  }

  async append(payload: Uint8Array, isPublished = true): Promise<void> {
    const entry = { index: this.log.head + 1, epoch: this.#epoch, payload };
    assert.equal(await this.log.append(entry, this.#epoch), 'accepted');
    if (isPublished) this.index.publish(entry);
  }
}

function textOf(number: number, length: number): Buffer {
  return Buffer.from(`${number}-`.padEnd(length, 'x'));
}

// Proves: a tail gives every published entry once and in order, of any size and over all segments, and none that is not published (R1).
test('everything that is published', async () => {
  const random = new Random(seedOfRun());
  const bed = new Bed(0);
  await bed.lead();
  using tail = LogTail.open(bed.place, { epoch: 0, index: 0 });
  const seen: string[] = [];
  const take = (): void => {
    for (let entries = tail.read(); entries.length > 0; entries = tail.read())
      for (const { payload } of entries) seen.push(Buffer.from(payload).toString());
  };
  const sent: string[] = [];
  for (let number = 1; number <= 300; number++) {
    const payload = textOf(number, random.pick([10, 3000, 5000, 20_000, 60_000]));
    sent.push(payload.toString());
    await bed.append(payload);
    if (random.integer(0, 9) === 0) take();
  }
  await bed.append(Buffer.from('not published'), false);
  take();
  assert.deepEqual(seen, sent);
  assert.equal(await tail.wait(1), false);
});

// Proves: what a follower is at is compared with what the log has there; a log that was trimmed, or is another one, is told apart (R2, R4).
test('where a follower is', async () => {
  const bed = new Bed(0);
  await bed.lead();
  for (let number = 1; number <= 40; number++) await bed.append(textOf(number, 5000));
  await bed.lead();
  for (let number = 41; number <= 80; number++) await bed.append(textOf(number, 5000));
  const open = (epoch: number, index: number): LogTail => LogTail.open(bed.place, { epoch, index });
  using start = open(1, 30);
  assert.equal(start.read()[0]?.index, 31);
  using end = open(2, 80);
  assert.deepEqual(end.read(), []);
  assert.throws(() => open(1, 60), { code: 'DIVERGED' });
  assert.throws(() => open(2, 30), { code: 'DIVERGED' });
  assert.throws(() => open(2, 81), { code: 'DIVERGED' });
  await bed.log.trim(60);
  assert.throws(() => open(1, 30), { code: 'HISTORY_LOST' });
  assert.throws(() => open(0, 0), { code: 'HISTORY_LOST' });
});

// Proves: a segment that is used again under a reader is noticed, and a damaged record is never sent (R1).
test('a segment that is used again, and a damaged one', async () => {
  const bed = new Bed(0);
  await bed.lead();
  await bed.append(textOf(1, 5000));
  using slow = LogTail.open(bed.place, { epoch: 0, index: 0 });
  assert.equal(slow.read().length, 1);
  for (let number = 2; number <= 60; number++) await bed.append(textOf(number, 20_000));
  await bed.log.trim(50);
  for (let number = 61; number <= 90; number++) await bed.append(textOf(number, 20_000));
  assert.throws(() => slow.read(), { code: 'HISTORY_LOST' });

  const damaged = new Bed(0);
  await damaged.lead();
  await damaged.append(textOf(1, 5000));
  const file = damaged.layer.open(segmentPath(directory, 1), 'write');
  file.write(Buffer.from('?'), 200);
  using tail = LogTail.open(damaged.place, { epoch: 0, index: 0 });
  assert.throws(() => tail.read(), { code: 'LOG_DAMAGED' });
});

// Proves: what is retained can be read although it was trimmed, and counts neither as needed nor for ever.
test('what is retained', async () => {
  const bed = new Bed(3 * segmentBytes);
  await bed.lead();
  for (let number = 1; number <= 60; number++) await bed.append(textOf(number, 20_000));
  await bed.log.trim(59);
  assert.equal(bed.log.bytes, segmentBytes);
  using tail = LogTail.open(bed.place, { epoch: 1, index: 55 });
  assert.equal(tail.read()[0]?.index, 56);
  assert.throws(() => LogTail.open(bed.place, { epoch: 1, index: 20 }), { code: 'HISTORY_LOST' });
});
