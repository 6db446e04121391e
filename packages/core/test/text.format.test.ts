// Proves: people and options agree on what a size, a rate and a duration is.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatBytes, formatCount, formatDuration, formatRate } from '../src/text/format.ts';
import { parseByteRate } from '../src/text/rate.ts';
import { editDistance, nearestName } from '../src/text/suggest.ts';

test('sizes have three digits and binary units', () => {
  const cases: [number, string][] = [
    [0, '0 B'],
    [999, '999 B'],
    [1_000, '0.98 KiB'],
    [1_536, '1.50 KiB'],
    [10_235, '10.0 KiB'],
    [1_048_576, '1.00 MiB'],
    [1_048_575, '1.00 MiB'],
    [2 * 1024 ** 3, '2.00 GiB'],
    [123 * 1024 ** 4, '123 TiB'],
    [-1, '?'],
    [Number.NaN, '?'],
  ];
  for (const [bytes, text] of cases) assert.equal(formatBytes(bytes), text);
  assert.equal(formatRate(220_200_960), '210 MiB/s');
  assert.equal(formatCount(1, 'file'), '1 file');
  assert.equal(formatCount(20_001, 'entry', 'entries'), '20,001 entries');
});

test('durations have two units at most', () => {
  const cases: [number, string][] = [
    [40, '0.0 s'],
    [4_200, '4.2 s'],
    [9_960, '10 s'],
    [59_600, '1 m 00 s'],
    [185_000, '3 m 05 s'],
    [7_380_000, '2 h 03 m'],
    [90_000_000, '1 d 01 h'],
    [Number.POSITIVE_INFINITY, '?'],
  ];
  for (const [milliseconds, text] of cases) assert.equal(formatDuration(milliseconds), text);
});

test('a rate is bytes unless it says bit', () => {
  const cases: [string, number][] = [
    ['200MB', 200_000_000],
    ['200M', 200_000_000],
    ['200MiB', 209_715_200],
    ['800Mbit', 100_000_000],
    ['800Mbit/s', 100_000_000],
    ['1Gibit', 134_217_728],
    ['1.5GB', 1_500_000_000],
    ['5000000', 5_000_000],
    [' 64 KiB/s ', 65_536],
    ['10kB', 10_000],
  ];
  for (const [text, bytes] of cases) assert.equal(parseByteRate(text), bytes, text);
});

test('a rate that could mean two things is refused', () => {
  for (const text of ['', '200Mb', '200mb', 'fast', '-1', '1e9', '0', '0.1', '1iB', '200 MB per s', '99999999999TB']) {
    assert.throws(() => parseByteRate(text), { code: 'USAGE', hint: /200MB/ }, text);
  }
});

test('a typo finds its name, and a stranger none', () => {
  assert.equal(nearestName('chian', ['chain', 'star']), 'chain');
  assert.equal(nearestName('dsik', ['wire', 'disk']), 'disk');
  assert.equal(nearestName('WIRE', ['wire', 'disk']), 'wire');
  assert.equal(nearestName('ring', ['chain', 'star']), undefined);
  assert.equal(nearestName('x', []), undefined);
  assert.equal(editDistance('', 'abc'), 3);
  assert.equal(editDistance('kitten', 'sitting'), 3);
  assert.equal(editDistance('ab', 'ba'), 1);
});
