import assert from 'node:assert/strict';
import { chmodSync, chownSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { makeSandbox } from '@batondb/testbed/sandbox';
import fc from 'fast-check';
import {
  formatGrastate,
  type Grastate,
  isClusterUuid,
  noUuid,
  parseGrastate,
  readGrastate,
  writeGrastate,
} from '../src/state/grastate.ts';
import { parseRecovered } from '../src/state/recovered-position.ts';
import { runs } from './property.ts';

const states: fc.Arbitrary<Grastate> = fc.record(
  {
    uuid: fc.oneof(fc.uuid(), fc.constant(noUuid)),
    seqno: fc.bigInt({ min: -1n, max: 2n ** 63n - 1n }),
    safeToBootstrap: fc.boolean(),
  },
  { noNullPrototype: true },
);

// Proves: what is written is what is read, whatever the position.
test('a position survives the way into the file and back', () => {
  fc.assert(
    fc.property(states, (state) => assert.deepEqual(parseGrastate(formatGrastate(state)), state)),
    runs(200),
  );
});

// Proves: the file is Galera's, byte by byte.
test('the file is what Galera writes', () => {
  const state = { uuid: '6a1c6d3e-0d1c-11f0-8f1b-3f4a9c8d7e6f', seqno: -1n, safeToBootstrap: false };
  assert.equal(
    formatGrastate(state),
    '# GALERA saved state\nversion: 2.1\nuuid:    6a1c6d3e-0d1c-11f0-8f1b-3f4a9c8d7e6f\nseqno:   -1\nsafe_to_bootstrap: 0\n',
  );
});

// Proves (G8): a file that says no position is never taken for one.
test('a file that makes no sense says no position', () => {
  const uuid = '6a1c6d3e-0d1c-11f0-8f1b-3f4a9c8d7e6f';
  for (const text of ['', 'uuid: x\nseqno: 1\n', `uuid: ${uuid}\n`, `uuid: ${uuid}\nseqno: one\n`, `uuid: ${uuid}`]) {
    assert.equal(parseGrastate(text), undefined, JSON.stringify(text));
  }
  // Galera pads with spaces what has become shorter.
  assert.equal(parseGrastate(`uuid:    ${uuid}   \nseqno:   17      \n`)?.seqno, 17n);
  assert.ok(!isClusterUuid(noUuid) && !isClusterUuid('x') && isClusterUuid(uuid));
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => void parseGrastate(text)),
    runs(200),
  );
});

// Proves: owner and mode of the file stay, and nothing else is left in the directory.
test('written in place of the old file', async () => {
  await using sandbox = makeSandbox();
  const path = sandbox.join('grastate.dat');
  assert.equal(readGrastate(sandbox.path), undefined);
  writeFileSync(path, 'old');
  chmodSync(path, 0o640);
  chownSync(path, 1234, 2345);
  const state = { uuid: '6a1c6d3e-0d1c-11f0-8f1b-3f4a9c8d7e6f', seqno: 12n, safeToBootstrap: true };
  writeGrastate(sandbox.path, state);
  assert.deepEqual(readGrastate(sandbox.path), state);
  const { uid, gid, mode } = statSync(path);
  assert.deepEqual([uid, gid, mode & 0o777], [1234, 2345, 0o640]);
  assert.deepEqual(readdirSync(sandbox.path), ['grastate.dat']);
  assert.match(readFileSync(path, 'utf8'), /^# GALERA saved state\n/);
});

// Proves: the position is read from what the server says, and the last one counts.
test('the position in a log', () => {
  const uuid = '6a1c6d3e-0d1c-11f0-8f1b-3f4a9c8d7e6f';
  const line = '2026-01-01  0:00:00 0 [Note] WSREP: Recovered position: ';
  assert.deepEqual(parseRecovered(`${line}${noUuid}:-1\n${line}${uuid}:42\n`), { uuid, seqno: 42n });
  assert.equal(parseRecovered('[Note] WSREP: skipping position recovery'), undefined);
});
