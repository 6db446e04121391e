import { read } from 'node:fs';
import { promisify } from 'node:util';
import { errnos, shareRange, shareRangeAside } from './libc.ts';
import { statDescriptor } from './stat.ts';

// Blocks of two files that hold the same, shared by the kernel (ioctl_fideduperange(2)): it compares both ranges while it keeps writers out, and shares only what is
// equal, so that no file's content can change by it. XFS (made with reflink=1) and btrfs can; both files have to be in one file system.

const readAside = promisify(read);

/** What is asked for at once, where all is equal. btrfs takes at most 16 MiB. */
const pieceBytesMax = 1024 * 1024;
/** Smaller ones are not looked at: a page of InnoDB's. A multiple of every block that these file systems have here. */
export const sharePieceBytesMin: number = 16 * 1024;

/** `struct file_dedupe_range` of linux/fs.h with one `struct file_dedupe_range_info`. */
const rangeBytes = 56;
const differs = 1;

function makeRange(into: number, offset: number, length: number): Buffer {
  const range = Buffer.alloc(rangeBytes);
  range.writeBigUInt64LE(BigInt(offset), 0);
  range.writeBigUInt64LE(BigInt(length), 8);
  range.writeUInt16LE(1, 16);
  range.writeBigInt64LE(BigInt(into), 24);
  range.writeBigUInt64LE(BigInt(offset), 32);
  return range;
}

/** Bytes that are shared now, 'differs', or a negative errno. */
function resultOf(result: number, range: Buffer): number | 'differs' {
  if (result < 0) return result;
  const status = range.readInt32LE(48);
  if (status === differs) return 'differs';
  return status < 0 ? status : Number(range.readBigUInt64LE(40));
}

type Pair = { readonly from: number; readonly into: number };
type Range = { readonly offset: number; readonly length: number };

/**
 * Has the descriptor `into` share what it has in common with `from` between two offsets, page by page where it must be; reads and waits in threads of libuv's. Returns
 * the bytes that are shared now. What the kernel refuses, for whatever reason, is not shared, and nothing else: the files' content is what it was. `into` is open for
 * reading and writing.
 */
export async function shareEqual(
  pair: Pair,
  { start, end }: { readonly start: number; readonly end: number },
  signal: AbortSignal,
): Promise<number> {
  const floor = (offset: number): number => offset - (offset % sharePieceBytesMin);
  // What lies behind the old file's end has nothing to be compared with.
  const last = floor(Math.min(end, statDescriptor(pair.from).sizeBytes, statDescriptor(pair.into).sizeBytes));
  let sharedBytes = 0;
  for (let offset = floor(start); offset < last && !signal.aborted; offset += pieceBytesMax) {
    const piece = { offset, length: Math.min(pieceBytesMax, last - offset) };
    const result = await share(pair, piece);
    if (result === 'differs') {
      for (const run of await findEqual(pair, piece)) sharedBytes += toBytes(await share(pair, run));
    } else {
      // It has been refused, and will be again.
      if (result <= 0) break;
      sharedBytes += result;
    }
  }
  return sharedBytes;
}

async function share({ from, into }: Pair, { offset, length }: Range): Promise<number | 'differs'> {
  const range = makeRange(into, offset, length);
  return resultOf(await shareRangeAside(from, range), range);
}

function toBytes(result: number | 'differs'): number {
  return result === 'differs' ? 0 : Math.max(result, 0);
}

/** Which pages of a piece are the same, neighbours as one range: the kernel does not tell, and asking it for each costs more than reading. */
async function findEqual({ from, into }: Pair, piece: Range): Promise<Range[]> {
  const [one, other] = await Promise.all([readPiece(from, piece), readPiece(into, piece)]);
  const runs: { offset: number; length: number }[] = [];
  for (let at = 0; at < Math.min(one.length, other.length); at += sharePieceBytesMin) {
    const page = one.subarray(at, at + sharePieceBytesMin);
    if (!page.equals(other.subarray(at, at + sharePieceBytesMin))) continue;
    const [offset, before] = [piece.offset + at, runs.at(-1)];
    if (before !== undefined && before.offset + before.length === offset) before.length += page.length;
    else runs.push({ offset, length: page.length });
  }
  return runs;
}

/** Only whole pages; a file that can not be read has none. */
async function readPiece(descriptor: number, { offset, length }: Range): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length);
  const bytesRead = await readAside(descriptor, buffer, 0, length, offset).then(
    (done) => done.bytesRead,
    () => 0,
  );
  return buffer.subarray(0, bytesRead - (bytesRead % sharePieceBytesMin));
}

/** Whether the file system of two files, which hold the same, shares their first `length` bytes; else the errno that tells why not, as a positive number. */
export function tryShare({ from, into }: Pair, length: number): 'shared' | number {
  const range = makeRange(into, 0, length);
  const result = resultOf(shareRange(from, range), range);
  if (result === length) return 'shared';
  return typeof result === 'number' && result < 0 ? -result : errnos.EOPNOTSUPP;
}
