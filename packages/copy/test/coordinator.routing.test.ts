import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Routing } from '../src/coordinator/routing.ts';
import { runs } from './property.ts';

const source = 0;

type Known = { readonly upstream: number; readonly epoch: number };

/** What the routing says of targets that are neither lost nor finished. */
function snapshot(routing: Routing, open: readonly number[]): Map<number, Known> {
  return new Map(open.map((target) => [target, { upstream: routing.upstream(target), epoch: routing.epoch(target) }]));
}

/** R1: exactly one live sender each, and every way ends at the source. */
function assertRouted(routing: Routing, open: readonly number[], lost: ReadonlySet<number>, count: number): void {
  const fed = new Map<number, number>();
  for (let member = source; member <= count; member++) {
    for (const { to, epoch } of routing.fedBy(member)) {
      assert.equal(fed.has(to), false, `R1: ${to} is fed by two members`);
      assert.equal(routing.upstream(to), member);
      assert.equal(routing.epoch(to), epoch);
      fed.set(to, member);
    }
  }
  assert.deepEqual(new Set(fed.keys()), new Set(open), 'R1: every target that needs data is fed');
  for (const target of open) {
    const seen = new Set<number>();
    for (let at = target; at !== source && (at === target || open.includes(at)); at = routing.upstream(at)) {
      assert.equal(seen.has(at), false, `R1: the senders of ${target} go in a circle`);
      assert.equal(lost.has(routing.upstream(at)), false, `R1: ${at} is fed by a lost member`);
      seen.add(at);
    }
  }
}

// Proves (R1, R2): whatever fails, stalls or finishes in whatever order, every target that needs data has one live sender
// on a way that ends at the source, and a new sender always has a new route number.
test('routes stay whole', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 7 }),
      fc.constantFrom('chain' as const, 'star' as const),
      fc.array(fc.tuple(fc.constantFrom('finish', 'lose', 'avoid', 'demote'), fc.nat()), { maxLength: 40 }),
      (count, topology, steps) => {
        const all = Array.from({ length: count }, (_, index) => index + 1);
        const routing = new Routing(all, topology);
        const [lost, finished] = [new Set<number>(), new Set<number>()];
        const open = (): number[] => all.filter((target) => !lost.has(target) && !finished.has(target));
        assertRouted(routing, open(), lost, count);
        for (const [step, choice] of steps) {
          // Also a target that has finished can be lost: it may have been feeding others.
          const among = step === 'lose' ? all.filter((target) => !lost.has(target)) : open();
          const target = among[choice % Math.max(among.length, 1)];
          if (target === undefined) continue;
          const before = snapshot(routing, all);
          let told: readonly number[] = [];
          if (step === 'finish') {
            finished.add(target);
            routing.finish(target);
          } else if (step === 'lose') {
            lost.add(target);
            told = routing.lose(target);
          } else if (step === 'avoid') told = routing.avoid(target) ? [target] : [];
          else told = routing.demote(target);
          const after = snapshot(routing, all);
          for (const member of all) {
            const [old, now] = [before.get(member), after.get(member)];
            assert.ok(old !== undefined && now !== undefined);
            const isNew = now.epoch !== old.epoch;
            assert.equal(isNew, told.includes(member), `R2: ${member} has a new route exactly when that is told`);
            assert.ok(isNew ? now.epoch > old.epoch : now.upstream === old.upstream, 'R2: route numbers grow');
          }
          assertRouted(routing, open(), lost, count);
        }
      },
    ),
    runs(400),
  );
});

// Proves: a chain passes the lost one, prefers the nearest, and a star stays a star.
test('who takes over', () => {
  const chain = new Routing([1, 2, 3, 4], 'chain');
  assert.deepEqual(chain.lose(2), [3]);
  assert.equal(chain.upstream(3), 1, 'the nearest before it');
  assert.deepEqual(chain.lose(1), [3]);
  assert.equal(chain.upstream(3), source);
  assert.equal(chain.upstream(4), 3, 'who is not concerned stays');
  const star = new Routing([1, 2, 3], 'star');
  assert.deepEqual(star.lose(2), []);
  assert.deepEqual(star.fedBy(source), [
    { to: 1, epoch: 1 },
    { to: 3, epoch: 1 },
  ]);
  assert.equal(star.avoid(1), true, 'when the source does not reach it, another target may');
  assert.equal(star.upstream(1), 3);
});

// Proves: a laggard goes to the end, those behind it move up, and it is still fed.
test('a laggard goes to the end', () => {
  const routing = new Routing([1, 2, 3], 'chain');
  assert.deepEqual(new Set(routing.demote(1)), new Set([1, 2]));
  assert.deepEqual([routing.upstream(2), routing.upstream(3), routing.upstream(1)], [source, 2, 3]);
  assert.deepEqual(routing.demote(1), [], 'nobody is behind it any more');
});

// Proves: with one target there is nobody else, and asking again changes nothing.
test('one target has one sender', () => {
  const routing = new Routing([1], 'chain');
  assert.equal(routing.avoid(1), false);
  assert.equal(routing.avoid(1), false);
  assert.deepEqual(routing.fedBy(source), [{ to: 1, epoch: 1 }]);
  assert.throws(() => routing.epoch(2), /R1: there is no target 2/);
});
