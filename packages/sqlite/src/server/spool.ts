import { randomUUID } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { BatonError } from '@batondb/core/errors';
import { freeSpace } from '@batondb/core/files/space';
import { toBatonError } from '@batondb/core/files/system-error';
import { formatBytes } from '@batondb/core/text/format';
import { Blake3Hasher } from '@napi-rs/blake-hash';

/** Limits of a file that is sent to us. */
export type SpoolLimits = { readonly bytesMax: number; readonly stallMsMax: number };

/** A file that was sent. Disposing removes it. */
export type SpooledFile = Disposable & { readonly path: string };

/** The digest that a sender may name, hexadecimal. */
export const digestHeader = 'baton-blake3';

/**
 * Keeps a request's body in a directory until it is looked at. Throws LIMIT and NO_SPACE before the first byte where its length says so, PROTOCOL
 * without a length, DIGEST_MISMATCH, CONNECTION_LOST.
 */
export async function spoolBody(
  request: IncomingMessage,
  directory: string,
  limits: SpoolLimits,
): Promise<SpooledFile> {
  const bytes = lengthOf(request);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  checkRoom(bytes, directory, limits.bytesMax);
  const path = join(directory, `${randomUUID()}.db`);
  const spooled = { path, [Symbol.dispose]: () => rmSync(path, { force: true }) };
  try {
    const found = await receive(request, path, { bytes, stallMsMax: limits.stallMsMax });
    const wanted = request.headers[digestHeader];
    if (wanted === undefined || wanted === found) return spooled;
    throw new BatonError('DIGEST_MISMATCH', `the body has the digest ${found}, and its sender says ${String(wanted)}`, {
      retryable: true,
    });
  } catch (error) {
    spooled[Symbol.dispose]();
    throw error;
  }
}

function lengthOf(request: IncomingMessage): number {
  const bytes = Number(request.headers['content-length'] ?? Number.NaN);
  if (Number.isSafeInteger(bytes)) return bytes;
  throw new BatonError('PROTOCOL', 'a file is sent with a Content-Length, and this one has none');
}

/** Twice: as a file, and as the database that it becomes. */
function checkRoom(bytes: number, directory: string, bytesMax: number): void {
  if (bytes > bytesMax) {
    throw new BatonError(
      'LIMIT',
      `the file has ${formatBytes(bytes)}, and at most ${formatBytes(bytesMax)} are taken`,
      {
        hint: 'raise uploadBytesMax, or put it into the directory of a new server',
      },
    );
  }
  const { freeBytes } = freeSpace(Buffer.from(directory));
  if (freeBytes > 2 * bytes) return;
  throw new BatonError('NO_SPACE', `${formatBytes(2 * bytes)} are needed, and ${formatBytes(freeBytes)} are free`, {
    retryable: true,
    hint: 'make space on the server',
  });
}

async function receive(
  request: IncomingMessage,
  path: string,
  { bytes, stallMsMax }: { readonly bytes: number; readonly stallMsMax: number },
): Promise<string> {
  const hasher = new Blake3Hasher();
  const stall = setTimeout(() => request.destroy(), stallMsMax);
  await using file = await open(path, 'wx', 0o600);
  try {
    let done = 0;
    // Leaving the loop must not end the connection, which a refusal still has to go through.
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      stall.refresh();
      hasher.update(chunk);
      await file.write(chunk);
      done += chunk.length;
    }
    if (done === bytes) return hasher.digestBuffer().toString('hex');
    throw new BatonError('PROTOCOL', `the body has ${done} bytes, and its Content-Length says ${bytes}`);
  } catch (cause) {
    if (request.complete) throw toBatonError(cause, { path });
    throw new BatonError('CONNECTION_LOST', 'the client went away before its file was whole', {
      cause,
      retryable: true,
    });
  } finally {
    clearTimeout(stall);
  }
}
