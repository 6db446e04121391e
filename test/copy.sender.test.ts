import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { limits } from '@batondb/core/limits';
import type { Entry } from '@batondb/core/protocol/entry';
import { frameTypes } from '@batondb/core/protocol/frame';
import { Manifest } from '@batondb/core/protocol/manifest';
import { encodeUnitHeader, type UnitHeader } from '@batondb/core/protocol/unit';
import { unitDigest } from '@batondb/core/transfer/unit-codec';
import { compareFingerprints, compareTrees, fingerprintDirectory } from '@batondb/testbed/compare';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { makeLargeFiles } from '@batondb/testbed/trees';
import { directory, file, hardlink, symlink, uncheckedManifest } from './hostile-manifest.ts';
import { noise, type Offer, Sender, scanOffer, TargetHost } from './target-host.ts';

// A member of the job that does not keep to the protocol: the source or a relay, taken over by somebody. Frames are sent one
// by one; the target is the agent's own code with real threads and a real disk.

const mib = 1024 * 1024;
const options = { timeout: 120_000 };

/** A source of three units, and an empty target directory beside a victim. */
function makePlaces(sandbox: Sandbox): { source: string; target: string; victim: string } {
  const [source, target, victim] = [sandbox.join('source'), sandbox.join('target'), sandbox.join('victim')];
  for (const path of [source, target, victim]) mkdirSync(path);
  makeLargeFiles(source, { files: 1, bytesEach: 3 * mib, compressible: 0 });
  writeFileSync(`${victim}/file`, 'untouched', { mode: 0o600 });
  return { source, target, victim };
}

/** A UNIT frame's payload; the header fits the content unless changed. */
function unitOf(unit: number, content: Uint8Array, changes: Partial<UnitHeader> = {}, body = content): Uint8Array {
  const honest = {
    unit,
    encoding: 'raw',
    isPatch: false,
    rawLength: content.byteLength,
    digest: unitDigest(content),
    changes: [],
  } as const;
  return Buffer.concat([encodeUnitHeader({ ...honest, ...changes }), body]);
}

/** Everything that a copy at work has written, without its journal, whose first records are the manifest. */
async function contentBytesIn(target: string): Promise<number> {
  let bytes = 0;
  for (const [path, line] of await fingerprintDirectory(target)) {
    if (path.includes('/tree') && / type f |^type f /.test(line)) bytes += Number(/ size (\d+)/.exec(line)?.[1] ?? 0);
  }
  return bytes;
}

// Proves: a unit that is not what it says, or that the manifest does not have, is refused by name; nothing of it is written; an
// honest sender afterwards finds a receiver that works.
test('units that are not what they say', options, async () => {
  await using sandbox = makeSandbox();
  const { source, target } = makePlaces(sandbox);
  const offer = await scanOffer(source);
  const content = noise(mib);
  const bomb = zstdCompressSync(new Uint8Array(512 * mib));
  const smallBomb = zstdCompressSync(new Uint8Array(mib + 1));
  const wrong = new Uint8Array(32).fill(1);
  const bad: readonly (readonly [string, RegExp, Uint8Array])[] = [
    ['a unit beyond the last', /^PROTOCOL unit 3 does not exist; the manifest has 3/, unitOf(3, content)],
    ['the largest number', /^PROTOCOL unit 4294967295 does not exist/, unitOf(0xffff_ffff, content)],
    ['too short', /^PROTOCOL unit 0 has 5 bytes where the manifest says 1048576/, unitOf(0, noise(5))],
    ['empty', /^PROTOCOL unit 0 has 0 bytes/, unitOf(0, noise(0))],
    ['another digest', /^DIGEST_MISMATCH unit 1 arrived with digest/, unitOf(1, content, { digest: wrong })],
    ['a raw length that lies', /^PROTOCOL unit: content is/, unitOf(1, content, { rawLength: 17 })],
    ['no zstd', /^PROTOCOL the content of unit 1 cannot be decompressed/, unitOf(1, content, { encoding: 'zstd' })],
    ['a bomb', /^PROTOCOL the content of unit 2 cannot/, unitOf(2, content, { encoding: 'zstd' }, bomb)],
    [
      'one byte too many',
      /^PROTOCOL the content of unit 2 cannot/,
      unitOf(2, content, { encoding: 'zstd' }, smallBomb),
    ],
    ['a raw length above the limit', /^LIMIT unit: raw length is/, unitOf(2, content, { rawLength: 0xffff_ffff })],
    [
      'remarks on no piece',
      /^PROTOCOL unit 0 has a remark on piece 1/,
      unitOf(0, content, { changes: [{ piece: 1, change: 'vanished' }] }),
    ],
    ['a header that ends', /^PROTOCOL unit: /, unitOf(0, content).subarray(0, 20)],
  ];
  await using host = await TargetHost.start(target, offer);
  const before = process.memoryUsage.rss();
  for (const [what, expected, payload] of bad) {
    await using sender = new Sender(host.connect());
    await sender.greet(offer);
    await sender.write(frameTypes.unit, payload);
    assert.match(await sender.refusal(), expected, what);
    assert.equal(host.failure, undefined, `${what}: one bad unit is not the end of the copy`);
    assert.equal(await contentBytesIn(target), 0, what);
  }
  const grown = process.memoryUsage.rss() - before;
  assert.ok(grown < 256 * mib, `${grown} bytes of memory for units of 1 MiB`);
  await host.receiveAll(source);
  assert.deepEqual(await compareTrees(source, `${target}/copy`), []);
  assert.deepEqual(readdirSync(target), ['copy']);
});

// Proves: frames out of their turn, too large or of no known type end the connection and nothing else.
test('frames out of turn', options, async () => {
  await using sandbox = makeSandbox();
  const { source, target } = makePlaces(sandbox);
  const offer = await scanOffer(source);
  await using host = await TargetHost.start(target, offer);
  const unit = unitOf(0, noise(mib));
  type Play = (sender: Sender) => Promise<void>;
  const plays: readonly (readonly [string, RegExp, Play])[] = [
    [
      'a unit first',
      /^PROTOCOL a frame of type 8 arrived where HELLO was due/,
      (sender) => sender.write(frameTypes.unit, unit),
    ],
    [
      'a unit before the manifest',
      /^PROTOCOL a frame of type 8 arrived where MANIFEST_SECTION was due/,
      async (sender) => {
        await sender.hello();
        await sender.write(frameTypes.unit, unit);
      },
    ],
    [
      'a second HELLO',
      /^PROTOCOL a frame of type 1 arrived where UNIT was due/,
      async (sender) => {
        await sender.greet(offer);
        await sender.hello();
      },
    ],
    ['a frame above the limit', /^LIMIT frame: length is/, (sender) => sender.raw(Buffer.from('ffffffff08', 'hex'))],
    ['an unknown type', /^PROTOCOL frame: type is 99/, (sender) => sender.raw(Buffer.from('0000000063', 'hex'))],
  ];
  for (const [what, expected, play] of plays) {
    await using sender = new Sender(host.connect());
    await play(sender);
    assert.match(await sender.refusal(), expected, what);
    assert.equal(host.failure, undefined, what);
  }
  await host.receiveAll(source);
  assert.deepEqual(await compareTrees(source, `${target}/copy`), []);
});

// Proves: the right certificate is not enough. A first frame with another connection's binding (a replay), of another job, member,
// route or version is refused by the field's name.
test('a HELLO that does not fit', options, async () => {
  await using sandbox = makeSandbox();
  const { source, target } = makePlaces(sandbox);
  const offer = await scanOffer(source);
  await using host = await TargetHost.start(target, offer);
  const earlier = host.connect();
  const cases = [
    ['a replay', /^NOT_TRUSTED hello: binding is/, 0, { binding: earlier.binding }],
    ['another job', /^NOT_TRUSTED hello: job is/, 0, { jobId: noise(16) }],
    ["another member's number", /^NOT_TRUSTED hello: from is 2 \(certificate aaaa/, 0, { from: 2 }],
    ['no such member', /^NOT_TRUSTED hello: from is 9/, 0, { from: 9 }],
    ['another receiver', /^PROTOCOL hello: to is 2/, 0, { to: 2 }],
    ['itself', /^PROTOCOL hello: from is 1/, 1, { from: 1 }],
    ['an older route', /^PROTOCOL hello: epoch is 0/, 0, { epoch: 0 }],
    ['a later route', /^PROTOCOL hello: epoch is 7/, 0, { epoch: 7 }],
    ['a newer version', /^VERSION_MISMATCH hello: version is 2/, 0, { version: 2 }],
    ['too many streams', /^LIMIT hello: streams is 33/, 0, { streams: 33 }],
    ['a stream that is none', /^PROTOCOL hello: stream is 4/, 0, { stream: 4, streams: 4 }],
  ] as const;
  for (const [what, expected, member, changes] of cases) {
    await using sender = new Sender(host.connect(member));
    await sender.hello(changes);
    assert.match(await sender.refusal(), expected, what);
  }
  earlier.destroy();
  assert.deepEqual(await contentBytesIn(target), 0);
  await host.receiveAll(source);
});

// Proves: a sender that is not the source cannot offer another manifest than the coordinator named, and an attempt ends its
// connection and not the copy.
test('a manifest that the coordinator did not name', options, async () => {
  await using sandbox = makeSandbox();
  const { source, target } = makePlaces(sandbox);
  const offer = await scanOffer(source);
  const other = uncheckedManifest([directory(-1, 'root'), file(0, 'evil')]);
  const changed = Buffer.from(offer.sections[0] ?? []);
  // The access times at the end are in no digest: the last byte before them.
  const last = changed.length - 8 * offer.entries - 1;
  changed[last] = (changed[last] ?? 0) ^ 1;
  await using host = await TargetHost.start(target, offer);
  const attempts: readonly (readonly [string, RegExp, Offer])[] = [
    ['another digest', /^NOT_TRUSTED the sender offers another manifest/, { ...other, entries: 2, units: 1 }],
    ['a changed section', /^NOT_TRUSTED the sender offers another manifest/, { ...offer, sections: [changed] }],
    ['no section', /^NOT_TRUSTED the sender offers another manifest/, { ...offer, sections: [] }],
    ['twice', /^LIMIT the manifest is longer than/, { ...offer, sections: [...offer.sections, ...offer.sections] }],
  ];
  for (const [what, expected, attempt] of attempts) {
    await using sender = new Sender(host.connect());
    await sender.hello();
    for (const section of attempt.sections) await sender.write(frameTypes.manifestSection, section);
    await sender.endManifest(attempt);
    assert.match(await sender.refusal(), expected, what);
    assert.equal(host.failure, undefined, what);
  }
  await host.receiveAll(source);
  assert.deepEqual(await compareTrees(source, `${target}/copy`), []);
});

const root = directory(-1, 'root');
const long = 'n'.repeat(limits.nameBytesMax + 1);

// Proves: a source's manifest with a name that leads elsewhere, or an impossible entry, is refused as a whole, and its target
// directory and all around it stay as they were.
test('manifests that lead out of the tree', options, async () => {
  const cases: readonly (readonly [RegExp, readonly Entry[]])[] = [
    [/entry 1: name is "\.\."/, [root, file(0, '..')]],
    [/entry 1: name is "\."/, [root, directory(0, '.')]],
    [/entry 1: name is "\/etc\/passwd"/, [root, file(0, '/etc/passwd')]],
    [/entry 1: name is "\.\.\/victim\/file"/, [root, file(0, '../victim/file')]],
    [/entry 1: name is "a\/b"/, [root, file(0, 'a/b')]],
    [/entry 1: name is "file\\u0000x"/, [root, file(0, Buffer.from('file\0x'))]],
    [/entry 1: name is empty/, [root, file(0, '')]],
    [/entry 1: name length is 256/, [root, file(0, long)]],
    [/entry 0: name is "\.\."/, [directory(-1, '..')]],
    [/entry 2: parent is 1, but entry 1 is a symlink/, [root, symlink(0, 'out', '../../victim'), file(1, 'file')]],
    [/entry 2: parent is 1, but entry 1 is a file/, [root, file(0, 'f'), file(1, 'file')]],
    [/entry 1: parent is 1/, [root, file(1, 'file')]],
    [/entry 1: parent is -1/, [root, file(-1, 'file')]],
    [/entry 1: link is 0/, [root, hardlink(0, 'h', 0)]],
    [/entry 1: link is 5/, [root, hardlink(0, 'h', 5)]],
    [/entry 1: mode is/, [root, directory(0, 'd', 0o170000)]],
    [/entry 1: extent length is 5/, [root, file(0, 'f', 4, { extents: [{ offset: 0, length: 5 }] })]],
  ];
  await using sandbox = makeSandbox();
  const { target, victim } = makePlaces(sandbox);
  const before = await fingerprintDirectory(sandbox.path, { ignore: ['target'] });
  for (const [index, [expected, entries]] of cases.entries()) {
    const place = `${target}/${index}`;
    mkdirSync(place);
    const manifest = uncheckedManifest(entries);
    assert.throws(() => Manifest.fromSections(manifest.sections), expected);
    await using host = await TargetHost.start(place, manifest);
    await using sender = new Sender(host.connect());
    await assert.rejects(sender.greet({ ...manifest, entries: entries.length, units: 1 }));
    assert.match(host.failure?.message ?? '', expected);
    assert.ok(!readdirSync(place).includes('copy'));
    assert.equal(await contentBytesIn(place), 0);
  }
  const after = await fingerprintDirectory(sandbox.path, { ignore: ['target'] });
  assert.deepEqual(compareFingerprints(before, after), []);
  assert.equal(statSync(`${victim}/file`).mode & 0o777, 0o600);
});

// Proves: two entries with one name, of which one is a symlink, change nothing of what the symlink points at: neither content nor
// mode, owner, times, attributes or links. The copy may fail or hold one of them.
test('entries that take the place of others', options, async () => {
  await using sandbox = makeSandbox();
  const { target, victim } = makePlaces(sandbox);
  const toDirectory = (parent: number, name: string): Entry => symlink(parent, name, victim);
  const toFile = (parent: number, name: string): Entry => symlink(parent, name, `${victim}/file`);
  const loud = { mode: 0o6777, uid: 12345, xattrs: [{ name: Buffer.from('user.x'), value: Buffer.from('y') }] };
  const trees: readonly (readonly Entry[])[] = [
    [root, directory(0, 'x', 0o777), toDirectory(0, 'x'), file(1, 'file')],
    [root, toDirectory(0, 'x'), directory(0, 'x', 0o777), file(2, 'file')],
    [root, directory(0, 'x', 0o777), toDirectory(0, 'x'), file(1, 'file', 0, loud), directory(1, 'below')],
    [root, file(0, 'x', 4, loud), toFile(0, 'x')],
    [root, toFile(0, 'x'), file(0, 'x', 4, loud)],
    [root, toFile(0, 'x'), file(0, 'x', 0, loud)],
    [root, file(0, 'x', 0, loud), toFile(0, 'x'), hardlink(0, 'y', 1), file(0, 'y', 4, loud)],
    [root, toFile(0, 'x'), hardlink(0, 'y', 1), file(0, 'y', 4, loud)],
    [root, directory(0, 'x'), directory(0, 'x'), toDirectory(1, 'z'), directory(2, 'z', 0o777), file(4, 'file')],
  ];
  const before = await fingerprintDirectory(victim);
  for (const [index, entries] of trees.entries()) {
    const place = `${target}/${index}`;
    mkdirSync(place);
    const manifest = uncheckedManifest(entries);
    const bytes = entries.reduce((sum, entry) => sum + (entry.kind === 'file' ? entry.sizeBytes : 0), 0);
    await using host = await TargetHost.start(place, manifest);
    await using sender = new Sender(host.connect());
    const units = entries.some(({ kind }) => kind === 'file') ? 1 : 0;
    await sender.greet({ ...manifest, entries: entries.length, units });
    await sender.write(frameTypes.unit, unitOf(0, Buffer.alloc(bytes, 'evil')));
    await host.ended();
    assert.deepEqual(compareFingerprints(before, await fingerprintDirectory(victim)), [], `tree ${index}`);
    assert.equal(readdirSync(victim).length, 1);
  }
});
