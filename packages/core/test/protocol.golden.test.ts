import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeClaim } from '../src/protocol/claim.ts';
import { encodeFrame, frameTypes } from '../src/protocol/frame.ts';
import { chooseVersion, dataVersions } from '../src/protocol/handshake.ts';
import { encodeHello, encodeHelloAck } from '../src/protocol/hello.ts';
import { encodeJournalHeader, encodeJournalRecord } from '../src/protocol/journal.ts';
import { ManifestBuilder } from '../src/protocol/manifest.ts';
import * as messages from '../src/protocol/messages.ts';
import { treeDigest } from '../src/protocol/tree-digest.ts';
import { encodeUnitHeader } from '../src/protocol/unit.ts';

// Proves: format version 1 stays what it is. When one of these fails, the format has changed: give it a new version number instead.

const hex = (...parts: readonly Uint8Array[]): string => Buffer.concat(parts).toString('hex');
const digest = Uint8Array.from({ length: 32 }, (_, index) => index);
const digestHex = hex(digest);
const changes = [
  { piece: 0, change: 'changed' as const },
  { piece: 200, change: 'unreadable' as const },
];
const changesHex = '02' + '0001' + 'c80105';

test('frames', () => {
  assert.equal(hex(...encodeFrame(frameTypes.ping)), '000000000a');
  assert.equal(hex(...encodeFrame(frameTypes.unit, Uint8Array.of(1, 2), Uint8Array.of(3))), '0300000008' + '010203');
  assert.deepEqual(Object.values(frameTypes), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
});

test('messages', () => {
  const hello = {
    version: 1,
    jobId: digest.subarray(0, 16),
    from: 1,
    to: 2,
    epoch: 3,
    stream: 4,
    streams: 5,
    purpose: 'probe' as const,
    binding: digest,
  };
  assert.equal(
    hex(encodeHello(hello)),
    '4241544e' + '0100' + digestHex.slice(0, 32) + '0100' + '0200' + '03000000' + '04' + '05' + '01' + digestHex,
  );
  assert.equal(hex(encodeHelloAck({ version: 1, manifestWanted: true, claims: false })), '0100' + '01' + '00');
  assert.equal(
    hex(messages.encodeError({ code: 'BUSY', message: 'no', retryable: true })),
    '01' + '0442555359' + '026e6f',
  );
  assert.equal(hex(messages.encodeStreamEnd({ units: 258 })), '02010000');
  assert.equal(
    hex(messages.encodeManifestEnd({ sections: 1, entries: 2, units: 3, digest })),
    '01000000' + '02000000' + '03000000' + digestHex,
  );
  assert.equal(
    hex(messages.encodeHave({ firstUnit: 8, bitmap: Uint8Array.of(0, 4), digests: digest })),
    '08000000' + '020004' + digestHex,
  );
  assert.equal(
    hex(encodeUnitHeader({ unit: 7, encoding: 'zstd', isPatch: false, rawLength: 1024, digest, changes })),
    '07000000' + '01' + '00040000' + digestHex + changesHex,
  );
  assert.equal(
    hex(encodeUnitHeader({ unit: 7, encoding: 'zstd', isPatch: true, rawLength: 1024, digest, changes })),
    '07000000' + '03' + '00040000' + digestHex + changesHex,
  );
  assert.equal(hex(encodeClaim({ unit: 258, digests: digest })), '02010000' + digestHex);
  assert.equal(hex(messages.encodeComplete({ treeDigest: digest })), digestHex);
});

test('manifest', () => {
  const common = { mode: 0o755, uid: 1000, gid: 300, modifyTimeNs: 1n, accessTimeNs: -2n };
  const commonHex = 'ed03' + 'e807' + 'ac02' + '0100000000000000';
  const identity = { device: 1n, inode: 2n, changeTimeNs: 3n };
  const identityHex = '0100000000000000' + '0200000000000000' + '0300000000000000';
  const name = Buffer.from('n');
  const builder = new ManifestBuilder();
  builder.add({
    kind: 'directory',
    parent: -1,
    name,
    ...common,
    xattrs: [{ name: Buffer.from('u'), value: Buffer.from('vv') }],
  });
  builder.add({
    kind: 'file',
    parent: 0,
    name,
    ...common,
    xattrs: [],
    sizeBytes: 300,
    identity,
    extents: [
      { offset: 0, length: 10 },
      { offset: 100, length: 5 },
    ],
  });
  builder.add({ kind: 'file', parent: 0, name, ...common, xattrs: [], sizeBytes: 0, identity, extents: undefined });
  builder.add({ kind: 'symlink', parent: 0, name, ...common, xattrs: [], target: Buffer.from('t') });
  builder.add({ kind: 'fifo', parent: 0, name, ...common, xattrs: [] });
  builder.add({ kind: 'character', parent: 0, name, ...common, xattrs: [], major: 1, minor: 3 });
  builder.add({ kind: 'block', parent: 0, name, ...common, xattrs: [], major: 8, minor: 1 });
  builder.add({ kind: 'hardlink', parent: 0, name, link: 1 });
  const manifest = builder.finish();
  assert.equal(manifest.sections.length, 1);
  const expected = [
    '01' + '00000000' + '08000000',
    '01' + '00' + '016e' + commonHex + '01' + '0175' + '027676',
    '00' + '01' + '016e' + commonHex + '00' + 'ac02' + identityHex + '01' + '02' + '000a' + '5a05',
    '00' + '01' + '016e' + commonHex + '00' + '00' + identityHex + '00',
    '02' + '01' + '016e' + commonHex + '00' + '0174',
    '03' + '01' + '016e' + commonHex + '00',
    '04' + '01' + '016e' + commonHex + '00' + '01' + '03',
    '05' + '01' + '016e' + commonHex + '00' + '08' + '01',
    '06' + '01' + '016e' + '01',
    'feffffffffffffff'.repeat(7) + '0000000000000000',
  ];
  assert.equal(hex(...manifest.sections), expected.join(''));
  assert.equal(hex(manifest.digest), '3851591e95cecfd3fe13d0cf4fb765a3c0a861e8982fe9226889f161c550020e');
  assert.equal(
    hex(treeDigest(digest, digest, [{ unit: 0, changes }])),
    '1fc64052c503c1146162d0cb8150f3315ae3c293e788acedd0772cd343b4adc9',
  );
});

test('journal', () => {
  assert.equal(hex(encodeJournalHeader()), '4241544f4e4a' + '01');
  const job = encodeJournalRecord({
    type: 'job',
    formatVersion: 1,
    source: 'a:/b',
    name: Buffer.from('b'),
    created: '2026-11-21T00:00:00.000Z',
  });
  assert.equal(
    Buffer.from(job.subarray(9)).toString(),
    '{"formatVersion":1,"source":"a:/b","name":"Yg==","created":"2026-11-21T00:00:00.000Z"}',
  );
  assert.equal(
    hex(encodeJournalRecord({ type: 'section', payload: Uint8Array.of(1, 2) })),
    '02' + '02000000' + '115dd00b' + '0102',
  );
  assert.equal(
    hex(encodeJournalRecord({ type: 'unit', unit: 1, digest, changes: [] })),
    '04' + '25000000' + 'a7e83be6' + '01000000' + digestHex + '00',
  );
  assert.equal(
    hex(encodeJournalRecord({ type: 'commit', device: 1n, inode: 2n, treeDigest: digest })),
    '05' + '30000000' + '5d7c5bbd' + '0100000000000000' + '0200000000000000' + digestHex,
  );
});

test('versions', () => {
  assert.deepEqual(dataVersions, { min: 1, max: 1 });
  assert.equal(chooseVersion({ min: 1, max: 3 }, { min: 2, max: 5 }), 3);
  assert.equal(chooseVersion({ min: 4, max: 5 }, { min: 1, max: 4 }), 4);
  assert.equal(chooseVersion({ min: 2, max: 3 }, { min: 4, max: 5 }), undefined);
  assert.equal(chooseVersion({ min: 4, max: 5 }, { min: 2, max: 3 }), undefined);
});
