import assert from 'node:assert/strict';
import { test } from 'node:test';
import { limits } from '@batondb/core/limits';
import fc from 'fast-check';
import { StreamFlow } from '../src/coordinator/stream-flow.ts';
import { runs } from './property.ts';

// Proves (R5): whatever targets do, what the source forgets is held by two of them, or by all there are; and it never takes back what it
// said.
test('what is forgotten is held by two', () => {
  const held = fc.array(fc.nat(1000), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(fc.array(held, { maxLength: 30 }), (observations) => {
      const flow = new StreamFlow();
      let released = 0;
      // All within one moment: nobody lags for long.
      for (const heldUnits of observations) {
        const now = flow.observe(heldUnits, 0);
        if (now === undefined) continue;
        assert.ok(now > released);
        released = now;
        const holders = heldUnits.filter((units) => units >= released).length;
        assert.ok(holders >= Math.min(2, heldUnits.length));
      }
    }),
    runs(300),
  );
});

// Proves (R6): what targets of a backup free is held by every live one, and more is said only when it is more.
test('what is freed is held by all', () => {
  const held = fc.array(fc.nat(1000), { maxLength: 5 });
  fc.assert(
    fc.property(fc.array(held, { maxLength: 30 }), (observations) => {
      const flow = new StreamFlow();
      let freed = 0;
      for (const heldUnits of observations) {
        const now = flow.observeAll(heldUnits);
        if (now === undefined) continue;
        assert.ok(now > freed && heldUnits.length > 0);
        assert.ok(heldUnits.every((units) => units >= now));
        freed = now;
      }
    }),
    runs(300),
  );
});

// Proves: a second target that lags for long does not hold up the stream, and one that only falters does not count as that.
test('a slow target is not waited for', () => {
  const flow = new StreamFlow();
  const far = limits.streamWindowUnits;
  assert.equal(flow.observe([far, 1], 0), 1);
  assert.equal(flow.observe([far, far - 1], 4_000), far - 1, 'it caught up');
  assert.equal(flow.observe([2 * far, far], 5_000), far);
  assert.equal(flow.observe([2 * far, far + 1], 9_000), far + 1);
  assert.equal(flow.observe([2 * far, far + 2], 10_001), 2 * far);
  assert.equal(flow.observe([2 * far + 7, far + 3], 10_100), 2 * far + 7);
});
