import { badArchive } from './archive-error.ts';

// One header block of a tar archive: POSIX.1-2017 `pax`, section "ustar Interchange Format", and what GNU tar adds
// (base-256 numbers; no prefix, since it keeps times there). Not checked: user and group names, which nobody reads here.

/** Everything in a tar archive is cut into blocks of this length. */
export const blockBytes = 512;

/** The fields of one header, as they are. */
export type TarHeader = {
  /** Prefix and name put together. */
  readonly path: Uint8Array;
  readonly linkPath: Uint8Array;
  /** The type flag as a character; NUL (before POSIX) is `0`, or `5` for a name that ends in a slash. */
  readonly type: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly sizeBytes: number;
  /** Seconds; older than 1970 in base-256 only. */
  readonly modifyTime: number;
  readonly major: number;
  readonly minor: number;
};

/** Reads a header block. Throws BAD_ARCHIVE; `place` says where the block is, for the message. */
export function decodeHeader(block: Uint8Array, place: () => string): TarHeader {
  checkSum(block, place);
  const name = text(block, 0, 100);
  const field = (what: string, offset: number, length: number): number => number(block, offset, length, what, name);
  const magic = latin1(block, 257, 8);
  const isPosix = magic === 'ustar\x0000';
  const prefix = isPosix ? text(block, 345, 155) : new Uint8Array(0);
  const path = prefix.length === 0 ? name : Buffer.concat([prefix, slash, name]);
  const flag = block[156] === 0 ? (path.at(-1) === 0x2f ? '5' : '0') : latin1(block, 156, 1);
  const isDevice = flag === '3' || flag === '4';
  return {
    path,
    linkPath: text(block, 157, 100),
    type: flag,
    mode: field('mode', 100, 8) & 0o7777,
    uid: field('uid', 108, 8),
    gid: field('gid', 116, 8),
    sizeBytes: natural(field('size', 124, 12), 'size', name),
    modifyTime: field('mtime', 136, 12),
    major: isDevice ? natural(field('major', 329, 8), 'major', name) : 0,
    minor: isDevice ? natural(field('minor', 337, 8), 'minor', name) : 0,
  };
}

/** Whether a block is one of those that end an archive. */
export function isZeroBlock(block: Uint8Array): boolean {
  return block.every((byte) => byte === 0);
}

/** A number field: octal digits, or base-256 (GNU) with the highest bit set. Throws BAD_ARCHIVE. */
export function number(block: Uint8Array, offset: number, length: number, what: string, path: Uint8Array): number {
  const first = block[offset] ?? 0;
  const value = (first & 0x80) === 0 ? octal(block, offset, length) : base256(block, offset, length);
  if (value !== undefined && Number.isSafeInteger(value)) return value;
  throw badArchive(path, `has a ${what} that is no number: ${JSON.stringify(latin1(block, offset, length))}`);
}

function octal(block: Uint8Array, offset: number, length: number): number | undefined {
  const match = /^ *([0-7]*)[\0 ]*$/.exec(latin1(block, offset, length));
  return match === null ? undefined : Number.parseInt(match[1] || '0', 8);
}

function base256(block: Uint8Array, offset: number, length: number): number | undefined {
  const isNegative = block[offset] === 0xff;
  if (!isNegative && block[offset] !== 0x80) return undefined;
  let value = 0n;
  for (let index = 1; index < length; index += 1) value = (value << 8n) | BigInt(block[offset + index] ?? 0);
  return Number(isNegative ? value - (1n << BigInt(8 * (length - 1))) : value);
}

function natural(value: number, what: string, path: Uint8Array): number {
  if (value >= 0) return value;
  throw badArchive(path, `has a ${what} of ${value}`);
}

// Some old writers summed signed bytes; both are taken, as every reader does.
function checkSum(block: Uint8Array, place: () => string): void {
  let unsigned = 0;
  let signed = 0;
  for (const [index, byte] of block.entries()) {
    const counted = index >= 148 && index < 156 ? 0x20 : byte;
    unsigned += counted;
    signed += counted > 127 ? counted - 256 : counted;
  }
  const written = octal(block, 148, 8);
  if (written === unsigned || written === signed) return;
  throw badArchive(undefined, `has no header ${place()}: the checksum there is not that of a tar header`);
}

const slash = Buffer.from('/');

/** A text field, which a NUL ends unless it fills its place. */
function text(block: Uint8Array, offset: number, length: number): Uint8Array {
  const field = block.subarray(offset, offset + length);
  const end = field.indexOf(0);
  return new Uint8Array(end < 0 ? field : field.subarray(0, end));
}

function latin1(block: Uint8Array, offset: number, length: number): string {
  return Buffer.from(block.buffer, block.byteOffset + offset, length).toString('latin1');
}
