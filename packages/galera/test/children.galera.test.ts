// Backup tools that hang, or say what they should not, below a real cluster: no server waits for ever, and no stray line reaches one.
import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { startGaleraLoad } from '@batondb/testbed/galera';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { dataOf, Joining, toolOf } from './joining.ts';
import { makeMethod } from './method.ts';

const isSoak = process.env['BATON_SOAK'] === '1';
const timeout = 300_000;

/** What a tool does instead of its work, or before it: shell that finds its arguments in `$*`. */
const moods = {
  well: '',
  'hangs in a backup': 'case $* in *--backup*) exec sleep 1000 ;; esac',
  'hangs in the middle of a backup':
    'case $* in *--backup*) /usr/bin/$name "$@" | { head -c 3000000; exec sleep 1000; }; exit 1 ;; esac',
  'hangs while it unpacks': 'case $* in *-x*) exec sleep 1000 ;; esac',
  'says garbage instead of a backup': 'case $* in *--backup*) seq 100000; exit 0 ;; esac',
  'is loud': `echo "ready 127.0.0.1:1" >&2
    case $* in *-x* | *--prepare*) seq 100; echo "ready 127.0.0.1:1"; echo "00000000-0000-0000-0000-000000000000:1" ;; esac
    seq 20000 >&2; head -c 300000 /dev/zero >&2; echo >&2`,
  'never says its version': 'case $* in *--version*) exec sleep 1000 ;; esac',
} as const;
type Mood = keyof typeof moods;

/** Tools in front of the real ones, whose mood can be changed at any time. Returns their directory, and the switch. */
function makeTools(sandbox: Sandbox): { directory: string; set: (mood: Mood) => void } {
  const directory = sandbox.path;
  const mood = sandbox.join('mood');
  for (const name of ['mariadb-backup', 'mbstream']) {
    const path = sandbox.join(name);
    writeFileSync(path, `#!/bin/sh\nname=${name}\n. ${mood}\nexec /usr/bin/${name} "$@"\n`);
    chmodSync(path, 0o755);
  }
  const set = (name: Mood): void => writeFileSync(mood, `${moods[name]}\n`);
  set('well');
  return { directory, set };
}

// Proves (G1, G4, G6): a child that hangs or talks nonsense ends the transfer with a cause on both sides, or changes nothing; the old data stays, nothing is left.
test('tools that misbehave', { timeout }, async (t) => {
  await using sandbox = makeSandbox();
  const { directory, set } = makeTools(sandbox);
  const path = [await makeMethod(sandbox)];
  const environment = { BATON_TEST_TOOLS: directory };
  const sst = { 'sst-idle-timeout': '3', 'sst-initial-timeout': '30' };
  await using joining = await Joining.start(sandbox, { path, environment, sst });
  const { joiner } = joining;
  await joining.leaveBehind();
  const cases: readonly (readonly [Mood, RegExp, RegExp | undefined])[] = [
    ['hangs in a backup', /the donor failed: neither the backup tool .*\(STALLED\)/, /neither .*\(STALLED\)/],
    ['hangs while it unpacks', /or could be unpacked for .*\(STALLED\)/, /the joiner failed: .*\(STALLED\)/],
    ['says garbage instead of a backup', /the transfer has failed: .*\((PROTOCOL|BACKUP_FAILED)\)/, /has failed: /],
    ...(isSoak
      ? ([
          ['hangs in the middle of a backup', /\(STALLED\)/, /\(STALLED\)/],
          ['never says its version', /has not said its version within/, undefined],
        ] as const)
      : []),
  ];
  for (const [mood, atJoiner, atDonor] of cases) {
    await t.test(mood, async () => {
      set(mood);
      const old = dataOf(joiner);
      const { ending, joinerLog, donorLog } = await joining.attempt();
      assert.equal(ending, 'ended', joinerLog + donorLog);
      assert.match(joinerLog, atJoiner);
      if (atDonor !== undefined) assert.match(donorLog, atDonor);
      assert.deepEqual(dataOf(joiner), old);
    });
  }
  await t.test('is loud', async () => {
    set('is loud');
    assert.equal((await joining.attempt()).ending, 'Synced');
    assert.equal(await joining.generationOf(joiner), joining.generation);
  });
  assert.equal(toolOf(joiner, 'sleep', '1000'), undefined);
});

// Proves: how long the donor's clients wait at most while it gives its state, beside mariabackup's method in the same run. The numbers are printed.
test('how long a donor holds its clients up', { timeout }, async (t) => {
  await using sandbox = makeSandbox();
  const path = [await makeMethod(sandbox)];
  await using joining = await Joining.start(sandbox, { path });
  const { joiner, donor } = joining;
  await using load = await startGaleraLoad(donor);
  for (const method of ['baton', 'mariabackup']) {
    await joining.leaveBehind();
    joiner.configure({ method });
    const beganMs = performance.now();
    load.measure();
    await joiner.start();
    await joiner.untilSynced();
    const seconds = ((performance.now() - beganMs) / 1000).toFixed(1);
    t.diagnostic(`${method}: the longest stall ${Math.round(load.longestStallMs)} ms, Synced after ${seconds} s`);
  }
  await load.stop();
});
