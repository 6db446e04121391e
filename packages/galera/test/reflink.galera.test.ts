// A real joiner with data of its own, on a file system that has no room for it twice and shares blocks.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareNodes } from '@batondb/testbed/galera';
import { waitUntil } from '@batondb/testbed/process-table';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { dataOf, Joining, moveOnto } from './joining.ts';
import { makeMethod } from './method.ts';

const timeout = 240_000;
const mebibyte = 1024 * 1024;
const large = `CREATE TABLE shop.large (id INT PRIMARY KEY, filler MEDIUMTEXT);
  INSERT INTO shop.large SELECT seq, REPEAT(MD5(seq), 480) FROM shop.seq_1_to_4000;`;

// Proves (G1): where two copies do not fit, space=double refuses with the numbers and space=reflink brings the new data, which shares what has not changed; a disk that is full
// all the same costs the attempt and nothing of the old data; what can not share is refused.
test('new data beside the old on a disk that is too small for both', { timeout }, async (t) => {
  await using sandbox = makeSandbox();
  const path = [await makeMethod(sandbox)];
  const provider = { 'gcache.size': '4M' };
  await using joining = await Joining.start(sandbox, { path, provider, moreTables: large });
  const { donor, joiner } = joining;
  await joining.leaveBehind();
  await using disk = await moveOnto(sandbox, joining, { kind: 'xfs', sizeBytes: 800 * mebibyte });
  await disk.fill(340 * mebibyte);
  const old = dataOf(joiner);
  await t.test('double', async () => {
    const { ending, joinerLog, donorLog } = await joining.attempt();
    assert.equal(ending, 'ended');
    assert.match(joinerLog, /the donor has about \d+ MiB of data, which takes \d+ MiB .* has 3\d\d MiB free.*NO_SPACE/);
    assert.match(joinerLog, /next step: make room, or set space=reflink/);
    assert.match(donorLog, /the transfer has failed: the joiner .*the donor has about .*\(NO_SPACE\)/);
    assert.deepEqual(dataOf(joiner), old);
  });
  await t.test('reflink, with the method files', async () => {
    joiner.configure({ sst: { space: 'reflink' } });
    donor.configure({ sst: { method: 'files' } });
    const { ending, joinerLog, donorLog } = await joining.attempt();
    assert.equal(ending, 'ended');
    for (const log of [joinerLog, donorLog]) assert.match(log, /space=reflink .* the method is files.*\(UNSUPPORTED\)/);
    assert.deepEqual(dataOf(joiner), old);
  });
  await t.test('reflink', async () => {
    donor.configure({ sst: {} });
    const { ending, joinerLog } = await joining.attempt();
    assert.equal(ending, 'Synced');
    assert.match(joinerLog, /space=reflink: about \d+ MiB come and share .* MiB are free/);
    const [, shared, all] = /([\d.]+) MiB of ([\d.]+) MiB share the blocks of the old data/.exec(joinerLog) ?? [];
    // All of the large table, less some pages at its top.
    assert.ok(Number(shared) > 60, `${shared} of ${all} MiB`);
    assert.equal(await joining.generationOf(joiner), joining.generation);
    assert.deepEqual(await compareNodes(donor, joiner), []);
  });
  await t.test('reflink, with much that differs, and the disk fills up', async () => {
    // Now, since XFS gives back what a file had some time after its end.
    disk.empty();
    await joining.leaveBehind();
    await donor.sql('UPDATE shop.large SET filler = REPEAT(MD5(id + 1), 480)', 60_000);
    const left = dataOf(joiner);
    donor.configure({ sst: { bwlimit: '32M', compression: 'none' } });
    const log = joining.follow();
    await joiner.start();
    await waitUntil('the backup comes', () => /receiving a hot backup/.test(log().joinerLog), 60_000);
    await disk.fill(4 * mebibyte);
    assert.equal(await joining.untilEnding(), 'ended');
    await joining.untilQuiet();
    assert.match(log().joinerLog, /the transfer has failed: .*No space left on device.*\(NO_SPACE\)/);
    disk.empty();
    assert.deepEqual(dataOf(joiner), left);
  });
});
