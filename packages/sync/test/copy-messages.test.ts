// Proves: messages of replication are those that were sent, wherever the server's chunks are cut, and each goes where it belongs; lengths that none can have end in PROTOCOL or LIMIT.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CopyMessages } from '../src/postgres/copy-messages.ts';
import { runs } from './property.ts';

const copyData = 'd'.charCodeAt(0);
const messages = fc.array(
  fc.record({
    letter: fc.oneof({ weight: 3, arbitrary: fc.constant('d') }, fc.constantFrom('N', 'E', 'c', 'S')),
    content: fc.oneof(fc.uint8Array({ maxLength: 12 }), fc.uint8Array({ minLength: 100, maxLength: 300 })),
  }),
);

function encode(letter: string, content: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.write(letter, 'latin1');
  head.writeUInt32BE(content.length + 4, 1);
  return Buffer.concat([head, content]);
}

function taken(chunks: readonly Buffer[]): Buffer[] {
  const found: Buffer[] = [];
  const reader = new CopyMessages({
    data: (bytes, start, end) => {
      found.push(encode('d', bytes.subarray(start, end)));
    },
    other: (message) => {
      assert.notEqual(message[0], copyData);
      found.push(Buffer.from(message));
    },
  });
  for (const chunk of chunks) reader.take(chunk);
  return found;
}

function cut(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [0, ...cuts.map((place) => place % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  return places.slice(1).map((end, index) => bytes.subarray(places[index], end));
}

test('messages cut anywhere are the messages that were sent', () => {
  const property = fc.property(messages, fc.array(fc.nat()), (sent, cuts) => {
    const all = sent.map(({ letter, content }) => encode(letter, content));
    const bytes = Buffer.concat(all);
    assert.deepEqual(taken(cut(bytes, cuts)), all);
    // The beginning of another one is none yet.
    assert.deepEqual(taken([...cut(bytes, cuts), Buffer.from('d\0\0')]), all);
  });
  fc.assert(property, runs(500));
});

test('a large message that comes in many pieces is put together once', () => {
  const large = encode('d', Buffer.alloc(8_000_000, 7));
  const pieces = Array.from({ length: Math.ceil(large.length / 100) }, (_, index) =>
    large.subarray(index * 100, (index + 1) * 100),
  );
  assert.ok(taken(pieces)[0]?.equals(large));
});

test('a length that no message can have is an error', () => {
  assert.throws(() => taken([Buffer.from('d\0\0\0\x03')]), { code: 'PROTOCOL', message: /3 bytes long/ });
  assert.throws(() => taken([Buffer.from([copyData, 0xff, 0, 0, 0])]), { code: 'LIMIT', message: /4278190080 bytes/ });
});
