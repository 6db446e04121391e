import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { before, test } from 'node:test';
import type { CopyEvent } from '@batondb/copy/events';
import { cutLink, killAgents } from '@batondb/testbed/faults';
import { type Bed, startHosts } from '@batondb/testbed/hosts';
import { Random, seedOfRun } from '@batondb/testbed/random';
import { requireRoot } from '@batondb/testbed/requirements';
import type { BatonRun } from '@batondb/testbed/run-baton';
import { makeLargeFiles } from '@batondb/testbed/trees';
import {
  assertAllDone,
  assertIdentical,
  assertNothingRuns,
  eventsOf,
  hostBytes,
  isSoak,
  makeTargets,
  resultOf,
  runCopy,
  startCopy,
  summaryOf,
} from './copy-on-bed.ts';

// How much of a killed copy moves twice. It takes many units to tell, since what is under way when it breaks is the same
// for any size: a few MB, and some 13 where the network is faster than the receiver, whose socket buffers are full then.

const linkMbit = 400;
const contentBytes = 640 * 1024 * 1024;
/** A copy continued may send this share of its data again. */
const twiceShareMax = 0.02;
/** What a rerun sends beside the units: the manifest, headers and pings. */
const besideBytesMax = 256 * 1024;

before(() => requireRoot('the test of continued copies'));

const faults = {
  'the command is killed': async (run: BatonRun<CopyEvent>) => {
    run.kill('SIGKILL');
    return undefined;
  },
  'the sender is killed': async (_run: BatonRun<CopyEvent>, bed: Bed) => {
    await killAgents(bed.host('a'));
    return undefined;
  },
  'the receiver is killed': async (_run: BatonRun<CopyEvent>, bed: Bed) => {
    await killAgents(bed.host('b'));
    return undefined;
  },
  'the link is cut': async (_run: BatonRun<CopyEvent>, bed: Bed) => await cutLink(bed.host('b')),
} as const;

const names = Object.keys(faults) as (keyof typeof faults)[];
const seed = seedOfRun();
const chosen = isSoak ? names : [new Random(seed).fork('resume').pick(names)];

for (const name of chosen) {
  // Proves: at most 2 % of the data moves twice, by the bytes that the target's link has carried and by what the copy says.
  test(`moved twice when ${name}`, async (t) => {
    await using bed = await startHosts({ count: 2, linkMbit });
    const tree = bed.host('a').join('tree');
    makeLargeFiles(tree, { files: 2, bytesEach: contentBytes / 2, compressible: 0 });
    const [target = ''] = await makeTargets([bed.host('b')]);
    const args = [`a:${tree}`, target, '--compress', 'none'];
    const atStart = await hostBytes(bed.host('b'));
    await using run = startCopy(bed, args);
    await run.untilProgress(0.4, target);
    const fault = await faults[name](run, bed);
    await run.finished;
    await run.waitForNoProcess();
    const shown = eventsOf(run.events, 'progress').at(-1)?.targets[0]?.doneBytes ?? 0;
    await fault?.restore();
    await assertNothingRuns(bed);

    const atRerun = await hostBytes(bed.host('b'));
    const rerun = await runCopy(bed, args);
    assertAllDone(rerun, [target]);
    const atEnd = await hostBytes(bed.host('b'));
    const [resumed] = eventsOf(rerun.events, 'resumed');
    const { wireBytes, resumedBytes } = resultOf(summaryOf(rerun), target);
    const kept = resumed?.keptBytes ?? 0;
    // The rerun tells how many bytes of the link a byte of data takes.
    const headersFactor = (atEnd.received - atRerun.received) / wireBytes;
    const twiceBytes = (atRerun.received - atStart.received) / headersFactor - kept;
    t.diagnostic(
      `seed ${seed}: ${shown} bytes shown when it broke, ${kept} kept, ${wireBytes} sent by the rerun; ` +
        `moved twice: ${Math.round(twiceBytes)}, ${((100 * twiceBytes) / contentBytes).toFixed(2)} %`,
    );
    assert.ok(kept < contentBytes, 'it was broken before its end');
    assert.equal(resumedBytes, kept);
    assert.ok(kept >= shown - twiceShareMax * contentBytes, `${kept} bytes were kept of ${shown}`);
    assert.ok(wireBytes <= contentBytes - kept + besideBytesMax, `the rerun sent ${wireBytes} bytes`);
    assert.ok(twiceBytes <= twiceShareMax * contentBytes, `${twiceBytes} bytes were moved twice`);
    await assertIdentical(tree, bed.host('b').join('in', 'tree'));
    assert.deepEqual(readdirSync(bed.host('b').join('in')), ['tree']);
  });
}
