// Proves: lines of a stream are the same however it is cut into chunks, and no line grows beyond its limit.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { spawnChild } from '../src/process/child.ts';
import { Lines } from '../src/process/lines.ts';
import { runs } from './property.ts';

function linesOf(chunks: readonly Uint8Array[], lineBytesMax = 1000): string[] {
  const found: string[] = [];
  const lines = new Lines(lineBytesMax, (line) => found.push(line));
  for (const chunk of chunks) lines.append(chunk);
  lines.end();
  return found;
}

test('chunks do not matter, characters of several bytes included', () => {
  const line = fc.string({ unit: fc.constantFrom('a', 'é', '語', ' ', '\t'), maxLength: 20 });
  fc.assert(
    fc.property(fc.array(line), fc.array(fc.nat(100)), (texts, cuts) => {
      const whole = Buffer.from(texts.map((text) => `${text}\n`).join(''));
      const ends = [...cuts.map((cut) => Math.min(cut, whole.length)), whole.length].sort((a, b) => a - b);
      const chunks = ends.map((end, index) => whole.subarray(index === 0 ? 0 : ends[index - 1], end));
      assert.deepEqual(linesOf(chunks), texts);
    }),
    runs(200),
  );
});

test('a long line is cut off, the next one is whole, and a last line needs no end', () => {
  const chunks = ['abc', 'defgh\nsh', 'ort\r\n\nlast'].map((text) => Buffer.from(text));
  assert.deepEqual(linesOf(chunks, 5), ['abcde', 'short', '', 'last']);
});

test('a listener gets all that a child writes to stderr before its end is told', { timeout: 20_000 }, async () => {
  const found: string[] = [];
  const lines = new Lines(100, (line) => found.push(line));
  await using child = await spawnChild(['seq', '-f', 'line %g', '1', '20000'], { onStderr: () => assert.fail() });
  child.stdout.resume();
  await child.exited;
  await using second = await spawnChild(['sh', '-c', 'seq 1 20000 >&2'], { onStderr: (chunk) => lines.append(chunk) });
  const { stderrTail } = await second.exited;
  assert.equal(found.length, 20_000);
  assert.equal(found.at(-1), '20000');
  assert.ok(stderrTail.endsWith('20000'));
});
