import { limits } from '../limits.ts';
import type { Extent } from '../protocol/entry.ts';
import { badArchive, shownPath } from './archive-error.ts';
import type { ArchiveEvent, Member, MemberKind } from './member.ts';
import { checkGlobalPax, decodePax, noRecords, type PaxRecords } from './pax.ts';
import { blockBytes, decodeHeader, isZeroBlock, type TarHeader } from './tar-header.ts';
import { addOldMap, NewMap, oldRealSize, SparseMap } from './tar-sparse.ts';

// A tar archive as a stream of members: bytes in, events out, no I/O. Its own, because the libraries that there are turn names and
// attributes into text on the way, which loses what is no UTF-8, and take what follows the end, or is no end, for granted.

type Step = ArchiveEvent | 'more';

const kinds: Readonly<Record<string, MemberKind>> = {
  '0': 'file',
  '7': 'file',
  S: 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'character',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
};
const slash = 0x2f;
const noBytes = new Uint8Array(0);

/** Reads one archive. Memory: one header with its extensions, whatever the archive says of itself. */
export class TarReader {
  readonly #steps: Generator<Step, void> = this.#archive();
  #chunk: Uint8Array = noBytes;
  #at = 0;
  /** Bytes taken so far. */
  #offset = 0;
  #lastPath: Uint8Array | undefined;
  #hasEnded = false;

  /** Takes the next bytes and yields what they complete; to be read to its end before the next call. Throws BAD_ARCHIVE. */
  *feed(chunk: Uint8Array): Generator<ArchiveEvent, void> {
    this.#chunk = chunk;
    this.#at = 0;
    for (;;) {
      const step = this.#steps.next();
      if (step.done === true || step.value === 'more') return;
      yield step.value;
    }
  }

  /** The bytes are over: BAD_ARCHIVE unless the archive is, too. */
  finish(): void {
    if (this.#hasEnded) return;
    throw badArchive(undefined, `is cut off: it ends without an end mark${this.#afterLast()}`);
  }

  *#archive(): Generator<Step, void> {
    let pax: PaxRecords | undefined;
    let long: { path?: Uint8Array; linkPath?: Uint8Array } = {};
    for (;;) {
      const block = yield* this.#take(blockBytes);
      if (isZeroBlock(block)) break;
      const header = decodeHeader(block, () => `at byte ${this.#offset - blockBytes}${this.#afterLast()}`);
      switch (header.type) {
        case 'x':
          pax = decodePax(yield* this.#payload(header));
          break;
        case 'g':
          checkGlobalPax(yield* this.#payload(header));
          break;
        case 'L':
          long = { ...long, path: withoutNul(yield* this.#payload(header)) };
          break;
        case 'K':
          long = { ...long, linkPath: withoutNul(yield* this.#payload(header)) };
          break;
        case 'V':
          // A label of the whole, which is no member.
          yield* this.#payload(header);
          break;
        default:
          yield* this.#member(block, header, { ...noRecords(), ...long, ...pax });
          pax = undefined;
          long = {};
      }
    }
    if (pax !== undefined || long.path !== undefined) throw badArchive(undefined, 'ends after half a header');
    yield* this.#end();
  }

  *#member(block: Uint8Array, header: TarHeader, said: PaxRecords): Generator<Step, void> {
    const path = said.sparse?.path ?? said.path ?? header.path;
    const kind = kinds[header.type];
    if (kind === undefined)
      throw badArchive(
        path,
        `is of type ${JSON.stringify(header.type)}, which is not supported`,
        typeHint(header.type),
      );
    if (kind === 'file' && path.at(-1) === slash) throw badArchive(path, 'is a file whose name ends in a slash');
    const inArchiveBytes = said.sizeBytes ?? header.sizeBytes;
    if (kind !== 'file' && inArchiveBytes !== 0)
      throw badArchive(path, `is a ${kind} and says that ${inArchiveBytes} bytes of content follow`);
    const { extents, sizeBytes, storedBytes } = yield* this.#sparse(block, header, said, path, inArchiveBytes);
    const member: Member = {
      kind,
      path,
      linkPath: said.linkPath ?? header.linkPath,
      sizeBytes,
      storedBytes,
      extents,
      mode: header.mode,
      uid: idOf(said.uid ?? header.uid, path),
      gid: idOf(said.gid ?? header.gid, path),
      ...timesOf(header, said),
      xattrs: said.xattrs,
      notUnderstood: said.notUnderstood,
      major: header.major,
      minor: header.minor,
    };
    this.#lastPath = path;
    yield { type: 'member', member };
    yield* this.#content(storedBytes);
    yield* this.#skipPadding(storedBytes);
    yield { type: 'member-end' };
  }

  *#sparse(
    block: Uint8Array,
    header: TarHeader,
    said: PaxRecords,
    path: Uint8Array,
    inArchiveBytes: number,
  ): Generator<Step, { extents: readonly Extent[] | undefined; sizeBytes: number; storedBytes: number }> {
    const map = new SparseMap(path);
    if (header.type === 'S') {
      let isMore = addOldMap(map, block, true, path);
      while (isMore) isMore = addOldMap(map, yield* this.#take(blockBytes), false, path);
      const sizeBytes = oldRealSize(block, path);
      return { extents: map.finish(sizeBytes, inArchiveBytes), sizeBytes, storedBytes: inArchiveBytes };
    }
    if (said.sparse === undefined)
      return { extents: undefined, sizeBytes: inArchiveBytes, storedBytes: inArchiveBytes };
    const { version, sizeBytes } = said.sparse;
    if (version !== '1.0' || sizeBytes === undefined || kinds[header.type] !== 'file')
      throw badArchive(path, `is a sparse file of format ${version}, and only 1.0 is supported`, sparseHint);
    const reader = new NewMap(map, path);
    let left = inArchiveBytes;
    for (let isComplete = false; !isComplete; left -= blockBytes) {
      if (left < blockBytes) throw badArchive(path, 'has a map of holes that does not end');
      isComplete = reader.take(yield* this.#take(blockBytes));
    }
    return { extents: map.finish(sizeBytes, left), sizeBytes, storedBytes: left };
  }

  *#content(bytes: number): Generator<Step, void> {
    for (let left = bytes; left > 0; ) {
      if (this.#at === this.#chunk.length) yield 'more';
      const piece = this.#chunk.subarray(this.#at, this.#at + left);
      this.#at += piece.length;
      this.#offset += piece.length;
      left -= piece.length;
      if (piece.length > 0) yield { type: 'content', bytes: piece };
    }
  }

  /** The payload of a header that speaks of another one, with its padding. */
  *#payload({ sizeBytes, type }: TarHeader): Generator<Step, Uint8Array> {
    if (sizeBytes > limits.archiveHeaderBytesMax) {
      const what = `a header of type ${JSON.stringify(type)} with ${sizeBytes} bytes`;
      throw badArchive(undefined, `has ${what}${this.#afterLast()}, and the limit is ${limits.archiveHeaderBytesMax}`);
    }
    const payload = yield* this.#take(sizeBytes);
    yield* this.#skipPadding(sizeBytes);
    return payload;
  }

  *#skipPadding(bytes: number): Generator<Step, void> {
    yield* this.#take((blockBytes - (bytes % blockBytes)) % blockBytes);
  }

  *#take(bytes: number): Generator<Step, Uint8Array> {
    const taken = new Uint8Array(bytes);
    for (let filled = 0; filled < bytes; ) {
      if (this.#at === this.#chunk.length) yield 'more';
      const part = this.#chunk.subarray(this.#at, this.#at + bytes - filled);
      taken.set(part, filled);
      filled += part.length;
      this.#at += part.length;
      this.#offset += part.length;
    }
    return taken;
  }

  /** After the first zero block only zeros may come, and at least one more block of them. */
  *#end(): Generator<Step, void> {
    if (!isZeroBlock(yield* this.#take(blockBytes))) throw this.#trailing();
    this.#hasEnded = true;
    for (;;) {
      if (!this.#chunk.subarray(this.#at).every((byte) => byte === 0)) throw this.#trailing();
      this.#offset += this.#chunk.length - this.#at;
      this.#at = this.#chunk.length;
      yield 'more';
    }
  }

  #trailing(): Error {
    return badArchive(undefined, `goes on after its end mark${this.#afterLast()}`);
  }

  #afterLast(): string {
    return this.#lastPath === undefined ? '' : `, after ${shownPath(this.#lastPath)}`;
  }
}

const sparseHint = 'make it anew with tar --sparse --sparse-version=1.0, or without --sparse';

function typeHint(type: string): string | undefined {
  if (type === 'M') return 'put the volumes of the archive together first';
  return type === 'D' || type === 'N' ? 'incremental archives of GNU tar are not unpacked here' : undefined;
}

function withoutNul(name: Uint8Array): Uint8Array {
  const end = name.indexOf(0);
  return end < 0 ? name : name.subarray(0, end);
}

const idMax = 0xffff_fffe;

function idOf(id: number, path: Uint8Array): number {
  if (id >= 0 && id <= idMax) return id;
  throw badArchive(path, `belongs to user or group ${id}, and the largest is ${idMax}`);
}

function timesOf(
  header: TarHeader,
  said: PaxRecords,
): { readonly modifyTimeNs: bigint; readonly accessTimeNs: bigint } {
  const modifyTimeNs = said.modifyTimeNs ?? BigInt(header.modifyTime) * 1_000_000_000n;
  return { modifyTimeNs, accessTimeNs: said.accessTimeNs ?? modifyTimeNs };
}
