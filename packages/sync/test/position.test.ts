// Proves: positions of PostgreSQL are one text each, go round, and are ordered by their place in the log.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatLsn, formatPosition, isBefore, parseLsn, parsePosition } from '../src/postgres/position.ts';
import { runs } from './property.ts';

const positions = fc.record(
  {
    systemId: fc.bigInt({ min: 1n, max: 0xffff_ffff_ffff_ffffn }).map(String),
    timeline: fc.integer({ min: 1, max: 0xffff_ffff }),
    lsn: fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn }),
  },
  { noNullPrototype: true },
);

test('the text of a position gives the position', () => {
  fc.assert(
    fc.property(positions, (position) => {
      assert.deepEqual(parsePosition(formatPosition(position)), position);
    }),
    runs(200),
  );
  assert.equal(
    formatPosition({ systemId: '7386042151890817245', timeline: 1, lsn: 0x16b3748n }),
    '7386042151890817245/1/0/16B3748',
  );
  assert.equal(formatLsn(parseLsn('0000000A/00000001')), 'A/1');
});

test('what is no position is refused', () => {
  const others = [
    '',
    '0/16B3748',
    '1/1/0/16b3748',
    '1/1/0/016B3748',
    '1/0/0/1',
    '01/1/0/1',
    '1/4294967296/0/1',
    '1/1/0/1 ',
  ];
  for (const text of others) assert.throws(() => parsePosition(text), { code: 'PROTOCOL' }, text);
  for (const text of ['', '1', '1/', '/1', 'g/1', '123456789/1']) {
    assert.throws(() => parseLsn(text), { code: 'PROTOCOL' }, text);
  }
  assert.throws(() => formatLsn(1n << 64n), RangeError);
});

test('positions are ordered as numbers, within one cluster', () => {
  assert.equal(isBefore('1/1/0/FFFFFFFF', '1/1/1/0'), true);
  assert.equal(isBefore('1/1/9/0', '1/2/A/0'), true);
  assert.equal(isBefore('1/1/A/0', '1/1/A/0'), false);
  assert.throws(() => isBefore('1/1/A/0', '2/1/A/0'), { code: 'DIVERGED' });
});
