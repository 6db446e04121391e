// Proves: every message of pgoutput is read as it was written; bytes that are none end in PROTOCOL and in nothing else.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BatonError } from '@batondb/core/errors';
import fc from 'fast-check';
import { decodeMessage, skimMessage } from '../src/postgres/pgoutput.ts';
import { decodeFrame, encodeStandbyStatus } from '../src/postgres/replication-frames.ts';
import { messages } from './pgoutput.arbitraries.ts';
import { encodeMessage, encodeRow } from './pgoutput-encoder.ts';
import { runs } from './property.ts';

test('a message is what was written', () => {
  fc.assert(
    fc.property(messages, fc.nat(40), ({ message, isStreamed }, before) => {
      const bytes = Buffer.concat([Buffer.alloc(before, 0x49), encodeMessage(message)]);
      assert.deepEqual(decodeMessage(bytes, before, isStreamed), message);
      const xid = isStreamed && isChange(message.kind) && 'xid' in message ? message.xid : undefined;
      assert.deepEqual(skimMessage(bytes, before, isStreamed), { kind: message.kind, xid });
    }),
    runs(1000),
  );
});

test('a message that is cut or goes on is refused', () => {
  fc.assert(
    fc.property(messages, fc.nat(), ({ message, isStreamed }, cut) => {
      const bytes = encodeMessage(message);
      const short = bytes.subarray(0, cut % bytes.length);
      // An abort without the fields of protocol 4 is one, too.
      const isWhole = message.kind === 'streamAbort' && short.length === 9;
      if (!isWhole) assert.throws(() => decodeMessage(short, 0, isStreamed), { code: 'PROTOCOL' });
      const long = Buffer.concat([bytes, Buffer.from([0])]);
      assert.throws(() => decodeMessage(long, 0, isStreamed), { code: 'PROTOCOL' });
    }),
    runs(300),
  );
});

test('any bytes are a message or PROTOCOL', () => {
  const kinds = fc.constantFrom(...Buffer.from('BMCORYIUDTSEcAbPKrp'));
  const bytes = fc.tuple(fc.oneof(kinds, fc.nat(255)), fc.uint8Array({ maxLength: 60 }));
  fc.assert(
    fc.property(bytes, fc.boolean(), ([kind, rest], isStreamed) => {
      whatever(() => decodeMessage(Buffer.from([kind, ...rest]), 0, isStreamed));
      whatever(() => skimMessage(Buffer.from([kind, ...rest]), 0, isStreamed));
      whatever(() => decodeFrame(Buffer.from([kind, ...rest])));
    }),
    runs(3000),
  );
  fc.assert(
    fc.property(messages, fc.nat(), fc.nat(255), ({ message, isStreamed }, place, byte) => {
      const bytes = encodeMessage(message);
      bytes[place % bytes.length] = byte;
      whatever(() => decodeMessage(bytes, 0, isStreamed));
    }),
    runs(1000),
  );
  whatever(() => decodeMessage(Buffer.alloc(0), 0, false));
});

test('lengths beyond the message cost nothing', () => {
  const insert = (row: Buffer) => Buffer.concat([Buffer.from('I\0\0\0\x01N', 'latin1'), row]);
  const huge = Buffer.concat([Buffer.from([0, 1, 0x74, 0xff, 0xff, 0xff, 0xff]), Buffer.from('abc')]);
  assert.throws(() => decodeMessage(insert(huge), 0, false), { code: 'PROTOCOL', message: /4294967295 bytes/ });
  const columns = Buffer.from([0xff, 0xff]);
  assert.throws(() => decodeMessage(insert(columns), 0, false), { code: 'PROTOCOL', message: /65535 columns/ });
});

test('a value that is not UTF-8, or is in binary form, is refused; a replacement character is a value', () => {
  const row = (value: Buffer) => Buffer.concat([Buffer.from('I\0\0\0\x01N', 'latin1'), value]);
  const invalid = Buffer.from([0, 1, 0x74, 0, 0, 0, 2, 0xc3, 0x28]);
  assert.throws(() => decodeMessage(row(invalid), 0, false), { code: 'PROTOCOL', message: /not UTF-8/ });
  const binary = Buffer.from([0, 1, 0x62, 0, 0, 0, 1, 0x41]);
  assert.throws(() => decodeMessage(row(binary), 0, false), { code: 'PROTOCOL', message: /binary/ });
  const message = decodeMessage(row(encodeRow(['a\ufffdb', '\ufeffc'])), 0, false);
  assert.deepEqual(message.kind === 'insert' && message.row, ['a\ufffdb', '\ufeffc']);
});

test('frames of replication: log, keepalive, status', () => {
  const wal = Buffer.alloc(30, 0x01);
  wal[0] = 0x77;
  assert.deepEqual(decodeFrame(wal), { kind: 'wal', messageAt: 25 });
  const keepalive = Buffer.alloc(18);
  keepalive[0] = 0x6b;
  keepalive.writeBigUInt64BE(0x1_0000_0000n, 1);
  keepalive.writeBigInt64BE(1_500_000n, 9);
  keepalive[17] = 1;
  assert.deepEqual(decodeFrame(keepalive), {
    kind: 'keepalive',
    walEnd: 0x1_0000_0000n,
    sentAtMs: Date.UTC(2000, 0, 1) + 1500,
    isReplyRequested: true,
  });
  const atMs = Date.UTC(2026, 10, 21);
  const status = encodeStandbyStatus({ written: 3n, flushed: 2n, applied: 1n, atMs, isReplyRequested: false });
  const micros = (BigInt(atMs - Date.UTC(2000, 0, 1)) * 1000n).toString(16).padStart(16, '0');
  const lsns = [3, 2, 1].map((lsn) => lsn.toString(16).padStart(16, '0')).join('');
  assert.equal(status.toString('hex'), `72${lsns}${micros}00`);
});

function isChange(kind: string): boolean {
  return ['insert', 'update', 'delete', 'truncate', 'relation', 'type', 'message'].includes(kind);
}

/** Runs it; an error may only be a PROTOCOL. */
function whatever(action: () => unknown): void {
  try {
    action();
  } catch (error) {
    assert(error instanceof BatonError && error.code === 'PROTOCOL', String(error));
  }
}
