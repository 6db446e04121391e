import assert from 'node:assert/strict';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeAwkwardTree } from '@batondb/testbed/awkward-tree';
import type { Host } from '@batondb/testbed/host';
import { startHosts } from '@batondb/testbed/hosts';
import { requireRoot } from '@batondb/testbed/requirements';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { makeLargeFiles, makeSmallFiles } from '@batondb/testbed/trees';
import {
  assertAllDone,
  assertIdentical,
  assertNothingRuns,
  eventsOf,
  hostBytes,
  isSoak,
  makeTargets,
  operatorBytes,
  runCopy,
  startCopy,
} from './copy-on-bed.ts';

// One source and several targets over real ssh and shaped links. The hosts share the machine's file system, so the source
// trees are made once, and each host is only ever told its own paths.

const mib = 1024 * 1024;
const linkMbit = 400;
let trees: Sandbox;
/** Large files, many small ones, and everything awkward. */
let everything: string;
/** 24 MiB in two files and 300 small ones. */
let some: string;
let sockets: readonly string[];

before(async () => {
  requireRoot('the test of copies between hosts');
  trees = makeSandbox();
  everything = trees.join('everything');
  makeLargeFiles(join(everything, 'large'), { files: 3, bytesEach: 50 * mib });
  makeSmallFiles(join(everything, 'small'), isSoak ? 20_000 : 4000);
  ({ sockets } = await makeAwkwardTree(join(everything, 'awkward'), { root: true }));
  some = trees.join('some');
  makeLargeFiles(some, { files: 2, bytesEach: 12 * mib, seed: 2 });
  makeSmallFiles(join(some, 'small'), 300, { seed: 2 });
});

after(async () => {
  await trees[Symbol.asyncDispose]();
});

const copyOn = (host: Host, name: string): string => host.join('in', name);

// Proves: three targets in a chain get everything as it is at the source, the source sends it once, and the operator's
// machine carries none of it.
test('a chain of three', async () => {
  await using bed = await startHosts({ count: 4, linkMbit });
  const [a, ...others] = bed.hosts as [Host, ...Host[]];
  const targets = await makeTargets(others);
  const result = await runCopy(bed, [`a:${everything}`, ...targets]);
  const summary = assertAllDone(result, targets);
  const [planned] = eventsOf(result.events, 'plan');
  assert.deepEqual(
    planned?.plan.hops.map(({ from, to, address }) => [from, to, address]),
    [
      [`a:${everything}`, targets[0], others[0]?.ipv4],
      [targets[0], targets[1], others[1]?.ipv4],
      [targets[1], targets[2], others[2]?.ipv4],
    ],
  );
  assert.equal(summary.skippedSockets, sockets.length);
  assert.equal(summary.changesTotal, 0);
  assert.deepEqual(eventsOf(result.events, 'not-kept'), []);
  const wireBytes = summary.wireBytes / targets.length;
  const { sent } = await hostBytes(a);
  assert.ok(sent < wireBytes * 1.1 + 4 * mib, `the source sent ${sent} bytes where one copy is ${wireBytes}`);
  const { sent: bySource, received } = await operatorBytes(bed);
  assert.ok(bySource + received < 4 * mib, `${bySource + received} bytes went over the operator's link`);
  for (const host of others) {
    await assertIdentical(everything, copyOn(host, 'everything'));
    assert.deepEqual((await host.exec('ls -A in')).stdout, 'everything\n');
  }
  await assertNothingRuns(bed);
});

// Proves: in a star the source serves all, and they get the same.
test('a star of three', async () => {
  await using bed = await startHosts({ count: 4, linkMbit });
  const [a, ...others] = bed.hosts as [Host, ...Host[]];
  const targets = await makeTargets(others);
  const result = await runCopy(bed, ['--topology', 'star', `a:${some}`, ...targets]);
  const summary = assertAllDone(result, targets);
  const [planned] = eventsOf(result.events, 'plan');
  assert.deepEqual(
    planned?.plan.hops.map(({ from }) => from),
    targets.map(() => `a:${some}`),
  );
  const { sent } = await hostBytes(a);
  assert.ok(sent > summary.wireBytes, `the source sent ${sent} of ${summary.wireBytes} bytes`);
  for (const host of others) await assertIdentical(some, copyOn(host, 'some'));
});

// Proves: hosts that have nothing but IPv6 are named in brackets and reach each other by it.
test('over IPv6 alone', async () => {
  await using bed = await startHosts({ count: 3, linkMbit });
  for (const host of bed.hosts) await host.exec(['ip', '-4', 'addr', 'flush', 'dev', 'eth0']);
  const [a, b, c] = bed.hosts as [Host, Host, Host];
  await makeTargets([b, c]);
  const targets = [`[${b.ipv6}]:${b.join('in')}`, `[${c.ipv6}]:${c.join('in')}`];
  const result = await runCopy(bed, [`[${a.ipv6}]:${some}`, ...targets]);
  assertAllDone(result, targets);
  const [planned] = eventsOf(result.events, 'plan');
  assert.deepEqual(
    planned?.plan.hops.map(({ address }) => address),
    [b.ipv6, c.ipv6],
  );
  for (const host of [b, c]) await assertIdentical(some, copyOn(host, 'some'));
});

// Proves: the command may run on a third host, on the source or on a target, whose own paths it then calls local.
test('the coordinator is anywhere', async () => {
  await using bed = await startHosts({ count: 4, linkMbit });
  const [, b, c, d] = bed.hosts as [Host, Host, Host, Host];
  const remote = await makeTargets([b, c]);
  assertAllDone(await runCopy(bed, [`a:${some}`, ...remote], { on: d }), remote);
  const { sent, received } = await hostBytes(d);
  assert.ok(sent + received < 4 * mib, `${sent + received} bytes went over the coordinator's link`);

  const fromSource = await runCopy(bed, ['--as', 'from-source', some, ...remote], { on: bed.host('a') });
  assertAllDone(fromSource, remote);

  const local = [b.join('in'), remote[1] ?? ''];
  assertAllDone(await runCopy(bed, ['--as', 'on-target', `a:${some}`, ...local], { on: b }), local);
  for (const host of [b, c])
    for (const name of ['some', 'from-source', 'on-target']) await assertIdentical(some, copyOn(host, name));
});

// Proves: --verify disk reads both sides again, says so, and every digest is that of the wire.
test('verified on the disks', async () => {
  await using bed = await startHosts({ count: 3 });
  const [, b, c] = bed.hosts as [Host, Host, Host];
  const targets = await makeTargets([b, c]);
  const wire = assertAllDone(await runCopy(bed, ['--as', 'wire', `a:${some}`, ...targets]), targets);
  const disk = assertAllDone(await runCopy(bed, ['--verify', 'disk', `a:${some}`, ...targets]), targets);
  assert.equal(disk.targets[0]?.treeDigest, wire.targets[0]?.treeDigest);
  for (const host of [b, c]) await assertIdentical(some, copyOn(host, 'some'));
});

// Proves: --compress decides what is on the wire, also that of a relay, and changes nothing of what arrives.
test('compressed or not', async () => {
  await using bed = await startHosts({ count: 3 });
  const [, b, c] = bed.hosts as [Host, Host, Host];
  const targets = await makeTargets([b, c]);
  const onWire = async (how: string): Promise<number[]> => {
    const name = `by-${how.replace(':', '-')}`;
    const result = await runCopy(bed, ['--compress', how, '--as', name, `a:${some}`, ...targets]);
    const summary = assertAllDone(result, targets);
    for (const host of [b, c]) await assertIdentical(some, copyOn(host, name));
    return summary.targets.map(({ wireBytes, contentBytes }) => wireBytes / contentBytes);
  };
  for (const ratio of await onWire('none')) assert.ok(ratio > 1 && ratio < 1.05, `uncompressed ${ratio}`);
  for (const ratio of await onWire('zstd:3')) assert.ok(ratio > 0.3 && ratio < 0.75, `zstd:3 ${ratio}`);
});

// Proves: --streams is the number of connections of each hop.
test('as many streams as asked for', async () => {
  await using bed = await startHosts({ count: 3, linkMbit: 80 });
  const [, b, c] = bed.hosts as [Host, Host, Host];
  const targets = await makeTargets([b, c]);
  for (const streams of [1, 4]) {
    const name = `with-${streams}`;
    await using run = startCopy(bed, ['--streams', String(streams), '--as', name, `a:${some}`, ...targets]);
    const { plan } = await run.untilType('plan');
    await run.untilProgress(0.2, targets[1]);
    for (const [index, host] of [b, c].entries()) {
      const port = `:${plan.hops[index]?.port ?? 0}`;
      const open = await host.exec(['ss', '-tnH', 'state', 'established', 'sport', '=', port]);
      assert.equal(open.stdout.trim().split('\n').length, streams, open.stdout);
    }
    assertAllDone(await run.finished, targets);
    for (const host of [b, c]) await assertIdentical(some, copyOn(host, name));
  }
});

// Proves: --bwlimit holds for each hop, all its streams together: what a host gets on the wire in a time is within it.
test('not faster than the limit', async () => {
  await using bed = await startHosts({ count: 3, linkMbit });
  const [, b, c] = bed.hosts as [Host, Host, Host];
  const targets = await makeTargets([b, c]);
  const limitBytes = 4_000_000;
  const options = ['--bwlimit', '4MB', '--compress', 'none', '--streams', '4'];
  await using run = startCopy(bed, [...options, `a:${some}`, ...targets]);
  await run.untilProgress(0.1, targets[1]);
  const measure = async () => ({ atMs: performance.now(), bytes: await Promise.all([b, c].map(hostBytes)) });
  const first = await measure();
  await sleep(3000);
  const second = await measure();
  assert.equal(eventsOf(run.events, 'target-done').length, 0, 'the copy was over before it was measured');
  const seconds = (second.atMs - first.atMs) / 1000;
  for (const [index, { received }] of second.bytes.entries()) {
    const rate = (received - (first.bytes[index]?.received ?? 0)) / seconds;
    // Headers and control messages are not counted by the limit; four units may go at the window's edge.
    assert.ok(rate < limitBytes * 1.1 + (4 * mib) / seconds, `${rate} bytes a second`);
    assert.ok(rate > limitBytes / 4, `only ${rate} bytes a second: that is not the limit`);
  }
  const { targets: results } = assertAllDone(await run.finished, targets);
  for (const { contentBytes, durationMs } of results)
    assert.ok(durationMs > (contentBytes / limitBytes) * 900, `${contentBytes} bytes in ${durationMs} ms`);
  for (const host of [b, c]) await assertIdentical(some, copyOn(host, 'some'));
});

// Proves: --as names the copy, @FILE names the targets, and --exclude and --one-file-system leave out what they say.
test('names, lists and what is left out', async () => {
  await using bed = await startHosts({ count: 3 });
  const [a, b, c] = bed.hosts as [Host, Host, Host];
  const source = a.join('source');
  makeSmallFiles(source, 40, { perDirectory: 10 });
  for (const name of ['keep.txt', 'drop.log', 'cache/inside', 'below/cache/stays', 'below/drop.log', 'other/inside']) {
    mkdirSync(join(source, name, '..'), { recursive: true });
    writeFileSync(join(source, name), name);
  }
  const other = await a.exec(['mount', '-t', 'tmpfs', 'baton-testbed', join(source, 'other')]);
  assert.equal(other.code, 0, other.stderr);
  a.record.add('mounts', join(source, 'other'));
  writeFileSync(join(source, 'other', 'mounted'), 'on another file system');
  const targets = await makeTargets([b, c]);
  const list = bed.host('a').join('hosts.txt');
  writeFileSync(list, `# the replicas\n\n${targets[0]}\n  ${targets[1]}\n`);
  const leaveOut = ['--exclude', '*.log', '--exclude', '/cache'];
  const result = await runCopy(bed, ['--as', 'named', ...leaveOut, '--one-file-system', `a:${source}`, `@${list}`]);
  assertAllDone(result, targets);
  for (const host of [b, c]) {
    await assertIdentical(source, copyOn(host, 'named'), ['drop.log', 'below/drop.log', 'cache', 'other']);
    assert.deepEqual((await host.exec('ls -A in')).stdout, 'named\n');
    const there = ['drop.log', 'below/drop.log', 'cache', 'other/mounted', 'other/inside'].filter((name) =>
      existsSync(copyOn(host, join('named', name))),
    );
    assert.deepEqual(there, []);
    // The mount point itself belongs to the tree; what is mounted on it does not.
    assert.ok(existsSync(copyOn(host, 'named/other')));
  }
});
