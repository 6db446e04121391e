import { check, close, ftruncate, pwrite, startWriteback } from '../files/libc.ts';
import { applyMetadata, descriptorTarget, type OnNotKept } from '../files/metadata.ts';
import { printable } from '../files/names.ts';
import { statOwner } from '../files/stat.ts';
import type { Member } from './member.ts';

/** So much at a time is handed to the disk while the rest comes, or a host that others use would stall at the sync. */
const writebackBytes = 1024 * 1024;

/** One file that is being unpacked: content where it belongs, then its length and metadata. */
export class UnpackedFile implements Disposable {
  readonly #descriptor: number;
  readonly #member: Member;
  #isOpen = true;
  /** Where the next byte goes. */
  #offset: number;
  #extent = 0;
  #writebackFrom = 0;

  /** The descriptor, of a file just made, belongs to this from now on. */
  constructor(descriptor: number, member: Member) {
    this.#descriptor = descriptor;
    this.#member = member;
    this.#offset = member.extents?.[0]?.offset ?? 0;
  }

  /** For people. */
  readonly path = (): string => printable(this.#member.path);

  /** Writes what comes next. Throws SystemError. */
  write(bytes: Uint8Array): void {
    const { extents } = this.#member;
    for (let rest = bytes; rest.length > 0; ) {
      const extent = extents?.[this.#extent];
      const room = extent === undefined ? rest.length : extent.offset + extent.length - this.#offset;
      const part = rest.subarray(0, room);
      check(pwrite(this.#descriptor, part, this.#offset), 'pwrite', this.path);
      this.#offset += part.length;
      rest = rest.subarray(part.length);
      if (part.length === room && extents !== undefined) this.#offset = extents[++this.#extent]?.offset ?? this.#offset;
    }
    if (this.#offset - this.#writebackFrom < writebackBytes) return;
    // Only a hint: what cannot be written to the disk shows at the sync.
    startWriteback(this.#descriptor, this.#writebackFrom, this.#offset - this.#writebackFrom);
    this.#writebackFrom = this.#offset;
  }

  /** Sets length and metadata, and closes it. Throws SystemError. */
  finish(onNotKept: OnNotKept): void {
    const { extents, sizeBytes } = this.#member;
    if (extents !== undefined) check(ftruncate(this.#descriptor, sizeBytes), 'ftruncate', this.path);
    const metadata = { ...this.#member, kind: 'file' } as const;
    applyMetadata(descriptorTarget(this.#descriptor), metadata, statOwner(this.#descriptor), onNotKept, this.path);
    this.#isOpen = false;
    // Some file systems report a failed write only here.
    check(close(this.#descriptor), 'close', this.path);
  }

  [Symbol.dispose](): void {
    if (this.#isOpen) close(this.#descriptor);
    this.#isOpen = false;
  }
}
