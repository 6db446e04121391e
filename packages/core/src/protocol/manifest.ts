import { Blake3Hasher, blake3 } from '@napi-rs/blake-hash';
import { assert, BatonError } from '../errors.ts';
import { limits } from '../limits.ts';
import { ByteReader, ByteWriter, limitError } from './bytes.ts';
import type { Entry, EntryKind } from './entry.ts';
import { checkEntry } from './entry-check.ts';
import { entryBytesMin, kindOfCode, readEntry, writeEntry } from './entry-codec.ts';
import type { EntryTable } from './entry-table.ts';
import { type EntryIndex, EntryIndexBuilder } from './manifest-index.ts';

// A manifest: what is in a tree, as sections of encoded entries that travel one a frame. Entries are decoded when they are asked for,
// because a hundred million of them as objects would not fit any memory.

/** Version of the sections' format. A new one gets a new number, and this build refuses it by that number. */
export const manifestFormatVersion = 1;

/**
 * A section: u8 format version, u32 index of its first entry, u32 number of entries, then the entries (see entry-codec.ts), then for each
 * an i64 access time (ns; 0 for a hardlink). Access times come last because no digest covers them: reading a tree
 * changes them, and it is the same tree after that.
 */
const sectionHeaderBytes = 9;
const countOffset = 5;
const accessTimeBytes = 8;

/** Everything of a manifest that another thread needs to use it without checking it again. Can be posted to a worker; memory is shared. */
export type ManifestShare = {
  readonly sections: readonly Uint8Array[];
  readonly digest: Uint8Array;
  readonly index: EntryIndex;
};

/** A checked manifest. Memory: its sections, and 5 bytes an entry. */
export class Manifest implements EntryTable {
  /** The sections as they travel, each in a SharedArrayBuffer of its own. */
  readonly sections: readonly Uint8Array[];
  /** The number of entries; at least 1. */
  readonly count: number;
  /** BLAKE3, chained: d0 = H("baton manifest v1"), dk = H(dk-1 ‖ section k without its access times). */
  readonly digest: Uint8Array;
  readonly #index: EntryIndex;
  #lastSection = 0;
  #lastIndex = -1;
  #lastEntry: Entry | undefined;

  private constructor(share: ManifestShare) {
    this.sections = share.sections;
    this.digest = share.digest;
    this.#index = share.index;
    this.count = share.index.offsets.length;
  }

  /**
   * A manifest from received sections, every entry of it checked. Throws PROTOCOL or LIMIT naming the entry and the field,
   * DIGEST_MISMATCH when `expectedDigest` is given and another. Sections that are not in shared memory are copied there.
   */
  static fromSections(sections: readonly Uint8Array[], expectedDigest?: Uint8Array): Manifest {
    const builder = new EntryIndexBuilder();
    for (const [number, section] of sections.entries()) indexSection(builder, section, number);
    if (builder.count === 0) throw new BatonError('PROTOCOL', 'manifest: count is 0, but there is at least the root');
    const digest = digestSections(sections);
    if (expectedDigest !== undefined && Buffer.compare(digest, expectedDigest) !== 0) {
      throw new BatonError(
        'DIGEST_MISMATCH',
        `manifest: digest is ${hex(digest)}, but ${hex(expectedDigest)} was announced`,
        { retryable: true },
      );
    }
    return new Manifest({ sections: sections.map(shared), digest, index: builder.finish() });
  }

  /** A manifest from what `share()` gave in another thread of the same process. Nothing is checked again. */
  static fromShare(share: ManifestShare): Manifest {
    return new Manifest(share);
  }

  share(): ManifestShare {
    return { sections: this.sections, digest: this.digest, index: this.#index };
  }

  /** Entry number `index`, decoded now; the last one asked for is remembered. Throws RangeError when there is no such entry. */
  entry(index: number): Entry {
    if (this.#lastEntry !== undefined && this.#lastIndex === index) return this.#lastEntry;
    this.#requireIndex(index);
    const sectionNumber = this.#sectionOf(index);
    const section = this.sections[sectionNumber];
    const offset = this.#index.offsets[index];
    assert(section !== undefined && offset !== undefined, `entry ${index} of ${this.count} lies in a section`);
    const accessTimeNs = accessTimeOf(section, index - (this.#index.firsts[sectionNumber] ?? 0));
    const entry = readEntry(new ByteReader(section, `manifest entry ${index}`, offset), accessTimeNs);
    this.#lastIndex = index;
    this.#lastEntry = entry;
    return entry;
  }

  /** The kind of entry `index`, without decoding it. */
  kindOf(index: number): EntryKind {
    this.#requireIndex(index);
    const kind = kindOfCode(this.#index.kinds[index] ?? 0xff);
    assert(kind !== undefined, `entry ${index} has a known kind`);
    return kind;
  }

  /** The components of entry `index`'s path, from the root's name to its own. */
  pathOf(index: number): Uint8Array[] {
    const components: Uint8Array[] = [];
    for (let current = index; current >= 0; ) {
      const { name, parent } = this.entry(current);
      components.push(name);
      current = parent;
    }
    return components.reverse();
  }

  #requireIndex(index: number): void {
    if (!(Number.isInteger(index) && index >= 0 && index < this.count))
      throw new RangeError(`no entry ${index} in a manifest of ${this.count}`);
  }

  /** The section that holds entry `index`; entries are mostly asked for in order, so the last answer is tried first. */
  #sectionOf(index: number): number {
    const { firsts } = this.#index;
    const guess = this.#lastSection;
    if ((firsts[guess] ?? 0) <= index && index < (firsts[guess + 1] ?? this.count)) return guess;
    let low = 0;
    let high = firsts.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((firsts[middle] ?? 0) <= index) low = middle;
      else high = middle - 1;
    }
    this.#lastSection = low;
    return low;
  }
}

/** Makes a manifest entry by entry, parents before children. */
export class ManifestBuilder {
  readonly #index = new EntryIndexBuilder();
  readonly #sections: Uint8Array[] = [];
  readonly #writer = new ByteWriter(limits.sectionBytes * 2);
  readonly #accessTimes = new ByteWriter();
  #sectionCount = 0;

  /** Number of entries so far. */
  get count(): number {
    return this.#index.count;
  }

  /** Sections that are complete; they do not change any more, so they may travel while the rest is still being walked. */
  get closedSections(): readonly Uint8Array[] {
    return this.#sections;
  }

  /** Adds an entry and returns its index. Throws PROTOCOL or LIMIT for an entry that no receiver would take; then nothing was added. */
  add(entry: Entry): number {
    const index = this.#index.count;
    checkCount(index + 1);
    checkEntry(entry, index, (earlier) => kindOfCode(this.#index.kindCode(earlier)));
    const start = this.#writer.length;
    writeEntry(this.#writer, entry);
    const lengthBytes = this.#writer.length - start;
    if (lengthBytes > limits.entryBytesMax) {
      this.#writer.truncate(start);
      throw limitError(`manifest entry ${index}`, 'length', lengthBytes, limits.entryBytesMax);
    }
    if (this.#sectionCount === 0) this.#index.startSection();
    this.#index.add(sectionHeaderBytes + start, this.#writer.view()[start] ?? 0xff);
    this.#accessTimes.i64(entry.kind === 'hardlink' ? 0n : entry.accessTimeNs);
    this.#sectionCount++;
    if (this.#writer.length + this.#accessTimes.length >= limits.sectionBytes) this.#closeSection();
    return index;
  }

  /** The manifest. There must be at least one entry, and the builder must not be used any more. */
  finish(): Manifest {
    assert(this.#index.count > 0, 'a manifest has at least the root');
    if (this.#sectionCount > 0) this.#closeSection();
    return Manifest.fromShare({
      sections: this.#sections,
      digest: digestSections(this.#sections),
      index: this.#index.finish(),
    });
  }

  #closeSection(): void {
    const first = this.#index.count - this.#sectionCount;
    const header = new ByteWriter(16).u8(manifestFormatVersion).u32(first).u32(this.#sectionCount).view();
    const parts = [header, this.#writer.view(), this.#accessTimes.view()];
    const section = new Uint8Array(new SharedArrayBuffer(parts.reduce((sum, part) => sum + part.length, 0)));
    let at = 0;
    for (const part of parts) {
      section.set(part, at);
      at += part.length;
    }
    this.#sections.push(section);
    this.#writer.truncate(0);
    this.#accessTimes.truncate(0);
    this.#sectionCount = 0;
  }
}

/** Checks all entries of a section and notes where they are. */
function indexSection(builder: EntryIndexBuilder, section: Uint8Array, number: number): void {
  const subject = `manifest section ${number}`;
  if (section.length > limits.frameBytesMax) throw limitError(subject, 'length', section.length, limits.frameBytesMax);
  const header = new ByteReader(section, subject);
  const version = header.u8('format version');
  if (version !== manifestFormatVersion)
    throw header.protocolError('format version', version, `this build reads ${manifestFormatVersion}`);
  const first = header.u32('first entry');
  if (first !== builder.count)
    throw header.protocolError('first entry', first, `the sections before hold ${builder.count}`);
  const count = header.u32('count');
  if (count === 0) throw header.protocolError('count', count, 'a section holds at least one entry');
  if (count * (entryBytesMin + accessTimeBytes) > header.remaining) {
    throw header.protocolError('count', count, `${header.remaining} remaining bytes cannot hold so many`);
  }
  checkCount(first + count);
  builder.startSection();
  const entries = section.subarray(0, entriesEnd(section));
  const reader = new ByteReader(entries, () => `manifest entry ${builder.count}`, header.offset);
  const kindOf = (earlier: number): EntryKind | undefined => kindOfCode(builder.kindCode(earlier));
  for (let done = 0; done < count; done++) {
    const { offset } = reader;
    const accessTimeNs = accessTimeOf(section, done);
    const entry = readEntry(reader, accessTimeNs);
    if (entry.kind === 'hardlink' && accessTimeNs !== 0n)
      throw reader.protocolError('access time', accessTimeNs, 'a hardlink has none of its own');
    if (reader.offset - offset > limits.entryBytesMax)
      throw reader.limitError('length', reader.offset - offset, limits.entryBytesMax);
    checkEntry(entry, builder.count, kindOf);
    builder.add(offset, section[offset] ?? 0xff);
  }
  if (reader.remaining > 0)
    throw header.protocolError('end', `${reader.remaining} bytes early`, 'only access times may follow the last entry');
}

/** Where the entries of a section end and their access times begin. Of what is no section, all counts as entries. */
function entriesEnd(section: Uint8Array): number {
  if (section.length < sectionHeaderBytes) return section.length;
  const end = section.length - viewOf(section).getUint32(countOffset, true) * accessTimeBytes;
  return end < sectionHeaderBytes ? section.length : end;
}

/** The access time of the entry that is number `position` of its section. */
function accessTimeOf(section: Uint8Array, position: number): bigint {
  return viewOf(section).getBigInt64(entriesEnd(section) + position * accessTimeBytes, true);
}

function viewOf(section: Uint8Array): DataView {
  return new DataView(section.buffer, section.byteOffset, section.byteLength);
}

function checkCount(count: number): void {
  if (count > limits.entriesMax) throw limitError('manifest', 'count', count, limits.entriesMax);
}

/** The digest of a manifest that has these sections: see {@link Manifest.digest}. Also of sections that were not checked yet. */
export function digestSections(sections: readonly Uint8Array[]): Uint8Array {
  let digest: Uint8Array = blake3('baton manifest v1');
  for (const section of sections)
    digest = new Blake3Hasher()
      .update(digest)
      .update(section.subarray(0, entriesEnd(section)))
      .digestBuffer();
  return new Uint8Array(digest);
}

function shared(section: Uint8Array): Uint8Array {
  if (section.buffer instanceof SharedArrayBuffer) return section;
  const copy = new Uint8Array(new SharedArrayBuffer(section.length));
  copy.set(section);
  return copy;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
