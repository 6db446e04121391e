import type { Writable } from 'node:stream';
import type { BackupTool } from './tool.ts';
import { startUnpack, type UnpackInto } from './unpack.ts';
import type { StreamSummary } from './xbstream.ts';

/**
 * Unpacks a backup's stream, as it comes; what shares with an older state has done so in the end. A chunk is not looked at any more when the next one is asked
 * for. Nothing is synced to disk. Throws as `startUnpack` and its `done` do, and what `content` throws.
 */
export async function unpackContent(
  content: AsyncIterable<Uint8Array>,
  into: UnpackInto,
  tool: BackupTool,
  signal: AbortSignal,
): Promise<StreamSummary> {
  await using unpack = await startUnpack(into, tool, signal);
  for await (const chunk of content) {
    try {
      await write(unpack.stdin, chunk, signal);
      if (typeof into !== 'string') await into.room();
    } catch (error) {
      // How the unpacker ended tells more than that it does not read any more.
      await unpack.done;
      throw error;
    }
  }
  unpack.stdin.end();
  const summary = await unpack.done;
  if (typeof into !== 'string') await into.finish();
  return summary;
}

/** Resolves when the stream has taken all of the chunk and does not look at it any more. */
async function write(stream: Writable, chunk: Uint8Array, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onAbort = () => reject(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  stream.write(chunk, (error) => (error ? reject(error) : resolve()));
  try {
    await promise;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
