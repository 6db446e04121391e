import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream, openSync } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { BatonError } from '@batondb/core/errors';
import type { Processor } from '@batondb/core/program/node-binary';
import type { Piece } from '@batondb/core/program/pieces';
import { privateCache } from './local-cache.ts';
import { findPieces, type Pieces } from './pieces.ts';
import { tarEnd, tarHeader, tarPadding } from './tar.ts';

// The packed agent: a gzip'd tar, made once for each content and kept in the user's cache beside its digest, which is its name.

/** Measured on Node's binary: level 2 is 49 MB after 1.9 s, 4 is 47 MB after 2.1 s, 6 is 46 MB after 3.7 s. */
const gzipLevel = 4;
/** What an unfinished bundle may be old before it counts as left behind. */
const unfinishedMsMax = 3_600_000;

/** A packed agent, open for reading. Whoever disposes of it closes it. */
export type Bundle = AsyncDisposable & {
  readonly bytes: number;
  /** SHA-256, hexadecimal. */
  readonly digest: string;
  readonly file: FileHandle;
};

/** Pieces of a processor, or why there are none. Looked for once in a process. */
export function piecesFor(processor: Processor): Pieces | BatonError {
  let found = foundPieces.get(processor);
  if (found === undefined) {
    found = tryFind(processor);
    foundPieces.set(processor, found);
  }
  return found;
}

const foundPieces = new Map<Processor, Pieces | BatonError>();
const packing = new Map<string, Promise<Packed>>();

type Packed = { readonly path: string; readonly digest: string };

/**
 * Opens the bundle of some pieces, and packs it if need be: once in a process, and once for each content on a machine whose
 * user has a private cache. What is in the cache is read and compared with its digest before it is used.
 */
export async function openBundle(pieces: Pieces): Promise<Bundle> {
  let work = packing.get(pieces.name);
  if (work === undefined) {
    work = pack(pieces);
    packing.set(pieces.name, work);
  }
  const { path, digest } = await work;
  const file = await open(path);
  const { size: bytes } = await file.stat();
  return { bytes, digest, file, [Symbol.asyncDispose]: () => file.close() };
}

function tryFind(processor: Processor): Pieces | BatonError {
  try {
    return findPieces(processor);
  } catch (error) {
    if (error instanceof BatonError) return error;
    throw error;
  }
}

async function pack(pieces: Pieces): Promise<Packed> {
  const directory = privateCache('bundles');
  if (directory === undefined) return await packForNow(pieces);
  const kept = await findKept(directory, pieces);
  if (kept !== undefined) return kept;
  const unfinished = join(directory, `.new-${process.pid}-${randomBytes(6).toString('hex')}`);
  try {
    const digest = await write(pieces, unfinished);
    const path = join(directory, `${pieces.name}-${digest}.tar.gz`);
    await rename(unfinished, path);
    await removeOthers(directory, pieces, path);
    return { path, digest };
  } finally {
    await rm(unfinished, { force: true });
  }
}

/** Without a private cache: a file that goes at the end of this process. */
async function packForNow(pieces: Pieces): Promise<Packed> {
  const directory = join(tmpdir(), `baton-${randomBytes(12).toString('hex')}`);
  await mkdir(directory, { mode: 0o700 });
  const path = join(directory, 'bundle');
  const digest = await write(pieces, path);
  // Never closed: the file is gone from its directory, and lives as long as this process.
  const descriptor = openSync(path, 'r');
  await rm(directory, { recursive: true });
  return { path: `/proc/self/fd/${descriptor}`, digest };
}

async function findKept(directory: string, pieces: Pieces): Promise<Packed | undefined> {
  for (const name of await readdir(directory)) {
    const digest = name.startsWith(`${pieces.name}-`) ? /-([0-9a-f]{64})\.tar\.gz$/.exec(name)?.[1] : undefined;
    if (digest === undefined) continue;
    const path = join(directory, name);
    const hash = createHash('sha256');
    await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
    if (hash.digest('hex') === digest) return { path, digest };
    await rm(path, { force: true });
  }
  return undefined;
}

/** One bundle for each processor is enough: another version packs its own again. */
async function removeOthers(directory: string, pieces: Pieces, kept: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const path = join(directory, name);
    const isOther = name.includes(`-${pieces.processor}-`) && path !== kept;
    const isLeft = name.startsWith('.new-') && Date.now() - (await modifiedMs(path)) > unfinishedMsMax;
    if (isOther || isLeft) await rm(path, { force: true });
  }
}

async function modifiedMs(path: string): Promise<number> {
  return (await stat(path).catch(() => undefined))?.mtimeMs ?? Date.now();
}

async function write(pieces: Pieces, path: string): Promise<string> {
  const hash = createHash('sha256');
  const tee = async function* (packed: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of packed) {
      hash.update(chunk);
      yield chunk;
    }
  };
  const output = createWriteStream(path, { flags: 'wx', mode: 0o600, flush: true });
  await pipeline(Readable.from(archive(pieces.pieces)), createGzip({ level: gzipLevel }), tee, output);
  return hash.digest('hex');
}

/** The archive, with a list of its files at its end, by which the far side writes them through to its disk. */
async function* archive(pieces: readonly Piece[]): AsyncGenerator<Buffer> {
  for (const piece of pieces) yield* member(piece);
  const list = pieces.filter((piece) => !('link' in piece)).map(({ path }) => `${path}\n`);
  yield* member({ path: 'files', content: list.join(''), executable: false });
  yield tarEnd;
}

async function* member(piece: Piece): AsyncGenerator<Buffer> {
  const { path } = piece;
  if ('link' in piece) {
    yield tarHeader({ kind: 'link', path, target: piece.link });
    return;
  }
  const { executable } = piece;
  const bytes = 'content' in piece ? Buffer.byteLength(piece.content) : piece.bytes;
  yield tarHeader({ kind: 'file', path, bytes, executable });
  let readBytes = 0;
  const content =
    'content' in piece ? [Buffer.from(piece.content)] : createReadStream(piece.from, { highWaterMark: 1 << 20 });
  for await (const chunk of content as AsyncIterable<Buffer>) {
    readBytes += chunk.byteLength;
    yield chunk;
  }
  if (readBytes !== bytes)
    throw new BatonError('SYSTEM', `${path} of the agent to carry had ${bytes} bytes, and now has ${readBytes}`, {
      hint: 'this installation of baton is being changed; try again when that is done',
    });
  yield tarPadding(bytes);
}
