// Proves: what an unpacker writes shares the blocks of what is equal in an older state, and only that; no file changes by it, whatever the older one is or becomes.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { type SmallFileSystem, smallFileSystem } from '@batondb/testbed/mounts';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { ShareBehind, unsharedBytesMax } from '../src/share-behind.ts';

const kib = 1024;
const mib = 1024 * kib;
const page = 16 * kib;
const timeout = 60_000;
const never = new AbortController().signal;

const sandbox = makeSandbox();
const disks: SmallFileSystem[] = [];
before(async () => {
  for (const kind of ['xfs', 'btrfs'] as const)
    disks.push(await smallFileSystem(sandbox, sandbox.join(kind), { kind, sizeBytes: 512 * mib }));
});
after(async () => {
  for (const disk of disks) await disk[Symbol.asyncDispose]();
  await sandbox[Symbol.asyncDispose]();
});

afterEach(() => {
  for (const { path } of disks) for (const name of readdirSync(path)) rmSync(join(path, name), { recursive: true });
});

function makeDirectories(disk: SmallFileSystem): { old: string; fresh: string } {
  const [old, fresh] = [join(disk.path, 'old'), join(disk.path, 'new')];
  for (const path of [old, fresh]) mkdirSync(join(path, 'shop'), { recursive: true });
  return { old, fresh };
}

/** Has `content` written as an unpacker does, in parts; returns what became of it. */
async function unpack(behind: ShareBehind, path: string, content: Buffer, partBytes = 10 * mib): Promise<void> {
  const descriptor = openSync(join(behind.directory, path), 'w');
  for (let offset = 0; offset < content.length; offset += partBytes) {
    const part = content.subarray(offset, offset + partBytes);
    behind.given({ path, offset, bytes: part.length });
    await behind.room();
    writeSync(descriptor, part);
  }
  closeSync(descriptor);
}

/** A file that is on the disk: only then does it take room. */
function writeOld(path: string, content: Buffer): void {
  const descriptor = openSync(path, 'w');
  writeSync(descriptor, content);
  fsyncSync(descriptor);
  closeSync(descriptor);
}

function withPage(content: Buffer, at: number): Buffer {
  const changed = Buffer.from(content);
  randomBytes(100).copy(changed, at * page + 5000);
  return changed;
}

const content = randomBytes(24 * mib + 5000);
const whole = content.length - (content.length % page);
const cases: readonly { name: string; old: Buffer | undefined; shared: number }[] = [
  { name: 'all is equal, and the end is no page', old: content, shared: whole },
  { name: 'one page differs', old: withPage(content, 700), shared: whole - page },
  {
    name: 'pages here and there differ',
    old: withPage(withPage(withPage(content, 0), 1), 1535),
    shared: whole - 3 * page,
  },
  { name: 'the old file is shorter', old: content.subarray(0, 3 * mib + 7), shared: 3 * mib },
  { name: 'the old file is longer', old: Buffer.concat([content, randomBytes(mib)]), shared: whole },
  { name: 'nothing is equal', old: randomBytes(content.length), shared: 0 },
  { name: 'the old file is empty', old: Buffer.alloc(0), shared: 0 },
  { name: 'there is no old file', old: undefined, shared: 0 },
];

for (const [index, kind] of ['xfs', 'btrfs'].entries()) {
  for (const one of cases) {
    test(`${kind}: ${one.name}`, { timeout }, async () => {
      const disk = disks[index]!;
      const { old, fresh } = makeDirectories(disk);
      const path = 'shop/t.ibd';
      if (one.old !== undefined) writeOld(join(old, path), one.old);
      const behind = new ShareBehind(fresh, [join(old, 'elsewhere'), old], never);
      await unpack(behind, path, content, 10 * mib - 3 * kib);
      await behind.finish();
      assert.equal(behind.sharedBytes, one.shared);
      assert.ok(readFileSync(join(fresh, path)).equals(content));
      if (one.old !== undefined) assert.ok(readFileSync(join(old, path)).equals(one.old));
    });
  }
}

test('more comes than there is room for, if it is there already; a later writer changes only its own file', {
  timeout,
}, async () => {
  const disk = disks[0]!;
  const { old, fresh } = makeDirectories(disk);
  const big = randomBytes(160 * mib);
  writeOld(join(old, 'big.ibd'), big);
  await disk.fill(unsharedBytesMax + 48 * mib);
  const behind = new ShareBehind(fresh, [old], never);
  await unpack(behind, './big.ibd', big);
  await behind.finish();
  assert.equal(behind.sharedBytes, big.length);
  const descriptor = openSync(join(fresh, 'big.ibd'), 'r+');
  writeSync(descriptor, Buffer.alloc(page, 1), 0, page, mib);
  fsyncSync(descriptor);
  closeSync(descriptor);
  assert.ok(readFileSync(join(old, 'big.ibd')).equals(big));
  disk.empty();
});

test('the old file is changed while it is compared', { timeout }, async () => {
  const { old, fresh } = makeDirectories(disks[0]!);
  writeOld(join(old, 'shop/t.ibd'), content);
  const behind = new ShareBehind(fresh, [old], never);
  const descriptor = openSync(join(old, 'shop/t.ibd'), 'r+');
  const changing = (async () => {
    for (let at = 0; at < whole; at += 64 * page) {
      writeSync(descriptor, Buffer.alloc(100, at), 0, 100, at);
      await new Promise((resolve) => setImmediate(resolve));
    }
  })();
  await unpack(behind, 'shop/t.ibd', content);
  await Promise.all([behind.finish(), changing]);
  closeSync(descriptor);
  assert.ok(readFileSync(join(fresh, 'shop/t.ibd')).equals(content));
});

test('what can not be shared is left as it is', { timeout }, async () => {
  const { old, fresh } = makeDirectories(disks[0]!);
  const elsewhere = makeDirectories(disks[1]!).old;
  for (const directory of [old, elsewhere]) writeOld(join(directory, 'ib_logfile0'), content);
  writeOld(join(elsewhere, 'ibdata1'), content);
  mkdirSync(join(old, 'ibdata2'));
  const behind = new ShareBehind(fresh, [old, elsewhere], never);
  for (const name of ['ib_logfile0', 'ibdata1', 'ibdata2']) await unpack(behind, name, content);
  behind.given({ path: 'dropped.ibd', offset: 0, bytes: mib });
  await behind.finish();
  assert.equal(behind.sharedBytes, 0);
  for (const name of ['ib_logfile0', 'ibdata1', 'ibdata2']) assert.ok(readFileSync(join(fresh, name)).equals(content));
});
