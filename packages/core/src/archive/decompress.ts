import { Readable, type Transform } from 'node:stream';
import { constants, createGunzip, createZstdDecompress } from 'node:zlib';
import { check, pread } from '../files/libc.ts';
import { limits } from '../limits.ts';
import { badArchive } from './archive-error.ts';

// An archive file as the bytes of its tar. Damage is never passed over: a file ends where its compression says, and nothing but
// zeros follows (gzip) or whole further frames (zstd).

/** How an archive is compressed. */
export type ArchiveFormat = 'tar' | 'gzip' | 'zstd';

const endings: readonly (readonly [string, ArchiveFormat])[] = [
  ['.tar', 'tar'],
  ['.tar.gz', 'gzip'],
  ['.tgz', 'gzip'],
  ['.tar.zst', 'zstd'],
];

/** What a file's name says of its format; undefined: it is no archive that can be unpacked. */
export function archiveFormatOf(name: Uint8Array): ArchiveFormat | undefined {
  const text = Buffer.from(name).toString('latin1');
  return endings.find(([ending]) => text.endsWith(ending) && text.length > ending.length)?.[1];
}

/** The endings, for messages. */
export const archiveEndings: readonly string[] = endings.map(([ending]) => ending);

const inputBytes = 256 * 1024;
const outputBytes = 256 * 1024;
/** zstd's own default for frames it decompresses: 128 MiB, above which a frame costs more memory than a host may have. */
const windowLogMax = 27;

/** An open archive file. */
export type ArchiveFile = { readonly descriptor: number; readonly sizeBytes: number; readonly format: ArchiveFormat };

/** Yields the tar. `onRead` is told how much of the file has been used. Throws BAD_ARCHIVE, SystemError. */
export async function* contentOf(
  file: ArchiveFile,
  onRead: (bytes: number) => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (file.format === 'tar') {
    for (const chunk of chunksOf(file, 0)) {
      yield chunk;
      onRead(chunk.length);
    }
    return;
  }
  let frames = 0;
  for (let offset = 0; offset < file.sizeBytes || offset === 0; ) {
    if (++frames > limits.archiveFramesMax)
      throw badArchive(undefined, `is made of more than ${limits.archiveFramesMax} frames`);
    const engine = engineOf(file.format);
    let told = 0;
    try {
      for await (const chunk of decompressed(engine, file, offset)) {
        yield chunk;
        onRead(engine.bytesWritten - told);
        told = engine.bytesWritten;
      }
    } catch (error) {
      throw damaged(error, file, offset + engine.bytesWritten);
    }
    if (engine.bytesWritten === 0) throw badArchive(undefined, `cannot be decompressed at byte ${offset}`);
    onRead(engine.bytesWritten - told);
    offset += engine.bytesWritten;
    // Node's gunzip takes one member after the other by itself, and stops at zeros, which fill up the blocks of a tape.
    if (file.format === 'gzip') {
      checkZeros(file, offset);
      return;
    }
  }
}

type Engine = Transform & { readonly bytesWritten: number };

function engineOf(format: 'gzip' | 'zstd'): Engine {
  if (format === 'gzip') return createGunzip({ chunkSize: outputBytes });
  const params = { [constants.ZSTD_d_windowLogMax]: windowLogMax };
  return createZstdDecompress({ chunkSize: outputBytes, params });
}

// The engine ends by itself where its last frame ends; what it did not use is read again by the next one.
async function* decompressed(engine: Engine, file: ArchiveFile, offset: number): AsyncGenerator<Uint8Array> {
  const input = Readable.from(chunksOf(file, offset), { objectMode: true, highWaterMark: 2 });
  input.on('error', (error) => engine.destroy(error));
  input.pipe(engine);
  try {
    for await (const chunk of engine) yield chunk as Uint8Array;
  } finally {
    input.unpipe(engine);
    input.destroy();
    engine.destroy();
  }
}

function* chunksOf({ descriptor, sizeBytes }: ArchiveFile, start: number): Generator<Buffer> {
  for (let offset = start; offset < sizeBytes; ) {
    const chunk = Buffer.allocUnsafeSlow(Math.min(inputBytes, sizeBytes - offset));
    const bytes = check(pread(descriptor, chunk, offset), 'pread', () => 'the archive');
    if (bytes === 0) return;
    yield chunk.subarray(0, bytes);
    offset += bytes;
  }
}

function checkZeros(file: ArchiveFile, offset: number): void {
  for (const chunk of chunksOf(file, offset)) {
    if (!chunk.every((byte) => byte === 0))
      throw badArchive(undefined, `goes on behind its compressed end at byte ${offset}`);
  }
}

/** What the engine says, in our words. Its own errors have a code of zlib or zstd. */
function damaged(error: unknown, { format, sizeBytes }: ArchiveFile, offset: number): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'Z_BUF_ERROR')
    return badArchive(undefined, `is cut off: the ${format} file ends after ${sizeBytes} bytes`);
  if (code === 'ZSTD_error_frameParameter_windowTooLarge')
    return badArchive(
      undefined,
      'was compressed with a window of more than 128 MiB',
      'make it anew without zstd --long',
    );
  if (!/^(Z_|ZSTD_|ERR_ZSTD)/.test(code) || !(error instanceof Error)) return error;
  return badArchive(
    undefined,
    `is damaged at about byte ${offset} of the ${format} file: ${error.message.toLowerCase()}`,
  );
}
