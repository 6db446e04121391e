import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { BatonError } from '@batondb/core/errors';
import { receiveStream } from '../src/wire/receive-stream.ts';
import { type StreamSource, sendStream } from '../src/wire/send-stream.ts';
import { agree, hasCode, never, openPair } from './wire.sessions.ts';

const options = { timeout: 30_000 };
const mib = 1024 * 1024;

/** Content in chunks as a pipe gives them. */
function sourceOf(bytes: Buffer, finished = async () => undefined as void): StreamSource {
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += 65_536) yield new Uint8Array(bytes.subarray(at, at + 65_536));
  }
  return { content: chunks(), finished };
}

async function digestOf(content: AsyncIterable<Uint8Array>, onChunk?: () => Promise<void> | void): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of content) {
    hash.update(chunk);
    await onChunk?.();
  }
  return hash.digest('hex');
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

// Proves: what the donor reads arrives at the joiner in order and whole, both learn of the good end.
for (const bytes of [0, 1, mib, 20 * mib + 12_345]) {
  test(`a stream of ${bytes} bytes arrives`, options, async () => {
    await using pair = await openPair();
    await agree(pair);
    const content = randomBytes(bytes);
    const sent = sendStream(pair.donor, sourceOf(content), {}, never);
    const received = await digestOf(receiveStream(pair.joiner, {}, never));
    assert.equal(received, sha256(content));
    assert.deepEqual(await sent, { bytes });
    const finished = pair.donor.finish('uuid:7', { blocked: '0.1' }, never);
    assert.equal((await pair.joiner.finish(never)).position, 'uuid:7');
    await pair.joiner.verified({ took: '3' });
    assert.deepEqual((await finished).about, { took: '3' });
  });
}

// Proves: connections that break in the middle of a stream cost nothing but a moment: it goes on within the same attempt.
test('a stream goes on over new connections', options, async () => {
  await using pair = await openPair();
  await agree(pair);
  const content = randomBytes(40 * mib);
  const sent = sendStream(pair.donor, sourceOf(content), {}, never);
  let chunks = 0;
  const received = await digestOf(receiveStream(pair.joiner, {}, never), async () => {
    chunks += 1;
    if (chunks % 10 !== 5) return;
    pair.proxy.cut();
    await sleep(50);
  });
  assert.equal(received, sha256(content));
  assert.deepEqual(await sent, { bytes: content.length });
  assert.ok(pair.notes.some((note) => note.startsWith('donor: a data connection')));
});

// Proves: what made the stream failed after its last byte: the joiner never takes it for whole, and both sides name the cause.
test('a stream without a good end is never complete', options, async () => {
  await using pair = await openPair();
  await agree(pair);
  const failing = sourceOf(randomBytes(3 * mib), async () => {
    throw new BatonError('BACKUP_FAILED', 'the backup ended with code 1');
  });
  const sent = sendStream(pair.donor, failing, {}, never).catch((error: unknown) => {
    pair.donor.fail(error);
    throw error;
  });
  const received = digestOf(receiveStream(pair.joiner, {}, never));
  await assert.rejects(sent, hasCode('BACKUP_FAILED'));
  await assert.rejects(
    received,
    (error) => error instanceof BatonError && error.message === 'the donor failed: the backup ended with code 1',
  );
});

// Proves: a joiner that cannot use what comes ends the donor's part with its own words.
test('a failure of the joiner reaches the donor', options, async () => {
  await using pair = await openPair();
  await agree(pair);
  const sent = sendStream(pair.donor, sourceOf(randomBytes(8 * mib)), {}, never);
  sent.catch(() => undefined);
  const failing = digestOf(receiveStream(pair.joiner, {}, never), () => {
    throw new BatonError('NO_SPACE', 'the disk is full');
  });
  await assert.rejects(failing, hasCode('NO_SPACE'));
  pair.joiner.fail(new BatonError('NO_SPACE', 'the disk is full', { hint: 'make space' }));
  await assert.rejects(
    sent,
    (error) =>
      error instanceof BatonError &&
      error.message === 'the joiner failed: the disk is full' &&
      error.hint === 'make space',
  );
});

// Proves: a joiner that takes nothing stops the donor after a bounded number of units, and loses nothing by it.
test('a slow joiner holds the donor', options, async () => {
  await using pair = await openPair();
  await agree(pair);
  let produced = 0;
  const chunk = randomBytes(mib);
  async function* endless(): AsyncGenerator<Uint8Array> {
    for (; produced < 150; produced++) yield new Uint8Array(chunk);
  }
  const sent = sendStream(pair.donor, { content: endless(), finished: async () => undefined }, {}, never);
  let isFirst = true;
  let count = 0;
  for await (const one of receiveStream(pair.joiner, {}, never)) {
    count += one.length;
    if (!isFirst) continue;
    isFirst = false;
    for (let before = -1; before !== produced; await sleep(500)) before = produced;
    assert.ok(produced < 90, `${produced} units were read ahead`);
  }
  assert.equal(count, 150 * mib);
  await sent;
});
