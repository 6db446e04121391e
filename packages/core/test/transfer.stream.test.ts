import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { limits } from '../src/limits.ts';
import type { FileEntry } from '../src/protocol/entry.ts';
import { type Manifest, ManifestBuilder } from '../src/protocol/manifest.ts';
import { HaveSet } from '../src/transfer/have.ts';
import { Layout } from '../src/transfer/layout.ts';
import { StreamSupply } from '../src/transfer/stream-supply.ts';
import { StreamWindow } from '../src/transfer/stream-window.ts';
import { openUnit } from '../src/transfer/unit-codec.ts';
import { WorkerPool } from '../src/transfer/worker-pool.ts';
import { runs } from './property.ts';
import { content, feed, hasCode, makeBase, openTarget, patience, type TargetHost } from './transfer.hosts.ts';

const mib = limits.unitBytes;
const never = new AbortController().signal;

function streamManifest(sizeBytesMax: number = limits.streamBytesMax): Manifest {
  const builder = new ManifestBuilder();
  const entry: FileEntry = {
    kind: 'file',
    parent: -1,
    name: Buffer.from('stream'),
    mode: 0o600,
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
    modifyTimeNs: 1_000_000_007n,
    accessTimeNs: 0n,
    xattrs: [],
    sizeBytes: sizeBytesMax,
    identity: { device: 0n, inode: BigInt(Math.floor(Math.random() * 1e9)), changeTimeNs: 0n },
    extents: undefined,
    isStream: true,
  };
  builder.add(entry);
  return builder.finish();
}

type StreamHost = AsyncDisposable & { readonly supply: StreamSupply; readonly manifest: Manifest };

function openStream(sizeBytesMax?: number): StreamHost {
  const pool = new WorkerPool(2);
  const manifest = streamManifest(sizeBytesMax);
  const supply = new StreamSupply(pool, manifest, Layout.of(manifest));
  const dispose = async () => {
    supply[Symbol.dispose]();
    await pool[Symbol.asyncDispose]();
  };
  return { supply, manifest, [Symbol.asyncDispose]: dispose };
}

/** Content in chunks of uneven lengths, as a pipe gives it. */
async function* chunksOf(bytes: Uint8Array, chunkBytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += chunkBytes) yield new Uint8Array(bytes.subarray(at, at + chunkBytes));
}

/** Releases what a target has, as its word reaches the source. */
async function releaseWhatIsHeld(supply: StreamSupply, targets: readonly TargetHost[], over: AbortSignal) {
  while (!over.aborted) {
    await sleep(2);
    const trees = await Promise.all(targets.map(({ receiver }) => receiver.tree));
    supply.release(Math.min(...trees.map(({ have }) => have.prefix)));
  }
}

// Proves: a stream of any length arrives as it was, over a relay, too; both ends name one digest, and nothing else is left.
test('a stream arrives as it was', patience, async () => {
  using base = makeBase();
  for (const [index, bytes] of [0, 1, mib - 1, mib, mib + 1, 5 * mib, 9_876_543].entries()) {
    const sent = content(bytes, index + 1);
    await using source = openStream();
    const { manifest } = source;
    const directories = [join(base.path, `first-${index}`), join(base.path, `second-${index}`)] as const;
    await using first = await openTarget(directories[0], { manifest, name: 'stream' });
    await using second = await openTarget(directories[1], { manifest, member: 2, name: 'stream' });
    const sending = source.supply.send(chunksOf(sent, 70_001), { mode: 'auto' }, never).then(() => source.supply.end());
    const relay = first.receiver.tree.then((tree) => feed(tree, second, { from: 1, to: 2 }));
    const [digest, ...published] = await Promise.all([
      feed(source.supply, first),
      first.finish(),
      second.finish(),
      relay,
      sending,
    ]);
    for (const other of published.slice(0, 2)) assert.equal(Buffer.compare(digest, other as Uint8Array), 0);
    for (const directory of directories) {
      assert.equal(Buffer.compare(readFileSync(join(directory, 'stream')), sent), 0, `${bytes} bytes`);
      assert.deepEqual(readdirSync(directory), ['stream']);
    }
    assert.equal(source.supply.contentBytes, bytes);
  }
});

// Proves (T11): a source keeps a bounded part of a stream and reads no further until it is released; what it released is refused by
// name, and what it keeps can be sent again.
test('a stream waits for its receivers', patience, async () => {
  using base = makeBase();
  await using source = openStream();
  const { supply, manifest } = source;
  const sent = content((limits.streamWindowUnits + 20) * mib, 3);
  let readBytes = 0;
  const counted = async function* (): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunksOf(sent, mib)) {
      readBytes += chunk.length;
      yield chunk;
    }
  };
  const sending = supply.send(counted(), { mode: 'none' }, never);
  while (!supply.isWaiting) await sleep(5);
  await sleep(50);
  assert.equal(readBytes, limits.streamWindowUnits * mib);
  const over = new AbortController();
  {
    await using target = await openTarget(join(base.path, 'early'), { manifest, name: 'stream' });
    const releasing = releaseWhatIsHeld(supply, [target], over.signal);
    const feeding = feed(supply, target);
    await sending;
    supply.end();
    await Promise.all([feeding, target.finish()]);
    over.abort();
    await releasing;
  }
  assert.ok(supply.oldest > 0);
  await using late = await openTarget(join(base.path, 'late'), { manifest, name: 'stream' });
  await assert.rejects(feed(supply, late), hasCode('HISTORY_LOST'));
  assert.equal(Buffer.compare(readFileSync(join(base.path, 'early/stream')), sent), 0);
});

// Proves: a broken connection in the middle of a stream loses nothing: what the source keeps is sent again.
test('a stream survives a broken connection', patience, async () => {
  using base = makeBase();
  await using source = openStream();
  const { supply, manifest } = source;
  const sent = content(30 * mib, 5);
  await using target = await openTarget(join(base.path, 'target'), { manifest, name: 'stream' });
  const sending = supply.send(chunksOf(sent, 100_000), { mode: 'none' }, never).then(() => supply.end());
  const published = target.finish();
  let attempts = 0;
  for (let isComplete = false; !isComplete; attempts++) {
    const faults = () => (attempts < 3 ? { cutAfterBytes: 4 * mib * (attempts + 1) } : {});
    isComplete = await feed(supply, target, { faults, streams: 2 }).then(
      () => true,
      () => false,
    );
  }
  await Promise.all([sending, published]);
  assert.ok(attempts > 1);
  assert.equal(Buffer.compare(readFileSync(join(base.path, 'target/stream')), sent), 0);
});

// Proves: what a spool forgets takes no place on the disk any more and is refused by name, and the rest is as it came.
test('a spool frees what it forgets', patience, async () => {
  using base = makeBase();
  await using source = openStream();
  const { supply, manifest } = source;
  const sent = content(20 * mib, 9);
  const directory = join(base.path, 'target');
  await using target = await openTarget(directory, { manifest, name: 'stream', isSpool: true });
  const sending = supply.send(chunksOf(sent, mib), { mode: 'none' }, never).then(() => supply.end());
  await Promise.all([sending, feed(supply, target)]);
  const [staging = ''] = readdirSync(directory);
  const spool = join(directory, staging, 'tree');
  const allocatedBytes = (): number => statSync(spool).blocks * 512;
  assert.ok(allocatedBytes() >= 20 * mib);
  const tree = await target.receiver.tree;
  await tree.forget(16);
  await tree.forget(3);
  assert.ok(allocatedBytes() <= 5 * mib, `${allocatedBytes()} bytes`);
  assert.equal(tree.oldest, 16);
  await assert.rejects(tree.read(15, { mode: 'none' }), hasCode('HISTORY_LOST'));
  const message = await tree.read(16, { mode: 'none' });
  assert.equal(Buffer.compare(openUnit(message).content, sent.subarray(16 * mib, 17 * mib)), 0);
  assert.equal(Buffer.compare(readFileSync(spool).subarray(16 * mib), sent.subarray(16 * mib)), 0);
});

// Proves: a stream whose end was not said is not complete, however much of it came; nor is one that breaks, or is longer than allowed.
test('a stream without its end is none', patience, async () => {
  using base = makeBase();
  await using source = openStream(3 * mib);
  const { supply, manifest } = source;
  await using target = await openTarget(join(base.path, 'target'), { manifest, name: 'stream' });
  const ended = new AbortController();
  const feeding = feed(supply, target, { signal: ended.signal });
  await supply.send(chunksOf(content(2 * mib, 1), mib), { mode: 'none' }, never);
  const tree = await target.receiver.tree;
  while (tree.have.count < 2) await sleep(5);
  await sleep(50);
  assert.equal(tree.have.isFull, false);
  ended.abort();
  await assert.rejects(feeding);
  assert.deepEqual(
    readdirSync(join(base.path, 'target')).filter((name) => name === 'stream'),
    [],
  );

  await using tooLong = openStream(3 * mib);
  const tooMuch = chunksOf(content(3 * mib + 1, 1), mib);
  await assert.rejects(tooLong.supply.send(tooMuch, { mode: 'none' }, never), hasCode('LIMIT'));
  await using broken = openStream();
  const breaking = async function* (): AsyncGenerator<Uint8Array> {
    yield content(10, 1);
    throw new Error('the pipe broke');
  };
  await assert.rejects(broken.supply.send(breaking(), { mode: 'none' }, never), /the pipe broke/);
});

// Proves: a stream ends with the units it has and no others; a sender that says otherwise is refused.
test('the end of a stream', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(50), { minLength: 1 }), fc.nat(60), (units, end) => {
      const have = new HaveSet(100);
      for (const unit of units) have.add(unit, new Uint8Array(32));
      const reach = Math.max(...units) + 1;
      assert.equal(have.reach, reach);
      const missing = Array.from({ length: reach + 1 }, (_, unit) => unit).find((unit) => !units.includes(unit));
      assert.equal(have.prefix, missing);
      if (end < reach) {
        assert.throws(() => have.end(end), hasCode('PROTOCOL'));
        return;
      }
      have.end(end);
      assert.equal(have.isFull, units.length === end);
      assert.equal(have.allDigests().byteLength, end * 32);
    }),
    runs(200),
  );
});

// Proves: what is handed on from memory comes in order, whole and once, whatever the order in which units arrive; and a sender that does
// not keep to the window is refused (T11).
test('a window hands a stream on', async () => {
  await using pool = new WorkerPool(2);
  const manifest = streamManifest();
  using window = new StreamWindow(pool, manifest, Layout.of(manifest));
  const units = Array.from({ length: 5 }, (_, unit) => content(unit === 4 ? 1000 : mib, unit));
  const messageOf = async (unit: number, bytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>> => {
    const copy = new Uint8Array(bytes);
    const into = new Uint8Array(2 * mib);
    const mode = unit % 2 === 0 ? 'auto' : 'none';
    return (await pool.run({ kind: 'encode', unit, content: copy, compression: { mode }, into })).payload;
  };
  const reading = (async () => {
    const chunks: Buffer[] = [];
    for await (const chunk of window.content(never)) chunks.push(Buffer.from(chunk));
    return chunks;
  })();
  for (const unit of [3, 1, 0, 1, 4, 2]) await window.write(await messageOf(unit, units[unit] ?? new Uint8Array()));
  window.end(5);
  await window.full;
  assert.ok(Buffer.concat(await reading).equals(Buffer.concat(units)));
  assert.equal(window.taken, 5);

  using unread = new StreamWindow(pool, manifest, Layout.of(manifest));
  const ahead = await messageOf(limits.streamWindowUnits, content(10, 1));
  await assert.rejects(unread.write(ahead), hasCode('LIMIT'));
  const broken = await messageOf(1, content(mib, 1));
  broken[broken.length - 1]! ^= 1;
  await assert.rejects(unread.write(broken), hasCode('DIGEST_MISMATCH'));
  assert.equal(unread.have.count, 0);
});
