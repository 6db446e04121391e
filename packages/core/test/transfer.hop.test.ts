import assert from 'node:assert/strict';
import { appendFileSync, readdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { BatonError } from '../src/errors.ts';
import { limits } from '../src/limits.ts';
import { treeDigest } from '../src/protocol/tree-digest.ts';
import type { SourceTree } from '../src/transfer/source-tree.ts';
import { runs } from './property.ts';
import {
  assertSameTrees,
  content,
  feed,
  fill,
  hasCode,
  makeBase,
  openSource,
  openTarget,
  patience,
} from './transfer.hosts.ts';

// Proves (T7): one hop brings a whole tree, over any number of streams and with any compression; both ends name one digest.
test('a hop brings a whole tree', patience, async () => {
  using base = makeBase();
  fill(base.source, 6);
  await using source = await openSource(base.source);
  for (const [index, hop] of [
    { streams: 1, compression: { mode: 'none' } },
    { streams: 2, compression: { mode: 'auto' } },
    { streams: 12, compression: { mode: 'zstd', level: 3 } },
  ].entries()) {
    const directory = join(base.path, `target-${index}`);
    await using target = await openTarget(directory, source);
    const [digest, published] = await Promise.all([feed(source.supply, target, hop as never), target.finish()]);
    assert.equal(Buffer.compare(digest, published), 0);
    assertSameTrees(base.source, join(directory, 'source'));
    assert.deepEqual(readdirSync(directory), ['source'], 'the staging directory is gone');
    assert.deepEqual(target.failures, []);
  }
  assert.deepEqual(source.changes, []);
});

// Proves (T7): a source that nobody needed to read names the same digest as those who have the copy, once it has read it all.
test('a source that was read again knows the whole', patience, async () => {
  using base = makeBase();
  // No symlink: reading one moves its access time, and with it the manifest.
  writeFileSync(join(base.source, 'large'), content(3_000_000, 1));
  writeFileSync(join(base.source, 'small'), 'small');
  const digestOf = ({ known, manifest }: SourceTree): Uint8Array =>
    treeDigest(manifest.digest, known.allDigests(), known.allChanges());
  await using source = await openSource(base.source);
  await using target = await openTarget(join(base.path, 'target'), source);
  const [, published] = await Promise.all([feed(source.supply, target), target.finish()]);
  await using idle = await openSource(base.source);
  for (const { supply } of [source, idle]) {
    await supply.verify(new AbortController().signal);
    assert.equal(supply.known.isFull, true);
    assert.equal(Buffer.compare(digestOf(supply), published), 0);
  }
  writeFileSync(join(base.source, 'large'), content(3_000_000, 99));
  await source.supply.verify(new AbortController().signal);
  assert.deepEqual(
    source.changes.map((change) => change.split(' ')[1]),
    ['changed'],
  );
});

/** Feeds again and again until the receiver has all, as a sender does. */
async function feedUntilComplete(attempt: () => Promise<Uint8Array>, attemptsMax: number): Promise<Uint8Array> {
  for (let attempts = 1; ; attempts++) {
    try {
      return await attempt();
    } catch (error) {
      assert.ok(error instanceof BatonError && error.retryable, `attempt ${attempts}: ${String(error)}`);
      assert.ok(attempts < attemptsMax, `${attemptsMax} attempts were not enough: ${error.message}`);
    }
  }
}

// Proves: a connection cut at any byte costs what was on the way; feeding goes on where it ended until the copy is whole.
test('cut at random bytes, a hop goes on', patience, async () => {
  using base = makeBase();
  fill(base.source, 5);
  await using source = await openSource(base.source);
  let round = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 6_000_000 }), { maxLength: 12 }), async (cuts) => {
      const directory = join(base.path, `cut-${round++}`);
      await using target = await openTarget(directory, source);
      const published = target.finish();
      let connection = 0;
      const faults = () => {
        const cut = cuts[connection++];
        return cut === undefined ? {} : { cutAfterBytes: cut };
      };
      await feedUntilComplete(() => feed(source.supply, target, { faults }), cuts.length + 2);
      await published;
      assertSameTrees(base.source, join(directory, 'source'));
      assert.deepEqual(target.failures, []);
      assert.deepEqual(readdirSync(directory), ['source']);
    }),
    runs(6),
  );
});

// Proves (T3): a byte that changes on the way is noticed, refused and sent again; what is written in the end is right.
test('flipped bytes are sent again', patience, async () => {
  using base = makeBase();
  fill(base.source, 4);
  await using source = await openSource(base.source);
  const directory = join(base.path, 'target');
  await using target = await openTarget(directory, source);
  const published = target.finish();
  // In the content of units, which begin after the handshake and the manifest.
  const manifestBytes = source.manifest.sections.reduce((sum, { byteLength }) => sum + byteLength, 0);
  const flips = [manifestBytes + 3_000, manifestBytes + 700_000, manifestBytes + 1_500_000];
  let attempt = 0;
  await feedUntilComplete(() => {
    const flipByteAt = flips[attempt] ?? Number.MAX_SAFE_INTEGER;
    return feed(source.supply, target, { streams: 1, faults: () => (attempt++ < flips.length ? { flipByteAt } : {}) });
  }, flips.length + 1);
  assert.ok(attempt > 1, 'at least one flip was noticed');
  await published;
  assertSameTrees(base.source, join(directory, 'source'));
});

// Proves (T2, T5): a stopped receiver, opened again, keeps what it had, and little is sent twice.
test('a second run goes on where the first ended', patience, async () => {
  using base = makeBase();
  fill(base.source, 24);
  await using source = await openSource(base.source);
  const directory = join(base.path, 'target');
  {
    await using target = await openTarget(directory, source);
    const faults = () => ({ cutAfterBytes: 20_000_000 });
    await assert.rejects(feed(source.supply, target, { streams: 1, faults }), hasCode('CONNECTION_LOST'));
    assert.deepEqual(target.failures, []);
  }
  await using target = await openTarget(directory, source);
  const [, digest] = await Promise.all([feed(source.supply, target), target.finish()]);
  const { report } = target.prepared;
  assert.ok(report !== undefined && report.keptUnits >= 12, `${report?.keptUnits} units were kept`);
  assert.deepEqual(target.damaged, []);
  const sentBytes = target.receiver.wireBytes;
  assert.ok(sentBytes < source.layout.contentBytes - report.keptBytes + 200_000, `${sentBytes} bytes were sent`);
  assertSameTrees(base.source, join(directory, 'source'));
  assert.equal(digest.byteLength, 32);
});

// Proves (T5): a relay passes on what it receives while it receives it; a receiver behind it that takes nothing for a while
// slows nobody down, and still gets all.
test('a slow receiver behind a relay slows nobody', patience, async () => {
  using base = makeBase();
  fill(base.source, 30);
  await using source = await openSource(base.source);
  const [near, far] = [join(base.path, 'near'), join(base.path, 'far')];
  await using relay = await openTarget(near, source);
  await using last = await openTarget(far, { manifest: source.manifest, member: 2 });
  let open: () => void = () => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const halting = { take: () => gate, reserve: () => 0 };
  const relaying = relay.receiver.tree.then((tree) =>
    feed(tree, last, { from: 1, to: 2, rateLimit: halting as never }),
  );
  const lastPublished = last.finish();
  const [digest] = await Promise.all([feed(source.supply, relay), relay.finish()]);
  assert.equal(last.receiver.wireBytes < limits.unitBytes, true, 'the last one has received nothing yet');
  open();
  const [relayed] = await Promise.all([relaying, lastPublished]);
  assert.equal(Buffer.compare(relayed, digest), 0);
  assertSameTrees(base.source, join(near, 'source'));
  assertSameTrees(base.source, join(far, 'source'));
});

// Proves: two senders that feed the same receiver at once, as in healing, do no harm.
test('duplicate senders do no harm', patience, async () => {
  using base = makeBase();
  fill(base.source, 6);
  await using source = await openSource(base.source);
  const directory = join(base.path, 'target');
  await using target = await openTarget(directory, source);
  const published = target.finish();
  const digests = await Promise.all([
    feed(source.supply, target),
    feed(source.supply, target),
    feed(source.supply, target),
  ]);
  for (const digest of digests) assert.equal(Buffer.compare(digest, await published), 0);
  assertSameTrees(base.source, join(directory, 'source'));
});

// Proves: a new route ends the old sender's connections, and the old number is refused from then on.
test('an old route ends', patience, async () => {
  using base = makeBase();
  fill(base.source, 3);
  await using source = await openSource(base.source);
  await using target = await openTarget(join(base.path, 'target'), source);
  const stuck = feed(source.supply, target, { rateLimit: { take: () => new Promise(() => {}) } as never });
  const ended = assert.rejects(stuck, hasCode('CONNECTION_LOST'));
  await target.receiver.tree;
  target.expected.epoch = 2;
  target.receiver.dropOlderThan(2);
  await ended;
  await assert.rejects(feed(source.supply, target), (error) => {
    return (
      error instanceof BatonError && error.code === 'PROTOCOL' && !error.retryable && /epoch is 1/.test(error.message)
    );
  });
  await assert.rejects(feed(source.supply, target, { epoch: 3 }), (error) => {
    return error instanceof BatonError && error.code === 'PROTOCOL' && error.retryable;
  });
  await Promise.all([feed(source.supply, target, { epoch: 2 }), target.finish()]);
});

// Proves: only the manifest that the coordinator named is received; nothing of another one is kept.
test('another manifest is refused', patience, async () => {
  using base = makeBase();
  fill(base.source, 1);
  await using source = await openSource(base.source);
  const directory = join(base.path, 'target');
  await using target = await openTarget(directory, { manifest: source.manifest, digest: new Uint8Array(32) });
  await assert.rejects(feed(source.supply, target), hasCode('NOT_TRUSTED'));
  assert.equal(readdirSync(directory).length, 1);
  assert.deepEqual(readdirSync(join(directory, readdirSync(directory)[0] ?? '')), [], 'staging is empty');
});

// Proves: a receiver that has failed takes nothing more, and says why.
test('a closed receiver refuses with its reason', patience, async () => {
  using base = makeBase();
  fill(base.source, 1);
  await using source = await openSource(base.source);
  await using target = await openTarget(join(base.path, 'target'), source);
  target.receiver.close(new BatonError('NO_SPACE', 'for this test'));
  await assert.rejects(feed(source.supply, target), (error) => {
    return error instanceof BatonError && error.code === 'NO_SPACE' && /for this test/.test(error.message);
  });
});

// Proves: a tree that cannot be prepared is this receiver's failure, told once, and no end of the process.
test('a failed preparation is a failure of the receiver', patience, async () => {
  using base = makeBase();
  fill(base.source, 1);
  await using source = await openSource(base.source);
  await using target = await openTarget(join(base.path, 'target'), source);
  await target.pool[Symbol.asyncDispose]();
  await assert.rejects(feed(source.supply, target), hasCode('INTERRUPTED'));
  assert.equal(target.failures.length, 1);
  await assert.rejects(target.receiver.tree, hasCode('INTERRUPTED'));
});

// Proves: an aborted hop leaves no connection behind, whatever it was doing.
test('an aborted hop ends at once', patience, async () => {
  using base = makeBase();
  fill(base.source, 4);
  await using source = await openSource(base.source);
  await using target = await openTarget(join(base.path, 'target'), source);
  for (const afterTurns of [0, 1, 3, 10, 40, 100]) {
    const controller = new AbortController();
    const feeding = feed(source.supply, target, { signal: controller.signal, streams: 4 });
    const ended = assert.rejects(feeding);
    for (let turn = 0; turn < afterTurns; turn++) await new Promise((resolve) => setImmediate(resolve));
    controller.abort();
    await ended;
  }
  await Promise.all([feed(source.supply, target), target.finish()]);
});

// Proves (T4): a source file that grows, shrinks or changes while it is read is told once, and the copy goes on.
test('changes of the source are told, file by file', patience, async () => {
  using base = makeBase();
  fill(base.source, 2);
  await using source = await openSource(base.source);
  appendFileSync(join(base.source, 'deep/small-30'), 'more');
  truncateSync(join(base.source, 'large'), 1_500_000);
  const directory = join(base.path, 'target');
  await using target = await openTarget(directory, source);
  await Promise.all([feed(source.supply, target), target.finish()]);
  const kinds = source.changes.map((change) => change.split(' ')[1]);
  assert.deepEqual(new Set(kinds), new Set(['grew', 'shrank']));
  assert.equal(kinds.length, 2, 'once a file');
});
