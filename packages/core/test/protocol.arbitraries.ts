import fc, { type Arbitrary } from 'fast-check';
import { type ChangeKind, changeCodes, type PieceChange } from '../src/protocol/changes.ts';
import type { Claim } from '../src/protocol/claim.ts';
import type { Entry, EntryBase, Extent } from '../src/protocol/entry.ts';
import { type FrameType, frameTypes } from '../src/protocol/frame.ts';
import type { Hello } from '../src/protocol/hello.ts';
import type { JournalRecord } from '../src/protocol/journal.ts';
import type { Have } from '../src/protocol/messages.ts';
import type { Offer } from '../src/protocol/offer.ts';
import type { Unit } from '../src/protocol/unit.ts';

/** fast-check's records have no prototype now and then; what is decoded always has one. */
export const record = <T>(model: { [K in keyof T]: Arbitrary<T[K]> }): Arbitrary<T> =>
  fc.record(model, { noNullPrototype: true }) as Arbitrary<T>;

// Valid things of the protocol, for properties and as the start of mutations.

export const bytesOf = (length: number): Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length });
export const digests: Arbitrary<Uint8Array> = bytesOf(32);
const u8 = fc.integer({ min: 0, max: 0xff });
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const i64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });

export const frameTypeNumbers: Arbitrary<FrameType> = fc.constantFrom(...Object.values(frameTypes));

export const changeLists: Arbitrary<PieceChange[]> = fc
  .uniqueArray(fc.integer({ min: 0, max: 1023 }), { maxLength: 8 })
  .chain((pieces) =>
    fc.tuple(
      ...pieces
        .toSorted((left, right) => left - right)
        .map((piece) =>
          fc.constantFrom(...(Object.keys(changeCodes) as ChangeKind[])).map((change) => ({ piece, change })),
        ),
    ),
  );

export const hellos: Arbitrary<Hello> = record({
  version: fc.constant(1),
  jobId: bytesOf(16),
  from: u16,
  to: u16,
  epoch: u32,
  stream: u8,
  streams: u8,
  purpose: fc.constantFrom('data', 'probe'),
  binding: digests,
});

export const units: Arbitrary<Unit> = record({
  unit: u32,
  encoding: fc.constantFrom('raw', 'zstd'),
  isPatch: fc.boolean(),
  digest: digests,
  changes: changeLists,
  content: fc.uint8Array({ maxLength: 300 }),
  rawLength: fc.integer({ min: 0, max: 2 ** 20 }),
}).map((unit) => (unit.encoding === 'raw' ? { ...unit, rawLength: unit.content.length } : unit));

export const claims: Arbitrary<Claim> = record({
  unit: u32,
  digests: fc.integer({ min: 0, max: 64 }).chain((blocks) => bytesOf(blocks * 16)),
});

export const offers: Arbitrary<Offer> = record({
  jobId: bytesOf(16),
  manifestDigest: bytesOf(32),
  manifestBytes: u32,
  about: fc.uint8Array({ maxLength: 300 }),
});

export const haves: Arbitrary<Have> = record({
  firstUnit: fc.integer({ min: 0, max: 0xffff_0000 }),
  bitmap: fc.uint8Array({ maxLength: 8 }),
}).chain(({ firstUnit, bitmap }) => {
  const set = bitmap.reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0);
  return bytesOf(set * 32).map((haveDigests) => ({ firstUnit, bitmap, digests: haveDigests }));
});

export const names: Arbitrary<Uint8Array> = fc
  .uint8Array({ minLength: 1, maxLength: 40 })
  .map((bytes) => bytes.map((byte) => (byte === 0 || byte === 0x2f ? 0x61 : byte)))
  .filter((bytes) => !['.', '..'].includes(Buffer.from(bytes).toString('latin1')));

const xattrs = fc.array(record({ name: names, value: fc.uint8Array({ maxLength: 50 }) }), { maxLength: 3 });

const bases: Arbitrary<Omit<EntryBase, 'parent'>> = record({
  name: names,
  mode: fc.integer({ min: 0, max: 0o7777 }),
  uid: u32,
  gid: u32,
  modifyTimeNs: i64,
  accessTimeNs: i64,
  xattrs,
});

const extents: Arbitrary<Extent[] | undefined> = fc.option(
  fc
    .array(fc.tuple(fc.integer({ min: 1, max: 2 ** 40 }), fc.integer({ min: 1, max: 2 ** 40 })), { maxLength: 5 })
    .map((steps) => {
      let end = -1;
      return steps.map(([gap, length]) => {
        const offset = end + gap;
        end = offset + length;
        return { offset, length };
      });
    }),
  { nil: undefined },
);

/** An entry whose parent and link are still to be chosen, by a number that is taken modulo what is possible. */
const seeds = record({
  kind: fc.constantFrom('file', 'directory', 'symlink', 'fifo', 'character', 'block', 'hardlink'),
  base: bases,
  parentChoice: u32,
  linkChoice: u32,
  sizeBytes: fc.integer({ min: 0, max: 2 ** 43 }),
  identity: record({ device: u64, inode: u64, changeTimeNs: i64 }),
  extents,
  target: names,
  major: u32,
  minor: u32,
});

/** A valid tree: entry 0 is the root. */
export const entryLists: Arbitrary<Entry[]> = fc.array(seeds, { minLength: 1, maxLength: 30 }).map((list) => {
  const entries: Entry[] = [];
  const directories: number[] = [];
  const linkable: number[] = [];
  for (const {
    kind,
    base,
    parentChoice,
    linkChoice,
    sizeBytes,
    identity,
    extents: ranges,
    target,
    major,
    minor,
  } of list) {
    const index = entries.length;
    if (index > 0 && directories.length === 0) break;
    const parent = index === 0 ? -1 : (directories[parentChoice % directories.length] ?? 0);
    if (kind === 'hardlink') {
      const link = linkable[linkChoice % Math.max(linkable.length, 1)];
      if (link !== undefined && index > 0) entries.push({ kind, parent, name: base.name, link });
      else if (index === 0) {
        entries.push({ kind: 'directory', parent, ...base });
        directories.push(0);
      }
      continue;
    }
    if (kind === 'directory') directories.push(index);
    else linkable.push(index);
    const lastEnd = ranges?.at(-1);
    const size = Math.max(sizeBytes, lastEnd === undefined ? 0 : lastEnd.offset + lastEnd.length);
    if (kind === 'file') entries.push({ kind, parent, ...base, sizeBytes: size, identity, extents: ranges });
    else if (kind === 'symlink') entries.push({ kind, parent, ...base, target });
    else if (kind === 'character' || kind === 'block') entries.push({ kind, parent, ...base, major, minor });
    else entries.push({ kind, parent, ...base });
  }
  return entries;
});

export const journalRecords: Arbitrary<JournalRecord> = fc.oneof(
  record({
    type: fc.constant('job' as const),
    formatVersion: u16,
    source: fc.string(),
    name: names,
    created: fc.constant('2026-11-21T03:24:43.000Z'),
  }),
  record({ type: fc.constant('section' as const), payload: fc.uint8Array({ maxLength: 200 }) }),
  record({
    type: fc.constant('manifestEnd' as const),
    sections: u32,
    entries: fc.integer({ min: 0, max: 100_000_000 }),
    units: u32,
    digest: digests,
  }),
  record({ type: fc.constant('unit' as const), unit: u32, digest: digests, changes: changeLists }),
  record({ type: fc.constant('commit' as const), device: u64, inode: u64, treeDigest: digests }),
);
