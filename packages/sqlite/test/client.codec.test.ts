// The client's codecs are the mirror image of the server's: what one writes the other reads as the same.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BatonError, errorCodes } from '@batondb/core/errors';
import { Refusal, refusalCodes } from '@batondb/service/refusal';
import fc from 'fast-check';
import {
  decodeBatchResult,
  decodeDescription,
  decodeFetched,
  decodePosition,
  decodeServerMessage,
  decodeStatementResult,
} from '../src/client/answers.ts';
import { formatLocation, parseLocation, withDatabase } from '../src/client/location.ts';
import { decodeError, toError } from '../src/client/remote-error.ts';
import {
  encodeBatch,
  encodeCloseCursor,
  encodeDescribe,
  encodeExecute,
  encodeFetchCursor,
  encodeHello,
  encodeMessage,
  encodeOpenCursor,
  encodeSequence,
  encodeStreamRequest,
} from '../src/client/requests.ts';
import type { Condition, StatementResult, Step } from '../src/databases.ts';
import {
  decodeClientMessage,
  decodeSocketRequest,
  encodeFetched,
  encodeResponseError,
  encodeResponseOk,
} from '../src/hrana/client-messages.ts';
import type { Fields } from '../src/hrana/fields.ts';
import { parseMessage } from '../src/hrana/json.ts';
import {
  encodeBatchResult,
  encodeDescription,
  encodeEntries,
  encodeError,
  encodeResponse,
  encodeStatementResult,
  withPosition,
} from '../src/hrana/results.ts';
import { SqlError, type SqlValue } from '../src/index.ts';
import { toWireError } from '../src/server/refusal.ts';
import { runs } from './property.ts';

const text = fc.string({ unit: 'grapheme' });
const value: fc.Arbitrary<SqlValue> = fc.oneof(
  fc.constant(null),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.double({ noNaN: true }),
  text,
  fc.uint8Array({ maxLength: 40 }),
);
const statement = fc.record({
  sql: text,
  values: fc.array(value, { maxLength: 4 }),
  namedValues: fc.array(fc.record({ name: text, value }), { maxLength: 3 }),
  wantRows: fc.boolean(),
});
const { condition } = fc.letrec<{ condition: Condition }>((tie) => ({
  condition: fc.oneof(
    { maxDepth: 3 },
    fc.record({ type: fc.constantFrom('ok' as const, 'error' as const), step: fc.constant(0) }),
    fc.constant({ type: 'is_autocommit' as const }),
    fc.record({ type: fc.constant('not' as const), condition: tie('condition') }),
    fc.record({
      type: fc.constantFrom('and' as const, 'or' as const),
      conditions: fc.array(tie('condition'), { maxLength: 3 }),
    }),
  ),
}));
const steps: fc.Arbitrary<Step[]> = fc
  .tuple(
    statement,
    fc.array(fc.record({ statement, condition: fc.option(condition, { nil: undefined }) }), { maxLength: 3 }),
  )
  .map(([first, rest]) => [{ statement: first, condition: undefined }, ...rest]);
const key = fc.stringMatching(/^[\x21-\x7e]{1,20}$/);
const options = fc.record({ transactionKey: key, atLeast: key }, { requiredKeys: [] });

const result: fc.Arbitrary<StatementResult> = fc.nat(3).chain((width) =>
  fc.record({
    columns: fc.array(fc.record({ name: text, declaredType: fc.option(text) }), { minLength: width, maxLength: width }),
    rows: fc.array(fc.array(value, { minLength: width, maxLength: width }), { maxLength: 4 }),
    affectedRows: fc.bigInt({ min: 0n, max: 2n ** 53n - 1n }),
    lastInsertRowid: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  }),
);

const parse = (json: string): Fields => parseMessage(json);
const noSql = (): never => assert.fail('no text was stored');
/** Buffers and arrays of bytes are the same value. */
const plain = <T>(any: T): T => structuredClone(any);

// Proves: a server reads every request of the client as what was asked.
test('requests', () => {
  fc.assert(
    fc.property(steps, options, (asked, more) => {
      const read = (json: string): unknown => plain(decodeSocketRequest(parse(json), 3, noSql));
      const [{ statement: one }] = asked as [Step];
      const session = (request: object): unknown => plain({ type: 'session', streamId: 5, request, options: more });
      assert.deepEqual(read(encodeExecute(5, one, more)), session({ type: 'execute', statement: one }));
      assert.deepEqual(read(encodeBatch(5, asked, more)), session({ type: 'batch', steps: asked }));
      assert.deepEqual(read(encodeSequence(5, one.sql, more)), session({ type: 'sequence', sql: one.sql }));
      const cursor = { type: 'open_cursor', streamId: 5, cursorId: 6, steps: asked, options: more };
      assert.deepEqual(read(encodeOpenCursor(5, 6, asked, more)), plain(cursor));
      const described = decodeSocketRequest(parse(encodeDescribe(5, one.sql)), 3, noSql);
      assert.deepEqual(described, {
        type: 'session',
        streamId: 5,
        request: { type: 'describe', sql: one.sql },
        options: {},
      });
    }),
    runs(200),
  );
  assert.deepEqual(decodeSocketRequest(parse(encodeFetchCursor(6, 9)), 3, noSql), {
    type: 'fetch_cursor',
    cursorId: 6,
    entriesMax: 9,
  });
  assert.deepEqual(decodeSocketRequest(parse(encodeCloseCursor(6)), 3, noSql), { type: 'close_cursor', cursorId: 6 });
  for (const type of ['open_stream', 'close_stream', 'interrupt'] as const)
    assert.deepEqual(decodeSocketRequest(parse(encodeStreamRequest(type, 5)), 3, noSql), { type, streamId: 5 });
  assert.deepEqual(decodeClientMessage(parse(encodeHello('a"b'))), { type: 'hello', token: 'a"b' });
  assert.deepEqual(decodeClientMessage(parse(encodeHello(undefined))), { type: 'hello', token: undefined });
  assert.deepEqual(decodeClientMessage(parse(encodeMessage(7, '{}'))), { type: 'request', requestId: 7, request: {} });
});

// Proves: the client reads every answer of a server as what it was.
test('answers', () => {
  const failure = new SqlError(2067, 'UNIQUE constraint failed: "ä"');
  fc.assert(
    fc.property(result, (one) => {
      const response = parse(withPosition(encodeResponse('execute', encodeStatementResult(one)), '3.42'));
      assert.deepEqual(plain(decodeStatementResult(response)), plain(one));
      assert.equal(decodePosition(response), '3.42');
      const outcomes = [
        { type: 'done', result: one },
        { type: 'failed', error: failure },
        { type: 'skipped' },
      ] as const;
      const read = decodeBatchResult(parse(encodeResponse('batch', encodeBatchResult(outcomes))), 3);
      assert.deepEqual(plain(read[0]), plain(outcomes[0]));
      assert.deepEqual(read.slice(1), outcomes.slice(1));
      const { rows, columns, ...effect } = one;
      const events = [
        { type: 'begin', step: 0, columns },
        { type: 'rows', rows },
        { type: 'end', ...effect },
        { type: 'failed', step: 1, error: failure },
      ] as const;
      const fetched = decodeFetched(parse(encodeFetched(events.flatMap(encodeEntries), true)));
      const expected = events.filter((event) => event.type !== 'rows' || event.rows.length > 0);
      assert.deepEqual(plain(fetched.events.slice(0, -1)), plain(expected.slice(0, -1)));
      assert.deepEqual([fetched.events.at(-1), fetched.isDone, fetched.error], [events[3], true, undefined]);
    }),
    runs(200),
  );
  const description = {
    parameters: [null, ':a'],
    columns: [{ name: 'a', declaredType: null }],
    isReadOnly: true,
    isExplain: false,
  };
  assert.deepEqual(decodeDescription(parse(encodeResponse('describe', encodeDescription(description)))), description);
});

// Proves: an error arrives as what it was: SQLite's with its extended code, Baton's with its code and whether trying again may help; a refusal of
// the server as the error of Baton that it is to a client.
test('errors', () => {
  const carry = (error: unknown): BatonError => {
    const json = encodeResponseError(1, toWireError(error), true);
    const message = decodeServerMessage(parse(json));
    assert.ok(message.type === 'response_error' && message.isInTransaction);
    return toError(message.error);
  };
  const unique = carry(new SqlError(2067, 'UNIQUE'));
  assert.ok(unique instanceof SqlError);
  assert.deepEqual([unique.sqliteExtendedCode, unique.retryable], ['SQLITE_CONSTRAINT_UNIQUE', false]);
  for (const code of Object.keys(errorCodes) as (keyof typeof errorCodes)[]) {
    for (const retryable of [true, false]) {
      const carried = carry(new BatonError(code, 'text', { retryable }));
      // What is not available now may be so later, whoever says it.
      const expected = [code, 'text', retryable || code === 'UNAVAILABLE'];
      assert.deepEqual([carried.code, carried.message, carried.retryable], expected);
    }
  }
  for (const code of Object.keys(refusalCodes) as (keyof typeof refusalCodes)[])
    assert.notEqual(carry(new Refusal(code, 'text')).code, 'SYSTEM', code);
  assert.equal(toError({ message: 'text', code: 'NEWER' }).code, 'SYSTEM');
  assert.deepEqual(decodeError(parse(encodeError({ message: 'm', code: 'c' })), undefined), {
    message: 'm',
    code: 'c',
    retryable: false,
  });
  assert.equal(decodeServerMessage(parse(encodeResponseOk(1, '{}'))).type, 'response_ok');
});

// Proves: whatever a server sends is read or refused with PROTOCOL or LIMIT; nothing else is thrown.
test('nonsense from a server', () => {
  const readers = [
    decodeServerMessage,
    decodePosition,
    decodeStatementResult,
    (fields: Fields) => decodeBatchResult(fields, 2),
    decodeDescription,
    decodeFetched,
  ];
  const names = [
    'type',
    'result',
    'rows',
    'cols',
    'entries',
    'error',
    'step_results',
    'step_errors',
    'params',
    'request_id',
    'response',
    'position',
    'affected_row_count',
    'last_insert_rowid',
    'row',
    'step',
    'message',
    'code',
  ];
  const types = [
    'hello_ok',
    'response_ok',
    'response_error',
    'row',
    'step_begin',
    'step_end',
    'step_error',
    'integer',
    'blob',
  ];
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { maxDepth: 5 },
      fc.constantFrom<unknown>(...types, null, true, 0, -1, 1.5, 2 ** 40, 'x'),
      fc.array(tie('tree'), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom(...names), tie('tree'), { maxKeys: 5 }),
    ),
  }));
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...names), tree, { maxKeys: 6 }), (fields) => {
      for (const read of readers) {
        try {
          read(fields);
        } catch (error) {
          assert.ok(
            error instanceof BatonError && (error.code === 'PROTOCOL' || error.code === 'LIMIT'),
            String(error),
          );
        }
      }
    }),
    runs(3000),
  );
});

// Proves: addresses of every form are read, and written as something that is read as the same; what is none is refused.
test('addresses', () => {
  const tcp = (host: string, port: number, isSecure = false, database = 'main'): unknown => ({
    endpoint: { kind: 'tcp', host, port, isSecure },
    database,
  });
  const known: readonly (readonly [string, unknown])[] = [
    ['ws://db1:6480', tcp('db1', 6480)],
    ['http://db1:6480/', tcp('db1', 6480)],
    ['wss://db1', tcp('db1', 443, true)],
    ['https://db1/db/shop', tcp('db1', 443, true, 'shop')],
    ['127.0.0.1:6480', tcp('127.0.0.1', 6480)],
    ['127.0.0.1:6480/db/shop/', tcp('127.0.0.1', 6480, false, 'shop')],
    ['ws://[::1]:6480', tcp('::1', 6480)],
    ['unix:/run/b.sock', { endpoint: { kind: 'unix', path: '/run/b.sock' }, database: 'main' }],
    ['unix:b.sock/db/a.b', { endpoint: { kind: 'unix', path: 'b.sock' }, database: 'a.b' }],
  ];
  for (const [address, location] of known) {
    const read = parseLocation(address);
    assert.deepEqual(read, location, address);
    assert.deepEqual(parseLocation(formatLocation(read)), read, address);
    assert.equal(parseLocation(formatLocation(withDatabase(read, 'x'))).database, 'x');
  }
  const wrong = [
    '',
    'ftp://a',
    'ws://',
    'ws://a/b',
    'ws://a/x/db/y',
    'ws://u:p@a',
    'ws://a?q',
    'ws://a#f',
    'unix:',
    'unix:/db/x',
    'ws://a/db/%zz',
    'ws://a:99999',
  ];
  for (const address of wrong) assert.throws(() => parseLocation(address), { code: 'USAGE' }, address);
  assert.throws(
    () => parseLocation('ws://user:secret@a'),
    (error: Error) => !error.message.includes('secret'),
  );
});
