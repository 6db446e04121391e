// Proves: an output in units is what the child has written, whatever the sizes in which it wrote, and it waits for its reader.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { limits } from '../src/limits.ts';
import { spawnChild } from '../src/process/child.ts';

const options = { timeout: 20_000 };
const unit = limits.unitBytes;

/** Writes `bytes` of a pattern that repeats nowhere in step with a unit, in pieces of `pieceBytes`. */
function writer(bytes: number, pieceBytes: number): string[] {
  const script = `
    const all = Buffer.alloc(${bytes});
    for (let at = 0; at < all.length; at++) all[at] = (at * 7 + (at >> 8) * 13) & 255;
    const { writeSync } = require('node:fs');
    for (let at = 0; at < all.length; at += ${pieceBytes})
      for (let end = Math.min(at + ${pieceBytes}, all.length), from = at; from < end; ) from += writeSync(1, all, from, end - from);
    process.stderr.write(require('node:crypto').createHash('sha256').update(all).digest('hex'));
  `;
  return [process.execPath, '-e', script];
}

for (const [bytes, pieceBytes] of [
  [0, 1],
  [1, 1],
  [unit, unit],
  [3 * unit + 12_345, 4_099],
  [5 * unit, 3 * unit + 1],
] as const) {
  test(`${bytes} bytes written ${pieceBytes} at a time`, options, async () => {
    await using child = await spawnChild(writer(bytes, pieceBytes), { stdout: 'units' });
    const hash = createHash('sha256');
    const sizes: number[] = [];
    for await (const chunk of child.stdout as AsyncIterable<Uint8Array>) {
      hash.update(chunk);
      sizes.push(chunk.byteLength);
    }
    const wanted = Array.from({ length: Math.ceil(bytes / unit) }, (_, at) => Math.min(unit, bytes - at * unit));
    assert.deepEqual(sizes, wanted);
    assert.equal(hash.digest('hex'), (await child.exited).stderrTail);
  });
}

test('a child that nobody reads waits', options, async () => {
  await using child = await spawnChild(
    ['sh', '-c', 'i=0; while dd if=/dev/zero bs=65536 count=1 2>/dev/null; do i=$((i+1)); echo $i >&2; done'],
    { stdout: 'units', onStderr: (chunk) => said.push(Buffer.from(chunk).toString()) },
  );
  const said: string[] = [];
  const iterator = (child.stdout as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]();
  await iterator.next();
  const count = (): number => Number(said.join('').trim().split('\n').at(-1));
  for (let before = -1; before !== count(); await sleep(300)) before = count();
  // What was taken, what waits, what is being filled, and what the kernel holds.
  assert.ok(count() * 65_536 < 8 * unit, `${count()} pieces were written`);
  const before = count();
  for (let units = 0; units < 4; units++) await iterator.next();
  while (count() === before) await sleep(20);
  await iterator.return?.();
});

test('a child that is killed ends its output', options, async () => {
  await using child = await spawnChild(['sh', '-c', 'printf abc; kill -KILL $$'], { stdout: 'units' });
  const chunks: string[] = [];
  for await (const chunk of child.stdout as AsyncIterable<Uint8Array>) chunks.push(Buffer.from(chunk).toString());
  assert.deepEqual(chunks, ['abc']);
  assert.equal((await child.exited).signal, 'SIGKILL');
});
