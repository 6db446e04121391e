import { assert, BatonError } from '@batondb/core/errors';
import { limits } from '../limits.ts';
import { Reader, Writer } from './bytes.ts';

// What a log entry says: commands, in the order in which they are applied. Bytes in, commands out; no I/O. Format 1, little-endian; the first
// byte is the format, so that a release reads the entries of the one before it and refuses those of a newer one.

/** Number of a database in a log: never used for another one, also after a drop. */
export type DatabaseId = number;

/** Checksum of a database's content: see state-checksum.ts. */
export type StateChecksum = bigint;

/** A database is there from now on. Applied twice it changes nothing. */
export type OpenCommand = {
  readonly kind: 'open';
  readonly database: DatabaseId;
  readonly name: string;
  readonly pageBytes: number;
};

/** A database is there no more. */
export type DropCommand = { readonly kind: 'drop'; readonly database: DatabaseId };

/** A database has another name from now on. Whoever has that name is dropped by it. Applied twice it changes nothing. */
export type RenameCommand = { readonly kind: 'rename'; readonly database: DatabaseId; readonly name: string };

/** The end of one transaction within frames: its number in its database, and the idempotency key its client gave. */
export type TransactionEnd = { readonly sequence: number; readonly key?: string };

/** What a commit adds to frames. */
export type Commit = {
  /** The transactions whose last pages these are, in their order. */
  readonly ends: readonly TransactionEnd[];
  /** Pages of the database afterwards: what is beyond is cut off. */
  readonly pageCount: number;
  readonly before: StateChecksum;
  readonly after: StateChecksum;
};

/** A page, and where its bytes lie in the payload. */
export type Frame = { readonly page: number; readonly offset: number };

/** Pages of a group of transactions of one database, or a part of them: only the part with the commit makes them count. */
export type FramesCommand = {
  readonly kind: 'frames';
  readonly database: DatabaseId;
  /** Number of the group's first transaction, which its parts have in common. */
  readonly sequence: number;
  readonly pageBytes: number;
  readonly frames: readonly Frame[];
  readonly commit?: Commit;
};

/** Parts that were written so far are void. Without such parts it changes nothing. */
export type UndoCommand = { readonly kind: 'undo'; readonly database: DatabaseId };

/** Every node may fold what it has into the databases' own files: a wish, which no reader can make fail. */
export type CheckpointCommand = { readonly kind: 'checkpoint' };

export type Command = OpenCommand | DropCommand | FramesCommand | UndoCommand | CheckpointCommand | RenameCommand;

const format = 1;
const kinds = { open: 1, drop: 2, frames: 3, undo: 4, checkpoint: 5, rename: 6 } as const;
const commitFlag = 1;
const headBytes = 64;
/** Room in an entry for commands without pages. */
const entryReserveBytes = 8192;

/** Frames as they are written: the pages' bytes are asked for one by one, and written where they belong. */
export type FramesToWrite = Omit<FramesCommand, 'frames'> & {
  readonly pages: readonly number[];
  /** Fills `into` with the bytes of a page. */
  readonly read: (page: number, into: Uint8Array) => void;
};

export type CommandToWrite = Exclude<Command, FramesCommand> | FramesToWrite;

/** How many bytes a command takes at most. */
export function commandBytes(command: CommandToWrite): number {
  switch (command.kind) {
    case 'open':
    case 'rename':
      return headBytes + limits.databaseNameBytesMax;
    case 'frames': {
      const ends = command.commit?.ends ?? [];
      const keys = ends.reduce((sum, { key }) => sum + 10 + Buffer.byteLength(key ?? ''), 0);
      return headBytes + keys + command.pages.length * (4 + command.pageBytes);
    }
    default:
      return headBytes;
  }
}

/** Commands as a payload. */
export function encodeCommands(commands: readonly CommandToWrite[]): Buffer {
  const writer = new Writer(8 + commands.reduce((sum, command) => sum + commandBytes(command), 0));
  writer.u8(format);
  writer.u16(commands.length);
  for (const command of commands) encodeCommand(writer, command);
  return writer.done();
}

function encodeCommand(writer: Writer, command: CommandToWrite): void {
  writer.u8(kinds[command.kind]);
  switch (command.kind) {
    case 'open':
      writer.u32(command.database);
      writer.text(command.name);
      writer.u32(command.pageBytes);
      return;
    case 'drop':
    case 'undo':
      writer.u32(command.database);
      return;
    case 'rename':
      writer.u32(command.database);
      writer.text(command.name);
      return;
    case 'frames':
      encodeFrames(writer, command);
      return;
    case 'checkpoint':
  }
}

function encodeFrames(writer: Writer, { database, sequence, pageBytes, pages, commit, read }: FramesToWrite): void {
  writer.u32(database);
  writer.u64(sequence);
  writer.u32(pageBytes);
  writer.u8(commit === undefined ? 0 : commitFlag);
  if (commit !== undefined) {
    writer.u32(commit.pageCount);
    writer.big(commit.before);
    writer.big(commit.after);
    writer.u16(commit.ends.length);
    for (const end of commit.ends) {
      writer.u64(end.sequence);
      writer.text(end.key ?? '');
    }
  }
  writer.u32(pages.length);
  for (const page of pages) writer.u32(page);
  for (const page of pages) read(page, writer.room(pageBytes));
}

/** The commands of a payload. Throws BatonError PROTOCOL for bytes that the format does not allow, VERSION_MISMATCH for a newer format. */
export function decodeCommands(payload: Buffer): Command[] {
  const reader = new Reader(payload);
  const found = reader.u8();
  if (found !== format) {
    throw new BatonError('VERSION_MISMATCH', `a log entry has format ${found}, and this release reads ${format}`, {
      hint: 'start the release that wrote it, or a newer one',
    });
  }
  const count = reader.u16();
  const commands: Command[] = [];
  for (let index = 0; index < count; index++) commands.push(decodeCommand(reader));
  reader.end();
  return commands;
}

function decodeCommand(reader: Reader): Command {
  const kind = reader.u8();
  switch (kind) {
    case kinds.open: {
      const database = reader.u32();
      const name = reader.text(limits.databaseNameBytesMax);
      return { kind: 'open', database, name, pageBytes: decodePageBytes(reader) };
    }
    case kinds.drop:
      return { kind: 'drop', database: reader.u32() };
    case kinds.rename:
      return { kind: 'rename', database: reader.u32(), name: reader.text(limits.databaseNameBytesMax) };
    case kinds.frames:
      return decodeFrames(reader);
    case kinds.undo:
      return { kind: 'undo', database: reader.u32() };
    case kinds.checkpoint:
      return { kind: 'checkpoint' };
    default:
      throw new BatonError('PROTOCOL', `a log entry has a command of the unknown kind ${kind}`);
  }
}

function decodeFrames(reader: Reader): FramesCommand {
  const database = reader.u32();
  const sequence = reader.u64();
  const pageBytes = decodePageBytes(reader);
  const flags = reader.u8();
  const commit = (flags & commitFlag) === 0 ? undefined : decodeCommit(reader);
  const count = reader.u32();
  reader.expect(count * (4 + pageBytes));
  const pages = Array.from({ length: count }, () => reader.u32());
  const frames = pages.map((page) => ({ page, offset: reader.skip(pageBytes) }));
  if (pages.some((page) => page === 0)) throw new BatonError('PROTOCOL', 'a log entry has a page 0');
  return { kind: 'frames', database, sequence, pageBytes, frames, ...(commit === undefined ? {} : { commit }) };
}

function decodeCommit(reader: Reader): Commit {
  const pageCount = reader.u32();
  const before = reader.big();
  const after = reader.big();
  const ends = Array.from({ length: reader.u16() }, () => {
    const sequence = reader.u64();
    const key = reader.text(limits.receiptKeyBytesMax);
    return key === '' ? { sequence } : { sequence, key };
  });
  return { pageCount, before, after, ends };
}

function decodePageBytes(reader: Reader): number {
  const pageBytes = reader.u32();
  if (!isPageSize(pageBytes)) throw new BatonError('PROTOCOL', `a log entry has pages of ${pageBytes} bytes`);
  return pageBytes;
}

/** True for what may be a page's size: a power of two within the limits. */
export function isPageSize(bytes: number): boolean {
  return bytes >= limits.pageBytesMin && bytes <= limits.pageBytesMax && (bytes & (bytes - 1)) === 0;
}

/** How many pages of frames fit into an entry of `entryBytesMax` together with their commit. */
export function framesPerEntry(frames: FramesToWrite, entryBytesMax: number): number {
  const others = commandBytes({ ...frames, pages: [] }) + entryReserveBytes;
  const count = Math.floor((entryBytesMax - others) / (frames.pageBytes + 4));
  assert(count > 0, 'M7: an entry holds at least one page');
  return count;
}
