import type { FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { BatonError } from '@batondb/core/errors';
import type { TableRecord } from '../sink.ts';
import type { Position } from '../stream.ts';
import { linesLimits } from './limits.ts';

// Where a file's last commit is, and the state that it names. A commit line of a file has three more members than others: `state`, where the newest state
// line begins; `synced`, up to where everything was on the disk before; and `crc32`, of what is between that and the line itself. A machine that lost its
// power may have kept a commit line and lost something before it: such a commit does not count.

/** A commit line that was found whole, with everything before it. */
export type FileCommit = {
  readonly position: Position;
  readonly isOpen: boolean;
  /** Offset of the state line. */
  readonly state: number;
  /** Offset behind the line. */
  readonly end: number;
};

type CommitLine = {
  readonly position: string;
  readonly open?: boolean;
  readonly state: number;
  readonly synced: number;
  readonly crc32: string;
};

const marker = Buffer.from('\n{"op":"commit",');

/** The members that a commit line of a file has beside those of all commit lines. */
export function fileMembers(state: number, synced: number, crc: number): string {
  return `,"state":${state},"synced":${synced},"crc32":"${crcText(crc)}"`;
}

function crcText(crc: number): string {
  return crc.toString(16).padStart(8, '0');
}

/** Searches backwards: what is behind the last commit may be gigabytes of a transaction that was not told to its end. `isWanted`: only such a one counts. */
export async function lastCommit(
  file: FileHandle,
  size: number,
  isWanted: (commit: FileCommit) => boolean = () => true,
): Promise<FileCommit | undefined> {
  let end = size;
  for (;;) {
    const start = await lastMarker(file, end);
    if (start === undefined) return undefined;
    const commit = await commitAt(file, start + 1, size);
    if (commit !== undefined && isWanted(commit)) return commit;
    end = start + marker.length - 1;
  }
}

/** Offset of the last marker that ends at or before `end`. */
async function lastMarker(file: FileHandle, end: number): Promise<number | undefined> {
  for (let upTo = end; upTo > 0; ) {
    const from = Math.max(0, upTo - linesLimits.searchBytes);
    const found = (await readAt(file, from, upTo - from)).lastIndexOf(marker);
    if (found >= 0) return from + found;
    // A marker may lie across the border.
    upTo = from === 0 ? 0 : from + marker.length - 1;
  }
  return undefined;
}

async function commitAt(file: FileHandle, start: number, size: number): Promise<FileCommit | undefined> {
  const text = await readLineAt(file, start, size);
  if (text === undefined) return undefined;
  const line = parseCommit(text);
  if (line === undefined || line.synced > start) return undefined;
  const crc = crc32(await readAt(file, line.synced, start - line.synced));
  if (crcText(crc) !== line.crc32) return undefined;
  const end = start + Buffer.byteLength(text) + 1;
  return { position: line.position, isOpen: line.open ?? false, state: line.state, end };
}

function parseCommit(text: string): CommitLine | undefined {
  try {
    const line = JSON.parse(text) as Partial<CommitLine>;
    const isWhole =
      typeof line.position === 'string' &&
      Number.isSafeInteger(line.state) &&
      Number.isSafeInteger(line.synced) &&
      typeof line.crc32 === 'string';
    return isWhole ? (line as CommitLine) : undefined;
  } catch {
    return undefined;
  }
}

/** The records that a state line and those it stands on tell of. Throws LOG_DAMAGED. */
export async function readTables(
  file: FileHandle,
  path: string,
  offset: number,
  size: number,
): Promise<ReadonlyMap<string, TableRecord>> {
  const found = new Map<string, TableRecord | null>();
  for (let at: number | undefined = offset, links = 0; at !== undefined; links++) {
    const text: string | undefined = links > linesLimits.stateChainMax ? undefined : await readLineAt(file, at, size);
    const line: StateLine | undefined = text === undefined ? undefined : parseState(text);
    if (line === undefined) {
      throw new BatonError('LOG_DAMAGED', `${path} has no state line at byte ${at}, where its last commit has one`, {
        hint: 'the file was changed by something else; begin a new one',
      });
    }
    for (const [name, record] of Object.entries(line.tables)) if (!found.has(name)) found.set(name, record);
    at = line.before;
  }
  return new Map([...found].flatMap(([name, record]) => (record === null ? [] : [[name, record] as const])));
}

type StateLine = { readonly before?: number; readonly tables: Readonly<Record<string, TableRecord | null>> };

function parseState(text: string): StateLine | undefined {
  if (!text.startsWith('{"op":"state",')) return undefined;
  try {
    return JSON.parse(text) as StateLine;
  } catch {
    return undefined;
  }
}

/** A line without its end, or undefined when the file ends before it does. */
async function readLineAt(file: FileHandle, start: number, size: number): Promise<string | undefined> {
  for (let length = 4096; ; length *= 8) {
    const bytes = await readAt(file, start, Math.min(length, size - start));
    const end = bytes.indexOf(0x0a);
    if (end >= 0) return bytes.subarray(0, end).toString('utf8');
    if (start + length >= size || length >= linesLimits.ownLineBytesMax) return undefined;
  }
}

export async function readAt(file: FileHandle, start: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(Math.max(0, length));
  let filled = 0;
  while (filled < buffer.length) {
    const { bytesRead } = await file.read(buffer, filled, buffer.length - filled, start + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}
