import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { BatonError } from '../src/errors.ts';
import { limits } from '../src/limits.ts';
import { encodeFrame, frameTypes } from '../src/protocol/frame.ts';
import { encodeHello } from '../src/protocol/hello.ts';
import { Link } from '../src/transfer/link.ts';
import { answerProbe } from '../src/transfer/receiver.ts';
import { openMemoryPair } from '../src/transport/memory.ts';
import type { Connection } from '../src/transport/transport.ts';
import {
  feed,
  fill,
  hasCode,
  jobId,
  makeBase,
  members,
  openSource,
  openTarget,
  patience,
  type TargetHost,
} from './transfer.hosts.ts';

// The two ends of a hop, one of which is not what it should be.

/** A connection to a receiver on which the test itself is the sender. */
function dial(target: Pick<TargetHost, 'receiver'>, t: TestContext, from = 0): Connection {
  const [ours, theirs] = openMemoryPair({ fingerprints: [members[from] ?? '', members[1] ?? ''] });
  void target.receiver.serve(theirs, new AbortController().signal);
  t.after(() => ours.destroy());
  return ours;
}

/** The first frame of a sender. */
function helloOf(connection: Connection, from = 0): Uint8Array[] {
  const route = { version: 1, jobId, from, to: 1, epoch: 1, stream: 0, streams: 1, purpose: 'data' } as const;
  return encodeFrame(frameTypes.hello, encodeHello({ ...route, binding: connection.binding }));
}

/** Reads until the error comes, which has to be the last frame. */
async function expectError(connection: Connection, pattern: RegExp): Promise<void> {
  for (;;) {
    const frame = await connection.readFrame();
    if (frame === undefined) assert.fail('no error came');
    if (frame.type !== frameTypes.error) continue;
    assert.match(Buffer.from(frame.payload).toString('latin1'), pattern);
    assert.equal(await connection.readFrame(), undefined);
    return;
  }
}

// Proves: also one that is trusted cannot open connections without end.
test('connections are bounded in number', patience, async (t) => {
  using base = makeBase();
  fill(base.source, 1);
  await using source = await openSource(base.source);
  await using target = await openTarget(join(base.path, 'target'), source);
  const open = async (): Promise<Connection> => {
    const connection = dial(target, t);
    await connection.write(...helloOf(connection));
    return connection;
  };
  const admitted: Connection[] = [];
  for (let count = 0; count < limits.sessionsMax; count++) {
    const connection = await open();
    assert.equal((await connection.readFrame())?.type, frameTypes.helloAck);
    admitted.push(connection);
  }
  await expectError(await open(), /LIMIT.*there are 128 connections already/);
  for (const connection of admitted) connection.destroy();
  await Promise.all([feed(source.supply, target), target.finish()]);
});

// Proves: what no sender may say ends the connection with an error that names it.
test('nonsense is refused', patience, async (t) => {
  using base = makeBase();
  fill(base.source, 1);
  await using source = await openSource(base.source);
  await using target = await openTarget(join(base.path, 'target'), source);
  const unannounced = dial(target, t);
  await unannounced.write(...encodeFrame(frameTypes.unit, new Uint8Array(100)));
  await expectError(unannounced, /a frame of type 8 arrived where HELLO was due/);
  const impostor = dial(target, t, 2);
  await impostor.write(...helloOf(impostor, 0));
  await expectError(impostor, /NOT_TRUSTED.*that member's certificate/);
  const endless = dial(target, t);
  await endless.write(...helloOf(endless));
  await endless.write(...encodeFrame(frameTypes.manifestSection, new Uint8Array(1_000_000)));
  await expectError(endless, /LIMIT.*longer than the \d+ bytes announced/);
  const hasty = dial(target, t);
  await hasty.write(...helloOf(hasty));
  await hasty.write(...encodeFrame(frameTypes.have, new Uint8Array(8)));
  await expectError(hasty, /a frame of type 6 arrived where MANIFEST_SECTION was due/);
  assert.deepEqual(target.failures, []);
  await Promise.all([feed(source.supply, target), target.finish()]);
});

// Proves: before a host is told to receive, it answers probes and nothing else.
test('a probe is answered, data is not', patience, async () => {
  const expectation = { jobId, to: 1, members, epoch: 0, versions: { min: 1, max: 1 } };
  for (const purpose of ['probe', 'data'] as const) {
    const [ours, theirs] = openMemoryPair({ fingerprints: [members[0] ?? '', members[1] ?? ''] });
    const answered = answerProbe(theirs, expectation);
    const hello = {
      version: 1,
      jobId,
      from: 0,
      to: 1,
      epoch: 0,
      stream: 0,
      streams: 1,
      purpose,
      binding: ours.binding,
    };
    await ours.write(...encodeFrame(frameTypes.hello, encodeHello(hello)));
    assert.equal((await ours.readFrame())?.type, purpose === 'probe' ? frameTypes.helloAck : frameTypes.error);
    assert.equal(await ours.readFrame(), undefined);
    ours.destroy();
    await answered;
  }
});

// Proves (T10): a peer that is silent while we wait for it is taken for dead; one that pings is not, and neither is one we do not wait for.
test('silence ends a link, pings keep it', { timeout: 60_000 }, async () => {
  const ended = new AbortController();
  const [silent, mute] = openMemoryPair();
  const [waiting, pinging] = openMemoryPair();
  const [busy] = openMemoryPair();
  const links = [silent, waiting, pinging, busy].map((connection) => new Link(connection));
  const [left, right, other, idle] = links as [Link, Link, Link, Link];
  const keptAlive = [right, other, idle].map((link) =>
    link.keepAlive(ended.signal).catch((error: Error) => error.name),
  );
  const reading = (async () => {
    for (;;) await right.read();
  })();
  const stopped = assert.rejects(reading, hasCode('CONNECTION_LOST'));
  const lost = assert.rejects(left.read(), hasCode('CONNECTION_LOST'));
  await assert.rejects(left.keepAlive(ended.signal), (error) => {
    return (
      error instanceof BatonError && error.code === 'CONNECTION_LOST' && /nothing arrived for \d+ s/.test(error.message)
    );
  });
  await lost;
  await right.write(frameTypes.ping);
  ended.abort();
  assert.deepEqual(await Promise.all(keptAlive), ['AbortError', 'AbortError', 'AbortError']);
  for (const connection of [silent, mute, waiting, pinging, busy]) connection.destroy();
  await stopped;
});
