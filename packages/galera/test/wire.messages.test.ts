import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BatonError } from '@batondb/core/errors';
import { limits } from '@batondb/core/limits';
import fc from 'fast-check';
import { wireLimits } from '../src/wire/limits.ts';
import { decodeMessage, encodeMessage, type Message, type Unknown } from '../src/wire/messages.ts';
import { isProof, jobIdOf, makeProof, makeSecret } from '../src/wire/proof.ts';
import { hasCode } from './wire.sessions.ts';

const bytes32 = new Uint8Array(32).fill(0xab);
const hex32 = 'ab'.repeat(32);

const golden: readonly [Exclude<Message, Unknown>, number, string][] = [
  [
    { type: 'hello', versions: { min: 1, max: 2 }, proof: bytes32, purpose: 'data', transfer: 1, received: 3 },
    0,
    `{"type":"hello","versions":[1,2],"proof":"${hex32}","purpose":"data","transfer":1,"received":3}`,
  ],
  [
    {
      type: 'hello',
      versions: { min: 1, max: 1 },
      proof: bytes32,
      instance: 'cd'.repeat(16),
      purpose: 'control',
      transfer: 0,
      received: 0,
    },
    0,
    `{"type":"hello","versions":[1,1],"proof":"${hex32}","instance":"${'cd'.repeat(16)}","purpose":"control","transfer":0,"received":0}`,
  ],
  [
    { type: 'proof', version: 1, proof: bytes32, received: 0 },
    0,
    `{"type":"proof","version":1,"proof":"${hex32}","received":0}`,
  ],
  [
    { type: 'offer', method: 'backup', estimatedBytes: 7, about: { server: '10.11.19' } },
    1,
    '{"number":1,"type":"offer","method":"backup","estimatedBytes":7,"about":{"server":"10.11.19"}}',
  ],
  [{ type: 'accept', about: {} }, 1, '{"number":1,"type":"accept","about":{}}'],
  [
    { type: 'transfer', transfer: 1, kind: 'tree', manifestDigest: bytes32, manifestBytes: 99 },
    2,
    `{"number":2,"type":"transfer","transfer":1,"kind":"tree","manifestDigest":"${hex32}","manifestBytes":99}`,
  ],
  [{ type: 'finish', position: 'u:1', about: {} }, 3, '{"number":3,"type":"finish","position":"u:1","about":{}}'],
  [{ type: 'verified', about: {} }, 2, '{"number":2,"type":"verified","about":{}}'],
  [
    { type: 'failed', code: 'NO_SPACE', message: 'full', retryable: false, hint: 'make space' },
    3,
    '{"number":3,"type":"failed","code":"NO_SPACE","message":"full","retryable":false,"hint":"make space"}',
  ],
  [{ type: 'held', transfer: 1, units: 64 }, 0, '{"type":"held","transfer":1,"units":64,"mayIgnore":true}'],
  [
    { type: 'progress', stage: 'prepare', doneBytes: 1, totalBytes: 2 },
    0,
    '{"type":"progress","stage":"prepare","doneBytes":1,"totalBytes":2,"mayIgnore":true}',
  ],
];

// Proves: the bytes of every message are what the release before wrote, and are read as what they were.
for (const [message, number, text] of golden) {
  test(`bytes of ${message.type}`, () => {
    assert.equal(Buffer.from(encodeMessage(message, number)).toString(), text);
    assert.deepEqual(decodeMessage(Buffer.from(text)), { message, number });
  });
}

// Proves: a newer release may add fields to any message, and messages that an older one passes over; nothing else.
test('what a newer release adds', () => {
  const offer = '{"number":1,"type":"offer","method":"backup","estimatedBytes":7,"about":{},"later":{"a":[1]}}';
  assert.equal(decodeMessage(Buffer.from(offer)).message.type, 'offer');
  const passed = '{"number":2,"type":"weather","mayIgnore":true}';
  assert.deepEqual(decodeMessage(Buffer.from(passed)), { number: 2, message: { type: 'unknown', name: 'weather' } });
  for (const text of [
    '{"number":2,"type":"weather"}',
    '{"type":"offer","method":"delta","estimatedBytes":1,"about":{}}',
  ]) {
    assert.throws(() => decodeMessage(Buffer.from(text)), hasCode('VERSION_MISMATCH'));
  }
});

// Proves: whatever bytes arrive, they are a message or end with an error that names it (G5, G6); nothing is longer than its limit.
test('bytes that are no message', () => {
  const bad = [
    '',
    '{',
    '[]',
    'null',
    '{"type":1}',
    '{"type":"accept"}',
    '{"type":"accept","about":[]}',
    '\xff',
    '{"type":"accept","about":{"a":1}}',
    '{"type":"held","transfer":1,"units":-1}',
    '{"type":"held","transfer":1,"units":1.5}',
    '{"type":"proof","version":1,"proof":"ab","received":0}',
    '{"type":"finish","position":null,"about":{}}',
  ];
  for (const text of bad) assert.throws(() => decodeMessage(Buffer.from(text, 'latin1')), hasCode('PROTOCOL'), text);
  const long = 'x'.repeat(wireLimits.textCharactersMax + 1);
  const words = Object.fromEntries(Array.from({ length: wireLimits.aboutEntriesMax + 1 }, (_, at) => [`w${at}`, '']));
  const large = [
    Buffer.alloc(wireLimits.messageBytesMax + 1, 32),
    Buffer.from(JSON.stringify({ type: 'finish', position: long, about: {} })),
    Buffer.from(JSON.stringify({ type: 'accept', about: words })),
    Buffer.from('{"type":"accept","about":{},"number":1001}'),
  ];
  for (const bytes of large) assert.throws(() => decodeMessage(bytes), hasCode('LIMIT'));
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 200 }),
        fc.json().map((text) => Buffer.from(text)),
      ),
      (bytes) => {
        try {
          decodeMessage(bytes);
        } catch (error) {
          assert.ok(error instanceof BatonError, String(error));
        }
      },
    ),
  );
});

// Proves: a hello and a proof fit into what a stranger may send.
test('a first message fits the limit of strangers', () => {
  const hello = {
    type: 'hello',
    versions: { min: 65_535, max: 65_535 },
    proof: bytes32,
    purpose: 'control',
    transfer: 16,
    received: 1000,
  } as const;
  assert.ok(encodeMessage(hello).byteLength * 4 < limits.unprovenFrameBytesMax);
});

// Proves: the proof is the one that DESIGN.md writes down, and other secrets, keys, roles and connections give others (G5).
test('proofs', () => {
  const shared = { secret: '11'.repeat(32), key: Buffer.from('key') };
  const binding = new Uint8Array(32).fill(9);
  const proof = makeProof('donor', shared, binding);
  assert.equal(Buffer.from(proof).toString('hex'), '12bfac12f84a281a513e88f2ef6aa16395664e697e23ee54f83affc165787932');
  assert.ok(isProof(proof, 'donor', shared, binding));
  assert.ok(!isProof(proof, 'joiner', shared, binding));
  assert.ok(!isProof(proof, 'donor', { ...shared, key: Buffer.from('kez') }, binding));
  assert.ok(!isProof(proof, 'donor', { ...shared, key: undefined }, binding));
  assert.ok(!isProof(proof, 'donor', { ...shared, secret: makeSecret() }, binding));
  assert.ok(!isProof(proof, 'donor', shared, new Uint8Array(32)));
  assert.ok(!isProof(proof.subarray(1), 'donor', shared, binding));
  assert.throws(() => makeProof('donor', { ...shared, secret: 'short' }, binding), hasCode('PROTOCOL'));
  assert.notDeepEqual(jobIdOf(shared.secret, 1), jobIdOf(shared.secret, 2));
  assert.match(makeSecret(), /^[0-9a-f]{64}$/);
});
