// What happens to the servers and disks around a sync: killed, restarted, full, compacted.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type EtcdCluster, startEtcd } from '@batondb/testbed/etcd';
import { smallFileSystem } from '@batondb/testbed/mounts';
import { waitUntil } from '@batondb/testbed/process-table';
import { Random, seedOfRun } from '@batondb/testbed/random';
import type { BatonEvent, BatonRun } from '@batondb/testbed/run-baton';
import { codeOf, isSoak, isStreaming, SyncBed, type SyncTarget } from './sync-bed.ts';
import { expectLinesOnce, expectPutsOnce } from './sync-once.ts';

const random = new Random(seedOfRun());
const times = isSoak ? 20 : 2;
const patienceMs = 120_000;

let bed: SyncBed;

before(async () => {
  bed = await SyncBed.start();
});

after(async () => {
  await bed[Symbol.asyncDispose]();
});

const isRetryFor =
  (code: string) =>
  (event: BatonEvent): boolean =>
    event.type === 'retry' && codeOf(event) === code;

/** Lets a sync go on to where the source is, ends it in order, and compares. */
async function expectWell(target: SyncTarget, run: BatonRun): Promise<void> {
  await target.caughtUp();
  run.kill('SIGTERM');
  assert.equal((await run.finished).code, 0, run.stderr);
  await target.finish();
  await target.expectEqual();
}

// Proves: an etcd that dies and comes back costs time and nothing else: no row is put twice, none is missing (Y1, Y2).
test('etcd is killed', async (t) => {
  t.diagnostic(`BATON_SEED=${random.seed}`);
  const target = await bed.target('etcd');
  await using load = await bed.load(random.fork('etcd').seed);
  await using run = target.start();
  await run.until(isStreaming, patienceMs);
  for (let time = 0; time < times; time++) {
    await sleep(random.integer(200, 1500));
    if (time % 2 === 1) await bed.large(1000);
    await bed.etcd.members[0]!.kill();
    await sleep(random.integer(0, 1000));
    await bed.etcd.start();
  }
  await load.stop();
  await expectWell(target, run);
  await expectPutsOnce(target, load.acknowledged);
});

// Proves: an etcd that is compacted to its newest revision again and again disturbs nobody; when that is so while half of a transaction is there whose writer was killed, all tables are
// read anew (Y4, Y7).
test('etcd is compacted', async (t) => {
  const target = await bed.target('etcd');
  await using load = await bed.load(random.fork('compacted').seed);
  const compact = async (): Promise<void> => {
    const { header } = JSON.parse(await bed.etcd.ctl('get', '/', '--write-out=json')) as {
      header: { revision: number };
    };
    // Nothing may have been written since the last time.
    await bed.etcd.ctl('compact', String(header.revision)).catch((error: unknown) => {
      if (!/has been compacted/.test(String(error))) throw error;
    });
  };
  const isHalf = async (): Promise<boolean> =>
    (await bed.etcd.ctl('get', `${target.prefix}/m/pos`)).includes('partAfter');
  {
    await using run = target.start();
    await run.until(isStreaming, patienceMs);
    for (let time = 0; time < times; time++) {
      await bed.sql('UPDATE people SET balance = 1');
      await compact();
      await sleep(random.integer(0, 500));
    }
    await target.caughtUp();
    assert.deepEqual(
      run.events.filter(({ type }) => type === 'history-lost'),
      [],
    );
    const told = bed.large(isSoak ? 100_000 : 8000);
    await waitUntil('half of a transaction is there', isHalf, patienceMs, 5);
    run.kill('SIGKILL');
    await run.finished;
    await told;
  }
  assert.ok(await isHalf());
  await compact();
  await target.endLease();
  await using run = target.start();
  await run.until(isRetryFor('HISTORY_LOST'), patienceMs);
  await run.until(({ type }) => type === 'table-dumped', patienceMs);
  await load.stop();
  await expectWell(target, run);
  t.diagnostic(`${run.events.filter(({ type }) => type === 'table-dumped').length} tables were dumped`);
});

/** False: etcd has no space for it. */
async function putMegabyte(etcd: EtcdCluster, key: string): Promise<boolean> {
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  const body = JSON.stringify({ key: base64(key), value: base64('x'.repeat(1_000_000)) });
  const answer = await fetch(`http://${etcd.endpoints[0]}/v3/kv/put`, { method: 'POST', body });
  const said = await answer.text();
  assert.ok(answer.ok || said.includes('database space exceeded'), said);
  return answer.ok;
}

// Proves: an etcd without much room is left some: ours is the one that stops, before the quota, and it goes on when there is room again. The same when somebody else has filled it.
test('etcd has no space', async () => {
  await using etcd = await startEtcd(bed.sandbox, { name: 'small', more: ['--quota-backend-bytes=33554432'] });
  const target = await bed.target('etcd', { etcd });
  await using load = await bed.load(random.fork('space').seed);
  await using run = target.start('--etcd-quota', '32MiB');
  await run.until(isStreaming, patienceMs);
  const makeRoom = async (): Promise<void> => {
    const { header } = JSON.parse(await etcd.ctl('get', '/', '--write-out=json')) as { header: { revision: number } };
    await etcd.ctl('compact', String(header.revision), '--physical');
    await etcd.ctl('defrag');
  };
  const isFull = (): boolean => run.events.some(isRetryFor('NO_SPACE'));
  while (!isFull()) {
    await bed.large(2000);
    await target.caughtUp(isFull);
  }
  await sleep(1000);
  assert.equal(await etcd.ctl('alarm', 'list'), '');
  await etcd.ctl('put', '/others', 'there is room for others');
  await makeRoom();
  await target.caughtUp();

  const before = run.events.filter(isRetryFor('NO_SPACE')).length;
  for (let isAlarmed = false, key = 0; !isAlarmed; key++) isAlarmed = !(await putMegabyte(etcd, `/others/${key % 8}`));
  await bed.sql('UPDATE people SET balance = 2');
  await waitUntil('it says so', () => run.events.filter(isRetryFor('NO_SPACE')).length > before, patienceMs);
  await etcd.ctl('del', '--prefix', '/others');
  await makeRoom();
  await etcd.ctl('alarm', 'disarm');
  await load.stop();
  await expectWell(target, run);
});

// Proves: a source that is stopped, or dies, and comes back is followed on at the stored position, without a dump (Y3, Y7).
test('PostgreSQL is restarted', async () => {
  const targets = [await bed.target('etcd'), await bed.target('sqlite'), await bed.target('ndjson')];
  await using load = await bed.load(random.fork('postgres').seed);
  await using stack = new AsyncDisposableStack();
  const runs = targets.map((target) => stack.use(target.start()));
  await Promise.all(runs.map((run) => run.until(isStreaming, patienceMs)));
  for (let time = 0; time < times; time++) {
    const dumps = runs.map((run) => run.events.filter(({ type }) => type === 'table-dumped').length);
    const streams = runs.map((run) => run.events.filter(isStreaming).length);
    await sleep(random.integer(0, 1000));
    if (time % 2 === 0) await bed.server.kill();
    else await bed.server.stop();
    await bed.server.start();
    for (const [place, run] of runs.entries()) {
      const isBack = (): boolean => run.events.filter(isStreaming).length > streams[place]!;
      await waitUntil(`${targets[place]!.slot} streams again`, isBack, patienceMs);
      assert.equal(run.events.filter(({ type }) => type === 'table-dumped').length, dumps[place]);
    }
  }
  await load.stop();
  for (const [place, run] of runs.entries()) await expectWell(targets[place]!, run);
  expectLinesOnce(targets[2]!, load.acknowledged);
  await expectPutsOnce(targets[0]!, load.acknowledged);
});

// Proves: a sync whose disk is full says so, waits, and goes on when there is room, with nothing lost and nothing twice: the disk of the sink, and that of what is not committed yet.
test('a disk is full', async () => {
  await using disk = await smallFileSystem(bed.sandbox, bed.sandbox.join('disk'), { sizeBytes: 134_217_728 });
  await using spill = await smallFileSystem(bed.sandbox, bed.sandbox.join('spill'), {
    sizeBytes: 33_554_432,
    kind: 'tmpfs',
  });
  const targets = [
    await bed.target('sqlite', { directory: disk.path }),
    await bed.target('ndjson', { directory: disk.path }),
  ];
  const spilling = await bed.target('sqlite');
  await using load = await bed.load(random.fork('disk').seed);
  await using stack = new AsyncDisposableStack();
  const runs = targets.map((target) => stack.use(target.start()));
  const spillRun = stack.use(spilling.start('--spill-dir', spill.path));
  const all = [...runs, spillRun];
  await Promise.all(all.map((run) => run.until(isStreaming, patienceMs)));
  await disk.fill(200_000);
  await spill.fill(200_000);
  await bed.large(3000);
  await Promise.all(all.map((run) => run.until(isRetryFor('NO_SPACE'), patienceMs)));
  disk.empty();
  spill.empty();
  await load.stop();
  for (const [place, run] of all.entries()) await expectWell([...targets, spilling][place]!, run);
  expectLinesOnce(targets[1]!, load.acknowledged);
});
