import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { BatonError } from '../src/errors.ts';
import { limits } from '../src/limits.ts';
import { claimBlockBytes } from '../src/protocol/claim.ts';
import { CompressionChoice } from '../src/transfer/compression-choice.ts';
import { Outbox } from '../src/transfer/outbox.ts';
import { assertSameTrees, feed, fill, hasCode, makeBase, openSource, openTarget, patience } from './transfer.hosts.ts';

/** Overwrites some bytes of a file in its place. */
async function overwrite(path: string, offset: number, text: string): Promise<void> {
  await using file = await open(path, 'r+');
  await file.write(text, offset);
}

// Proves: over connections that break, behind a relay, and while somebody writes to the older copy, a tree takes the place of an older one
// and is what the source has; of what was the same next to nothing is sent.
test('an older copy is brought up to date', patience, async () => {
  using base = makeBase();
  fill(base.source, 20);
  const [near, far] = [join(base.path, 'near'), join(base.path, 'far')];
  for (const directory of [near, far])
    execFileSync('sh', ['-c', 'mkdir "$1" && cp -a "$0" "$1"', base.source, directory]);
  await overwrite(join(base.source, 'large'), 7_000_000, 'of the source');
  await overwrite(join(far, 'source/large'), 11_000_000, 'of this target');
  writeFileSync(join(base.source, 'deep/small-8'), 'of another length');
  await using source = await openSource(base.source);
  await using relay = await openTarget(near, { manifest: source.manifest, updates: true });
  await using last = await openTarget(far, { manifest: source.manifest, member: 2, updates: true });
  const published = [relay.finish(), last.finish()];
  const relaying = relay.receiver.tree.then((tree) => feed(tree, last, { from: 1, to: 2 }));
  let attempts = 0;
  const faults = () => (attempts++ === 0 ? { cutAfterBytes: 4000 } : {});
  await assert.rejects(feed(source.supply, relay, { streams: 1, faults }), hasCode('CONNECTION_LOST'));
  // What was claimed is something else when the answer comes: the unit is refused, and claimed anew.
  const take = async () => {
    for (let at = 0; at < 20_000_000; at += 500_000) await overwrite(join(near, 'source/large'), at, 'meanwhile');
  };
  const rateLimit = { take, reserve: () => 0 } as never;
  await assert.rejects(feed(source.supply, relay, { streams: 1, rateLimit }), hasCode('DIGEST_MISMATCH'));
  await feed(source.supply, relay);
  await Promise.all([relaying, ...published]);
  for (const [directory, { failures, receiver }] of [
    [near, relay],
    [far, last],
  ] as const) {
    assertSameTrees(base.source, join(directory, 'source'));
    assert.deepEqual(readdirSync(directory), ['source'], 'nothing of the older copy is left');
    assert.deepEqual(failures, []);
    const manifestBytes = source.manifest.sections.reduce((sum, { byteLength }) => sum + byteLength, 0);
    const mostBytes = manifestBytes + 60 * claimBlockBytes + source.layout.unitCount * 100;
    assert.ok(receiver.wireBytes < mostBytes, `${receiver.wireBytes} bytes were sent`);
  }
});

// Proves: of a host that has no older copy everything is asked for, and one whose name is taken by another kind of thing refuses.
test('nothing to bring up to date', patience, async () => {
  using base = makeBase();
  fill(base.source, 2);
  await using source = await openSource(base.source);
  const directory = join(base.path, 'target');
  await using target = await openTarget(directory, { manifest: source.manifest, updates: true });
  await Promise.all([feed(source.supply, target), target.finish()]);
  assertSameTrees(base.source, join(directory, 'source'));
  writeFileSync(join(directory, 'file'), '');
  await using other = await openTarget(directory, { manifest: source.manifest, updates: true, name: 'file' });
  assert.throws(() => other.staging.checkKind('directory'), hasCode('EXISTS'));
});

// Proves (P4): a receiver claims units that there are, a bounded number ahead, and only if it said so.
test('claims have bounds', () => {
  const supply = { layout: { unitCount: 1000 }, watch: () => ({ [Symbol.dispose]: () => undefined }) };
  const makeOutbox = (claims: boolean): Outbox =>
    new Outbox(supply as never, new CompressionChoice({ mode: 'none' }), { readsMax: 1, claims });
  using outbox = makeOutbox(true);
  const digests = new Uint8Array(0);
  assert.throws(() => outbox.claim({ unit: 1000, digests }), hasCode('PROTOCOL'));
  for (let unit = 0; unit < limits.claimsMax; unit++) outbox.claim({ unit, digests });
  assert.throws(() => outbox.claim({ unit: 999, digests }), hasCode('LIMIT'));
  using silent = makeOutbox(false);
  assert.throws(
    () => silent.claim({ unit: 0, digests }),
    (error) => error instanceof BatonError && error.code === 'PROTOCOL',
  );
});
