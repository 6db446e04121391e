import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { before, test } from 'node:test';
import { compareTrees } from '@batondb/testbed/compare';
import { startHosts } from '@batondb/testbed/hosts';
import { mustRun } from '@batondb/testbed/processes';
import { requireRoot } from '@batondb/testbed/requirements';
import { makeLargeFiles, makeSmallFiles } from '@batondb/testbed/trees';
import { assertExit, assertIdentical, eventsOf, makeTargets, resultOf, startCopy, summaryOf } from './copy-on-bed.ts';

// A live source: what happens to its files while they are copied is told file by file.

const mib = 1024 * 1024;

before(() => requireRoot('the test of changing sources'));

function overwrite(path: string, offset: number): void {
  writeSync(openSync(path, 'r+'), 'changed', offset);
}

// Proves: each file that changed, grew, shrank, vanished, became unreadable or something else during the copy is reported once and by
// name; the copy goes on, has none of those that are gone, and ends with exit code 20. Only with `--verify disk` is also found what
// changed after it was read.
test('files that change during the copy', async () => {
  await using bed = await startHosts({ count: 3, user: 'plain' });
  const tree = bed.host('a').join('tree');
  const names = [
    '1-first',
    '2-changed',
    '3-grew',
    '4-shrank',
    '5-vanished',
    '6-unreadable',
    '7-symlink',
    '8-moved',
    '9-fine',
  ];
  makeLargeFiles(tree, { files: names.length, bytesEach: 2 * mib, compressible: 0 });
  for (const [index, name] of names.entries()) renameSync(`${tree}/large-${index}`, `${tree}/${name}`);
  makeLargeFiles(`${tree}/0`, { files: 1, bytesEach: 24 * mib, compressible: 0 });
  makeSmallFiles(`${tree}/small`, 30);
  await mustRun(['chown', '-R', `${bed.user}:`, tree]);
  const targets = await makeTargets(bed.hosts.slice(1));
  const args = ['--bwlimit', '6MB', '--compress', 'none', '--verify', 'disk', `${bed.user}@a:${tree}`, ...targets];
  await using run = startCopy(bed, args);
  await run.untilType('plan');
  const at = (name: string): string => `${tree}/${name}`;
  overwrite(at('2-changed'), mib);
  appendFileSync(at('3-grew'), 'more');
  truncateSync(at('4-shrank'), mib / 2);
  rmSync(at('5-vanished'));
  chmodSync(at('6-unreadable'), 0);
  rmSync(at('7-symlink'));
  symlinkSync('/etc/hostname', at('7-symlink'));
  renameSync(at('8-moved'), at('new-name'));
  rmSync(at('small/0/0/file-7'));
  await run.untilProgress(0.7, targets[0]);
  overwrite(at('0/large-0'), 5 * mib);
  const result = await run.finished;
  assertExit(result, 20);
  const summary = summaryOf(result);
  const changes = eventsOf(result.events, 'source-change').map(({ change }) => `${change.path} ${change.what}`);
  const expected = [
    ...[
      'tree/0/large-0 changed',
      'tree/2-changed changed',
      'tree/3-grew grew',
      'tree/4-shrank shrank',
      'tree/5-vanished vanished',
    ],
    ...[
      'tree/6-unreadable unreadable',
      'tree/7-symlink vanished',
      'tree/8-moved vanished',
      'tree/small/0/0/file-7 vanished',
    ],
  ];
  const sorted = (lines: readonly string[]): string[] => lines.toSorted((x, y) => (x < y ? -1 : 1));
  assert.deepEqual(sorted(changes), expected);
  assert.equal(summary.changesTotal, expected.length);
  assert.deepEqual(sorted(summary.changes.map(({ path, what }) => `${path} ${what}`)), expected);
  for (const [index, host] of bed.hosts.slice(1).entries()) {
    assert.equal(resultOf(summary, targets[index] ?? '').state, 'done');
    const copy = host.join('in', 'tree');
    for (const gone of ['5-vanished', '6-unreadable', '7-symlink', '8-moved', 'small/0/0/file-7', 'new-name'])
      assert.ok(!existsSync(`${copy}/${gone}`), gone);
    assert.ok(!readFileSync(`${copy}/0/large-0`).includes('changed'), 'it was read before it changed');
    const ignore = ['0/large-0', ...names.slice(1, 8), 'new-name'];
    assert.deepEqual(await compareTrees(tree, copy, { owner: true, modifyTime: false, ignore }), []);
  }
  const [b, c] = bed.hosts.slice(1).map((host) => host.join('in', 'tree'));
  await assertIdentical(b ?? '', c ?? '');
});
