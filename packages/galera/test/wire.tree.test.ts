import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { BatonError } from '@batondb/core/errors';
import { receiveStream } from '../src/wire/receive-stream.ts';
import { type ReceivedTree, receiveTree } from '../src/wire/receive-tree.ts';
import { sendStream } from '../src/wire/send-stream.ts';
import { type SentTree, sendTree } from '../src/wire/send-tree.ts';
import { agree, hasCode, makeDirectory, never, openPair, type Pair } from './wire.sessions.ts';

const options = { timeout: 30_000 };
const mib = 1024 * 1024;

/** What looks like a data directory: a large file, a sparse one, many small ones, and things with modes and names of their own. */
function makeData(base: string): string {
  const data = join(base, 'data');
  mkdirSync(join(data, 'shop'), { recursive: true });
  writeFileSync(join(data, 'ibdata1'), randomBytes(16 * mib));
  writeFileSync(join(data, 'undo001'), randomBytes(mib));
  truncateSync(join(data, 'undo001'), 64 * mib);
  for (let table = 0; table < 300; table++) writeFileSync(join(data, 'shop', `t${table}.frm`), randomBytes(table * 7));
  writeFileSync(join(data, 'grastate.dat'), 'stays');
  writeFileSync(join(data, 'server-key.pem'), 'stays');
  writeFileSync(join(data, 'shop', 'db.opt'), '');
  linkSync(join(data, 'shop', 't3.frm'), join(data, 'shop', 't3 again.frm'));
  symlinkSync('/elsewhere/t9.ibd', join(data, 'shop', 't9.ibd'));
  chmodSync(join(data, 'ibdata1'), 0o660);
  chmodSync(join(data, 'shop'), 0o750);
  utimesSync(join(data, 'shop', 't1.frm'), 1_000_000, 1_000_000);
  return data;
}

const exclude = ['/grastate.dat', '*.pem'];

type Ends = { readonly sent: Promise<SentTree>; readonly received: Promise<ReceivedTree> };

function transfer({ donor, joiner }: Pair, directory: string, base: string): Ends {
  const sent = sendTree(donor, { directory, exclude }, {}, never).catch((error: unknown) => {
    donor.fail(error);
    throw error;
  });
  const received = receiveTree(joiner, { directory: join(base, 'staging'), name: 'new' }, never);
  for (const end of [sent, received]) end.catch(() => undefined);
  return { sent, received };
}

function checkEqual(data: string, copy: string): void {
  for (const name of ['ibdata1', 'undo001', ...readdirSync(join(data, 'shop')).map((one) => `shop/${one}`)]) {
    if (name.endsWith('t9.ibd')) continue;
    assert.ok(readFileSync(join(data, name)).equals(readFileSync(join(copy, name))), name);
    const [ours, theirs] = [statSync(join(data, name)), statSync(join(copy, name))];
    assert.deepEqual([theirs.mode, theirs.mtimeMs, theirs.size], [ours.mode, ours.mtimeMs, ours.size], name);
  }
  assert.deepEqual(readdirSync(join(copy, 'shop')).sort(), readdirSync(join(data, 'shop')).sort());
  assert.equal(statSync(join(copy, 'shop')).mode, statSync(join(data, 'shop')).mode);
  assert.ok(statSync(join(copy, 'undo001')).blocks * 512 < 4 * mib, 'holes stay holes');
}

// Proves: a directory arrives with content, modes, times, holes, links and without what was left out, and gets its name last.
test('a tree arrives', options, async () => {
  using base = makeDirectory();
  const data = makeData(base.path);
  await using pair = await openPair();
  await agree(pair, 'files');
  const { sent, received } = transfer(pair, data, base.path);
  const { files, bytes } = await sent;
  assert.deepEqual(await received, { files: (await received).files, bytes });
  assert.ok(files > 300);
  const copy = join(base.path, 'staging', 'new');
  checkEqual(data, copy);
  assert.ok(!existsSync(join(copy, 'grastate.dat')) && !existsSync(join(copy, 'server-key.pem')));
  assert.deepEqual(readdirSync(join(base.path, 'staging')), ['new']);
});

// Proves: connections that break in the middle of a tree cost nothing that has arrived: it goes on within the same attempt.
test('a tree goes on over new connections', options, async () => {
  using base = makeDirectory();
  const data = makeData(base.path);
  await using pair = await openPair();
  await agree(pair, 'files');
  const { sent, received } = transfer(pair, data, base.path);
  for (let cuts = 0, next = 4 * mib; cuts < 2; ) {
    await Promise.race([sleep(2), sent]);
    if (pair.proxy.bytes < next) continue;
    pair.proxy.cut();
    cuts += 1;
    next = pair.proxy.bytes + 4 * mib;
  }
  await Promise.all([sent, received]);
  checkEqual(data, join(base.path, 'staging', 'new'));
  assert.ok(pair.proxy.bytes < 42 * mib, `${pair.proxy.bytes} bytes were sent`);
});

// Proves: bytes that are changed on the way break a connection and never reach a file (T3).
test('a flipped byte', options, async () => {
  using base = makeDirectory();
  const data = makeData(base.path);
  await using pair = await openPair();
  await agree(pair, 'files');
  let flips = 3;
  pair.proxy.tamper = (chunk, at) => {
    if (flips === 0 || at < mib) return chunk;
    flips -= 1;
    const changed = Buffer.from(chunk);
    changed[changed.length >> 1]! ^= 1;
    return changed;
  };
  const { sent, received } = transfer(pair, data, base.path);
  await Promise.all([sent, received]);
  assert.equal(flips, 0);
  checkEqual(data, join(base.path, 'staging', 'new'));
  assert.ok(
    pair.notes.some((note) => /data connection with the joiner broke/.test(note)),
    pair.notes.join('\n'),
  );
});

// Proves: a file that changes while the tree is sent ends the transfer on both sides with its name; nothing has the final name then.
for (const [what, change] of [
  ['changes', (data: string) => writeFileSync(join(data, 'shop', 't200.frm'), 'other')],
  ['appears', (data: string) => writeFileSync(join(data, 'shop', 'new.frm'), 'new')],
] as const) {
  test(`a file that ${what}`, options, async () => {
    using base = makeDirectory();
    const data = makeData(base.path);
    await using pair = await openPair();
    await agree(pair, 'files');
    const { sent, received } = transfer(pair, data, base.path);
    let isChanged = false;
    const changing = setInterval(() => {
      if (isChanged || pair.proxy.bytes < mib) return;
      isChanged = true;
      change(data);
    }, 1);
    await assert.rejects(sent, hasCode('SOURCE_CHANGED'));
    clearInterval(changing);
    // The joiner may have had all of it by then: its FINISH never comes.
    const finished = received.then(() => pair.joiner.finish(never));
    await assert.rejects(finished, (error) => error instanceof BatonError && error.code === 'SOURCE_CHANGED');
  });
}

// Proves: a joiner without room, or with the name taken, ends the donor's part at once and in its own words.
test('a name that is taken', options, async () => {
  using base = makeDirectory();
  const data = makeData(base.path);
  mkdirSync(join(base.path, 'staging', 'new'));
  await using pair = await openPair();
  await agree(pair, 'files');
  const { sent, received } = transfer(pair, data, base.path);
  await assert.rejects(received, hasCode('EXISTS'));
  await assert.rejects(
    sent,
    (error) =>
      error instanceof BatonError && error.code === 'EXISTS' && error.message.startsWith('the joiner failed: '),
  );
  assert.deepEqual(readdirSync(join(base.path, 'staging')), ['new']);
});

// Proves: a session carries more than one transfer, one after the other: the stream of a backup, and a tree that is no part of it.
test('a stream and a tree', options, async () => {
  using base = makeDirectory();
  const data = makeData(base.path);
  await using pair = await openPair();
  await agree(pair);
  async function* content(): AsyncGenerator<Uint8Array> {
    yield new Uint8Array(3 * mib).fill(7);
  }
  const streamed = sendStream(
    pair.donor,
    { content: content(), finished: async () => undefined },
    { bytesPerSecond: 64 * mib },
    never,
  );
  let bytes = 0;
  for await (const chunk of receiveStream(pair.joiner, {}, never)) bytes += chunk.length;
  assert.deepEqual([bytes, await streamed], [3 * mib, { bytes: 3 * mib }]);
  const { sent, received } = transfer(pair, data, base.path);
  await Promise.all([sent, received]);
  checkEqual(data, join(base.path, 'staging', 'new'));
});
