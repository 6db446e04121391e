import assert from 'node:assert/strict';
import { PassThrough, Readable } from 'node:stream';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { BatonError, type ErrorCode } from '@batondb/core/errors';
import { limits } from '@batondb/core/limits';
import fc from 'fast-check';
import { type ChannelHandlers, ControlChannel } from '../src/control/channel.ts';
import { decodeJsonFrames, encodeJsonFrame, readJsonFrames, writeJsonFrame } from '../src/control/frames.ts';
import { preamble } from '../src/control/messages.ts';
import * as schemas from '../src/control/schemas.ts';
import { runs } from './property.ts';

function hasCode(code: ErrorCode): (error: unknown) => boolean {
  return (error) => error instanceof BatonError && error.code === code;
}

async function readAll(chunks: Iterable<Buffer>, skipPreamble = false): Promise<unknown[]> {
  const values: unknown[] = [];
  for await (const value of readJsonFrames(Readable.from(chunks), skipPreamble)) values.push(value);
  return values;
}

/** Bytes cut at places of the property's choice. */
function* cut(bytes: Buffer, lengths: readonly number[]): Generator<Buffer> {
  let at = 0;
  for (const length of lengths) {
    if (at >= bytes.length) return;
    yield bytes.subarray(at, at + length);
    at += length;
  }
  if (at < bytes.length) yield bytes.subarray(at);
}

// Proves (A1): values survive, however the stream cuts them and whatever a login shell printed before.
test('frames survive any stream', async () => {
  const noise = fc.string({ maxLength: 300 }).filter((text) => !text.includes('BATON AGENT'));
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.jsonValue(), { maxLength: 6 }),
      fc.array(fc.integer({ min: 1, max: 50 }), { maxLength: 40 }),
      fc.option(noise, { nil: undefined }),
      async (values, lengths, printed) => {
        const start = printed === undefined ? '' : printed + preamble;
        const bytes = Buffer.concat([Buffer.from(start), ...values.map(encodeJsonFrame)]);
        const read = await readAll(cut(bytes, lengths), printed !== undefined);
        assert.deepEqual(read, JSON.parse(JSON.stringify(values)));
      },
    ),
    runs(200),
  );
});

// Proves (A1): whatever bytes come, reading ends with values or an error that says what was wrong.
test('fuzzed frames end in an error that says why', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.jsonValue(), { maxLength: 3 }),
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 5 }),
      async (values, flips) => {
        const bytes = Buffer.concat([Buffer.alloc(4), ...values.map(encodeJsonFrame)]).subarray(4);
        for (const [place, value] of flips) if (bytes.length > 0) bytes[place % bytes.length] = value;
        try {
          for (const value of await readAll([bytes])) schemas.parseMessage(value);
        } catch (error) {
          assert.ok(error instanceof BatonError, String(error));
          assert.ok(['PROTOCOL', 'LIMIT'].includes(error.code) && error.message.length > 10);
        }
      },
    ),
    runs(300),
  );
});

test('what is too long is refused at its length', async () => {
  const header = Buffer.alloc(4);
  header.writeUInt32LE(limits.controlBytesMax + 1);
  await assert.rejects(readAll([header]), hasCode('LIMIT'));
  assert.throws(() => decodeJsonFrames(header), hasCode('LIMIT'));
  assert.throws(() => encodeJsonFrame('x'.repeat(limits.controlBytesMax)), hasCode('LIMIT'));
  const noise = Buffer.alloc(limits.preambleBytesMax + 1, 'banner ');
  await assert.rejects(readAll([noise], true), (error) => {
    return (
      hasCode('PROTOCOL')(error) &&
      /printed 65536 bytes that are not baton's: "banner banner/.test((error as Error).message)
    );
  });
});

/** Two ends of one conversation, as coordinator and agent. */
function openPair(agent: ChannelHandlers, coordinator: ChannelHandlers = {}) {
  const [there, back] = [new PassThrough(), new PassThrough()];
  const ours = new ControlChannel(there, coordinator);
  const theirs = new ControlChannel(back, agent);
  const ended = [ours.run(readJsonFrames(back, false), back), theirs.run(readJsonFrames(there, false), there)];
  const end = async (): Promise<void> => {
    there.end();
    back.end();
    await Promise.all(ended);
  };
  return { ours, theirs, there, back, end };
}

// Proves (A3): replies find their requests in whatever order they come; refusals keep code, hint and host; events come in order.
test('a conversation', async () => {
  const told: unknown[] = [];
  const order: string[] = [];
  const gate = Promise.withResolvers<void>();
  const { ours, theirs, end } = openPair(
    {
      request: async (name, params) => {
        if (name === 'expect') await gate.promise;
        order.push(name);
        if (name === 'probe') {
          throw new BatonError('HOP_UNREACHABLE', 'no route', { retryable: true, hint: 'open the port', host: 'b' });
        }
        return name === 'listen' ? { port: 4400, addresses: [], more: 'from a newer one' } : params;
      },
    },
    { event: (event) => told.push(event) },
  );
  const slow = ours.request('expect', { epoch: 1 });
  assert.deepEqual(await ours.request('listen', { port: 0 }), { port: 4400, addresses: [] });
  await assert.rejects(ours.request('probe', { to: 1, addresses: [], port: 1 }), (error) => {
    assert.ok(error instanceof BatonError);
    const { code, message, retryable, hint, host } = error;
    assert.deepEqual(
      [code, message, retryable, hint, host],
      ['HOP_UNREACHABLE', 'no route', true, 'open the port', 'b'],
    );
    return true;
  });
  gate.resolve();
  await slow;
  assert.deepEqual(order, ['listen', 'probe', 'expect']);
  for (const number of [1, 2, 3]) await theirs.tell({ number });
  await turn();
  assert.deepEqual(told, [{ number: 1 }, { number: 2 }, { number: 3 }]);
  await end();
  assert.ok(ours.endReason !== undefined);
});

// Proves: what a side does not know, or what is not as it must be, is refused by name; the conversation goes on.
test('unknown and malformed requests are refused', async () => {
  const { ours, there, back, end } = openPair({ request: async () => ({}) });
  await assert.rejects(ours.request('quit' as never, {} as never), (error) => {
    return hasCode('PROTOCOL')(error) && /the request quit is not known here/.test((error as Error).message);
  });
  for (const name of ['__proto__', 'constructor', 'toString']) {
    await assert.rejects(ours.request(name as never, {} as never), hasCode('PROTOCOL'));
  }
  await assert.rejects(ours.request('expect', { epoch: -1 }), (error) => {
    return hasCode('PROTOCOL')(error) && /the request expect is not understood: epoch/.test((error as Error).message);
  });
  await assert.rejects(ours.request('scan', { path: '', exclude: [], oneFileSystem: false }), (error) => {
    return hasCode('PROTOCOL')(error) && /the reply to scan is not understood/.test((error as Error).message);
  });
  await ours.request('expect', { epoch: 1, extra: 'of a newer one' } as never);
  // A reply that nobody asked for, and one that comes twice.
  await writeJsonFrame(back, { kind: 'reply', id: 999, result: {} });
  await writeJsonFrame(there, { kind: 'reply', id: 1, result: {} });
  await ours.request('expect', { epoch: 2 });
  await end();
});

// Proves: a message that is none ends the conversation with the reason, and every open request with it.
test('nonsense ends the conversation', async () => {
  for (const nonsense of [{ kind: 'surprise' }, 7, null, { kind: 'request', id: -1, name: 'x' }]) {
    const { ours, back, end } = openPair({ request: () => new Promise(() => {}) });
    const open = assert.rejects(ours.request('expect', { epoch: 1 }), hasCode('PROTOCOL'));
    await turn();
    await writeJsonFrame(back, nonsense);
    await open;
    assert.equal(ours.endReason?.code, 'PROTOCOL');
    await assert.rejects(ours.request('expect', { epoch: 1 }), hasCode('PROTOCOL'));
    await end();
  }
});

// Proves (A3): a conversation that ends while a request is still being written rejects that request, and nothing else happens.
test('an end while a request is being written', async () => {
  const stuck = new PassThrough({ highWaterMark: 1 });
  const channel = new ControlChannel(stuck, {});
  const request = assert.rejects(channel.request('expect', { epoch: 1 }), hasCode('CONNECTION_LOST'));
  await turn();
  channel.close(new BatonError('CONNECTION_LOST', 'for this test'));
  // Time enough for an unhandled rejection to end this process.
  for (let turns = 0; turns < 5; turns++) await turn();
  stuck.destroy();
  await request;
});

// Proves (A2): a side that says nothing is taken for dead within the limit, one that pings is not; one that is slow to read is not either.
test('silence ends a conversation', { timeout: 60_000 }, async () => {
  const talking = openPair({ request: () => new Promise(() => {}) });
  const [output, input] = [new PassThrough(), new PassThrough()];
  output.resume();
  const lonely = new ControlChannel(output, {});
  const startMs = performance.now();
  const open = assert.rejects(lonely.request('expect', { epoch: 1 }), hasCode('CONNECTION_LOST'));
  await lonely.run(readJsonFrames(input, false), input);
  await open;
  assert.match(lonely.endReason?.message ?? '', /nothing was heard for 8 s/);
  assert.ok(performance.now() - startMs >= limits.silenceMsMax - limits.pingMs);
  assert.equal(talking.ours.endReason, undefined);
  assert.equal(talking.theirs.endReason, undefined);
  await talking.end();
});

// Proves (A2): a process that stood still itself (a suspended laptop, a busy thread) does not take the others for dead.
test('standing still is not silence', { timeout: 60_000 }, async () => {
  const { ours, theirs, end } = openPair({ request: async () => ({}) });
  await turn();
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, limits.silenceMsMax + 2 * limits.pingMs);
  for (let turns = 0; turns < 10; turns++) await turn();
  await ours.request('expect', { epoch: 1 });
  assert.equal(ours.endReason, undefined);
  assert.equal(theirs.endReason, undefined);
  await end();
});

// Proves: a greeting of a newer release is understood as far as it must be; what a release may not leave out is named.
test('greetings', () => {
  const greeting = {
    software: '9.9.9',
    control: { min: 1, max: 7 },
    data: { min: 1, max: 2 },
    fingerprint: 'ab'.repeat(32),
    hostname: 'b',
    bootId: 'x',
    uid: 0,
    cores: 4,
  };
  assert.deepEqual(schemas.parseGreeting({ ...greeting, unheardOf: [1] }), greeting);
  for (const [field, value] of [
    ['fingerprint', 'AB'],
    ['control', { min: 1 }],
    ['uid', -1],
    ['hostname', 'h'.repeat(300)],
    ['cores', undefined],
  ] as const) {
    assert.throws(
      () => schemas.parseGreeting({ ...greeting, [field]: value }),
      (error) => {
        return (
          hasCode('PROTOCOL')(error) && (error as Error).message.includes(`the greeting is not understood: ${field}`)
        );
      },
    );
  }
});

// Proves: an error crosses with what it says, and a code that we do not know yet still makes an event.
test('events', () => {
  const failed = { type: 'failed', error: { code: 'OF_TOMORROW', message: 'm', retryable: false, later: 1 } };
  const parsed = schemas.parseEvent(failed);
  assert.deepEqual(parsed, { type: 'failed', error: { code: 'OF_TOMORROW', message: 'm', retryable: false } });
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      try {
        schemas.parseEvent(value);
      } catch (error) {
        assert.ok(hasCode('PROTOCOL')(error));
      }
    }),
    runs(200),
  );
});
