import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BatonError, type ErrorCode } from '../src/errors.ts';
import { checkHello, type HelloExpectation } from '../src/protocol/handshake.ts';
import { decodeHello, encodeHello, type Hello } from '../src/protocol/hello.ts';

const bytes = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value);

const hello: Hello = {
  version: 1,
  jobId: bytes(16, 1),
  from: 0,
  to: 1,
  epoch: 5,
  stream: 1,
  streams: 2,
  purpose: 'data',
  binding: bytes(32, 2),
};
const expectation: HelloExpectation = {
  jobId: bytes(16, 1),
  to: 1,
  epoch: 5,
  members: ['aa', 'bb'],
  peerFingerprint: 'aa',
  binding: bytes(32, 2),
  versions: { min: 1, max: 1 },
};

// Proves (P2, P3): each field of a HELLO is judged, and the refusal names it.
test('what a HELLO may not say', () => {
  assert.deepEqual(checkHello(hello, expectation), { accepted: true });
  const refused: [Partial<Hello>, Partial<HelloExpectation>, ErrorCode, RegExp, boolean?][] = [
    [{ version: 2 }, {}, 'VERSION_MISMATCH', /version is 2, but this host speaks 1 to 1/],
    [{ version: 0 }, {}, 'VERSION_MISMATCH', /version is 0/],
    [{ jobId: bytes(16, 9) }, {}, 'NOT_TRUSTED', /job is 09090909…, but this host works on 01010101…/],
    [{ binding: bytes(32, 9) }, {}, 'NOT_TRUSTED', /binding is 09090909…/],
    [{ from: 1 }, {}, 'NOT_TRUSTED', /from is 1 \(certificate aa\), but that member's certificate is bb/],
    [{ from: 2 }, {}, 'NOT_TRUSTED', /from is 2, but the job has 2 members/],
    [{ to: 0 }, {}, 'PROTOCOL', /to is 0, but this host is number 1/],
    [{ from: 1 }, { peerFingerprint: 'bb' }, 'PROTOCOL', /from is 1, but that is the receiver itself/],
    [{ epoch: 4 }, {}, 'PROTOCOL', /epoch is 4, but this host was told of route 5/, false],
    [{ epoch: 6 }, {}, 'PROTOCOL', /epoch is 6/, true],
    [{ stream: 2 }, {}, 'PROTOCOL', /stream is 2/],
    [{ stream: 0, streams: 0 }, {}, 'PROTOCOL', /stream is 0, but there are 0 streams/],
    [{ streams: 33 }, {}, 'LIMIT', /streams is 33, but the limit is 32/],
  ];
  for (const [change, expected, code, message, retryable = false] of refused) {
    const verdict = checkHello({ ...hello, ...change }, { ...expectation, ...expected });
    assert.ok(!verdict.accepted, message.source);
    assert.deepEqual({ code: verdict.error.code, retryable: verdict.error.retryable }, { code, retryable });
    assert.match(verdict.error.message, message);
  }
});

// Proves: a newer peer's longer HELLO is refused for its version, not as nonsense.
test('a HELLO of a later version', () => {
  const appended = Buffer.concat([encodeHello({ ...hello, version: 2 }), Buffer.from('more')]);
  const verdict = checkHello(decodeHello(appended), expectation);
  assert.ok(!verdict.accepted && verdict.error.code === 'VERSION_MISMATCH');
  assert.throws(() => decodeHello(Buffer.concat([encodeHello(hello), Buffer.from('more')])), BatonError);
});
