import assert from 'node:assert/strict';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { Random, seedOfRun } from '@batondb/testbed/random';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { takeStaging } from '../src/state/take-staging.ts';
import { type ChildStep, type Kill, killsOf, runChild } from './state.kills.ts';
import {
  elsewhere,
  keptFiles,
  makeDirectories,
  newFiles,
  oldFiles,
  readFiles,
  stagingLeft,
  together,
  writeFiles,
} from './state.places.ts';

const isSoak = process.env['BATON_SOAK'] === '1';
const newWhole = { ...newFiles, ...keptFiles };

/** All kills in a soak, else a tenth of them by the seed of the run, which is cut where it takes too long. */
function someOf(kills: readonly Kill[], label: string): Kill[] {
  if (isSoak) return [...kills];
  const random = new Random(seedOfRun()).fork(label);
  const chosen = new Set<Kill>();
  while (chosen.size < Math.min(kills.length / 10, 3)) chosen.add(random.pick(kills));
  return [...chosen];
}

// Proves (G2): wherever a swap is killed, no server starts on what is not whole (the guard stands there), and whoever ends it, itself killed at another
// call, leaves the old data whole or the new data whole.
const cases = [
  { name: 'one directory', layout: together, old: oldFiles },
  { name: 'five directories', layout: elsewhere, old: oldFiles },
  { name: 'a node without data', layout: together, old: {} },
];
for (const { name, layout, old } of cases) {
  test(`killed at each call, and again while that is mended: ${name}`, async (t) => {
    await using sandbox = makeSandbox();
    const data = sandbox.join('data');
    const guard = layout === elsewhere ? sandbox.join('home/ibdata1') : sandbox.join('data/ibdata1');
    const whole = (): 'old' | 'new' | undefined => {
      const found = readFiles(data, layout);
      return isDeepStrictEqual(found, { ...old, ...keptFiles })
        ? 'old'
        : isDeepStrictEqual(found, newWhole)
          ? 'new'
          : undefined;
    };
    const step: ChildStep = { dataDirectory: data, step: 'swap', layout };
    makeDirectories(data, layout, old);
    const kills = await killsOf(step, sandbox.join('strace'));
    assert.equal(whole(), 'new');
    const chosen = someOf(kills, name);
    const random = new Random(seedOfRun()).fork(`${name} again`);
    for (const kill of chosen) {
      makeDirectories(data, layout, old);
      assert.ok(await runChild(step, kill), `${JSON.stringify(kill)} was never reached`);
      const [before, isGuarded] = [whole(), existsSync(guard) && statSync(guard).isDirectory()];
      assert.ok(before !== undefined || isGuarded, `${JSON.stringify(kill)}: a mixture without a guard`);
      // What a server leaves that was started in between and stopped at the guard.
      if (isGuarded) {
        writeFiles(data, { 'aria_log.00000009': 'stray' });
        if (!existsSync(join(data, 'mysql'))) writeFiles(data, { 'mysql/db.opt': 'stray' });
      }
      const second = random.pick(kills);
      await runChild({ ...step, step: 'settle' }, second);
      using staging = takeStaging(data).staging;
      const after = whole();
      const found = JSON.stringify({ kill, second, before, after });
      assert.ok(isGuarded ? after === 'new' : after === before, `${found}: ${JSON.stringify(readFiles(data, layout))}`);
      assert.deepEqual([readdirSync(join(data, '.sst')), readdirSync(staging.newPath)], [['new'], []], found);
      assert.deepEqual(stagingLeft(data), [], found);
    }
    t.diagnostic(`seed ${seedOfRun()}: ${chosen.length} of ${kills.length} kills`);
  });
}

// Proves (G2, G9): the same where the old data is given up before: the old data whole, the new data whole, or none at all; never a part of either, and what
// no server made stays.
test('killed at each call of a transfer in place', async (t) => {
  await using sandbox = makeSandbox();
  const data = sandbox.join('data');
  const step: ChildStep = { dataDirectory: data, step: 'in place', layout: elsewhere };
  const states = { old: { ...oldFiles, ...keptFiles }, new: newWhole, none: keptFiles };
  const whole = () =>
    Object.entries(states).find(([, files]) => isDeepStrictEqual(readFiles(data, elsewhere), files))?.[0];
  makeDirectories(data, elsewhere);
  const kills = await killsOf(step, sandbox.join('strace'));
  assert.equal(whole(), 'new');
  const chosen = someOf(kills, 'in place');
  const random = new Random(seedOfRun()).fork('in place again');
  const seen = new Set<string | undefined>();
  for (const kill of chosen) {
    makeDirectories(data, elsewhere);
    assert.ok(await runChild(step, kill), `${JSON.stringify(kill)} was never reached`);
    const isGuarded = existsSync(sandbox.join('home/ibdata1')) && statSync(sandbox.join('home/ibdata1')).isDirectory();
    const before = whole();
    const second = random.pick(kills);
    await runChild({ ...step, step: 'settle' }, second);
    using _staging = takeStaging(data).staging;
    const found = JSON.stringify({ kill, second, before, after: whole(), seed: seedOfRun() });
    assert.ok(isGuarded ? whole() === 'new' || whole() === 'none' : before !== undefined && whole() === before, found);
    assert.deepEqual(stagingLeft(data), [], found);
    seen.add(whole());
  }
  t.diagnostic(`seed ${seedOfRun()}: ${chosen.length} of ${kills.length} kills: ${[...seen].join(', ')}`);
});
