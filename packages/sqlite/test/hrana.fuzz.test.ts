// Messages that nobody would send on purpose.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BatonError } from '@batondb/core/errors';
import fc from 'fast-check';
import { decodeClientMessage, decodeSocketRequest } from '../src/hrana/client-messages.ts';
import { parseMessage } from '../src/hrana/json.ts';
import { decodeCursorBody, decodePipeline, decodePipelineRequest } from '../src/hrana/pipeline.ts';
import { runs } from './property.ts';

const findSql = (sqlId: number): string => `stored ${sqlId}`;

/** Reads a text in every way in which one may arrive, as far as each gets. */
const readers: readonly ((text: string) => void)[] = [
  (text) => {
    for (const request of decodePipeline(parseMessage(text)).requests) decodePipelineRequest(request, 3, findSql);
  },
  (text) => decodeCursorBody(parseMessage(text)).decodeSteps(findSql),
  (text) => {
    const message = decodeClientMessage(parseMessage(text));
    if (message.type === 'request') decodeSocketRequest(message.request, 3, findSql);
  },
];

const stmt = {
  sql: 'SELECT ?, :a',
  args: [{ type: 'integer', value: '1' }],
  named_args: [{ name: 'a', value: { type: 'blob', base64: 'AAA=' } }],
};
const batch = {
  steps: [
    { stmt },
    { stmt: { sql_id: 1 }, condition: { type: 'not', cond: { type: 'and', conds: [{ type: 'ok', step: 0 }] } } },
  ],
};
const valid: readonly unknown[] = [
  {
    baton: null,
    requests: [
      { type: 'execute', stmt },
      { type: 'batch', batch },
      { type: 'describe', sql: 'x' },
    ],
  },
  {
    baton: 'a.b',
    requests: [{ type: 'store_sql', sql_id: 1, sql: 'x' }, { type: 'sequence', sql_id: 1 }, { type: 'close' }],
  },
  { baton: null, batch },
  { type: 'hello', jwt: 'token' },
  { type: 'request', request_id: 1, request: { type: 'execute', stream_id: 1, stmt } },
  { type: 'request', request_id: 2, request: { type: 'open_cursor', stream_id: 1, cursor_id: 1, batch } },
  { type: 'request', request_id: 3, request: { type: 'fetch_cursor', cursor_id: 1, max_count: 10 } },
];

/** Every place in a value: the value itself, and all that is in it. */
function placesOf(value: unknown, path: readonly (string | number)[] = []): (readonly (string | number)[])[] {
  if (typeof value !== 'object' || value === null) return [path];
  const inner = Object.entries(value).flatMap(([key, member]) => placesOf(member, [...path, key]));
  return [path, ...inner];
}

function withReplaced(value: unknown, path: readonly (string | number)[], by: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return by;
  const copy = structuredClone(value) as Record<string, unknown>;
  copy[key] = withReplaced(copy[key], rest, by);
  return copy;
}

function readAll(text: string): void {
  for (const read of readers) {
    try {
      read(text);
    } catch (error) {
      assert.ok(error instanceof BatonError, `${String(error)} for ${text.slice(0, 1000)}`);
      assert.ok(error.code === 'PROTOCOL' || error.code === 'LIMIT', error.code);
      assert.match(error.message, /^(?:the message |[a-z_]+[.[ ]|there is )/);
      assert.ok(error.message.length < 400, 'an error does not repeat what it was sent');
    }
  }
}

// Proves: whatever JSON arrives, it is read or refused with the field that is wrong; nothing else is thrown (H6).
test('any JSON is read or refused', () => {
  fc.assert(fc.property(fc.json({ maxDepth: 6 }), readAll), runs(2000));
});

// Proves: the same for messages that are right but for one place, where readers get furthest.
test('messages with one thing wrong are read or refused', () => {
  const wrong = fc.oneof(
    fc.jsonValue({ maxDepth: 3 }),
    fc.constantFrom(undefined, -1, 2 ** 31, 2 ** 53, 2 ** 63, '\ud800', [], {}, [[]], [{}]),
  );
  const choice = fc
    .constantFrom(...valid)
    .chain((value) => fc.tuple(fc.constant(value), fc.constantFrom(...placesOf(value)), wrong));
  fc.assert(
    fc.property(choice, ([value, path, by]) => readAll(JSON.stringify(withReplaced(value, path, by)) ?? '')),
    runs(3000),
  );
});

// Proves: the same for texts that were cut or garbled on the way.
test('garbled texts are read or refused', () => {
  const garbled = fc
    .tuple(fc.constantFrom(...valid), fc.nat(), fc.nat(20), fc.string({ unit: 'binary', maxLength: 8 }))
    .map(([value, at, length, by]) => {
      const text = JSON.stringify(value);
      const start = at % text.length;
      return text.slice(0, start) + by + text.slice(start + length);
    });
  fc.assert(fc.property(garbled, readAll), runs(2000));
});

// Proves: depth alone, two hundred thousand levels of it, overflows no stack.
test('deep texts are refused', () => {
  const depth = 200_000;
  const conditions = `${'{"type":"not","cond":'.repeat(depth)}{}${'}'.repeat(depth)}`;
  readAll('['.repeat(depth) + ']'.repeat(depth));
  readAll(`{"batch":{"steps":[{"stmt":{"sql":"x"},"condition":${conditions}}]}}`);
  readAll(`{"requests":[{"type":"batch","batch":{"steps":[{"stmt":{"sql":"x"},"condition":${conditions}}]}}]}`);
});

// Proves: a message of many mistakes costs one error, not one for each: the memory it takes does not grow with their number.
test('many mistakes are one error', () => {
  const text = `{"batch":{"steps":[{"stmt":{"sql":"x","args":[${'0,'.repeat(30_000)}0]}}]}}`;
  assert.throws(() => decodeCursorBody(parseMessage(text)).decodeSteps(findSql), {
    message: 'batch.steps[0].stmt.args[0] must be an object, and is a number',
  });
  const requests = Array.from({ length: 100_000 }, () => 0);
  assert.throws(() => decodePipeline({ requests }), { code: 'LIMIT' });
});
