// What a node keeps of a log that is elsewhere, on a file system in memory.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random, seedOfRun } from '@batondb/testbed/random';
import { FileLog } from '../src/log/file-log.ts';
import { LocalCopy } from '../src/log/local-copy.ts';
import { segmentPath } from '../src/log/segment-files.ts';
import { FaultyLayer } from './faulty-layer.ts';

const directory = '/log';
const segmentBytes = 65_536;

function open(layer: FaultyLayer, checkpoint = 0): LocalCopy {
  return LocalCopy.open({ layer, directory, checkpoint, segmentBytes, retainBytes: 0 });
}

function entry(index: number): { index: number; epoch: number; payload: Buffer } {
  return { index, epoch: 3, payload: Buffer.from(`${index}-`.repeat(2000)) };
}

function read(layer: FaultyLayer, { file, offset }: { file: number; offset: number }, bytes: number): string {
  const opened = layer.open(segmentPath(directory, file), 'read');
  const into = Buffer.alloc(bytes);
  opened.read(into, offset);
  opened.close();
  return into.toString();
}

// Proves: what was kept is found at its place over many segments, and segments are used again.
test('entries are kept, placed and forgotten', () => {
  const layer = new FaultyLayer(new Random(seedOfRun()));
  const copy = open(layer, 40);
  for (let index = 41; index <= 200; index++) {
    copy.reserve(entry(index).payload.length);
    const place = copy.place(entry(index));
    assert.equal(read(layer, place, entry(index).payload.length), entry(index).payload.toString());
    if (index % 20 === 0) copy.forget(index - 5);
  }
  assert.equal(copy.head, 200);
  assert.ok(copy.trimmed > 150 && copy.trimmed <= 195, `${copy.trimmed}`);
  assert.ok(copy.bytes <= 5 * segmentBytes, `${copy.bytes} bytes for a few entries`);
});

// Proves: a start takes nothing of an earlier copy for its own, also after a power cut (P1).
test('a copy begins empty', () => {
  const layer = new FaultyLayer(new Random(seedOfRun()));
  const copy = open(layer);
  for (let index = 1; index <= 30; index++) copy.place(entry(index));
  copy.close();
  const cut = layer.afterPowerCut();
  const again = open(cut, 17);
  assert.deepEqual([again.head, again.trimmed, again.bytes], [17, 17, 0]);
  again.close();
  assert.equal(FileLog.open({ layer: cut.afterPowerCut(), directory, checkpoint: 17, epoch: 3 }).head, 17);
});

// Proves: segments of a copy opened as a log are never told to be damaged, whatever of them is on the disk (P3).
test('a copy that becomes a log', () => {
  for (let round = 0; round < 20; round++) {
    const layer = new FaultyLayer(new Random(seedOfRun() + round));
    const copy = open(layer);
    for (let index = 1; index <= 30; index++) copy.place(entry(index));
    copy.close();
    const log = FileLog.open({ layer: layer.afterPowerCut(), directory, checkpoint: 0, epoch: 3, segmentBytes });
    assert.ok(log.head <= 30);
  }
});
