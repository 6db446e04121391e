import type { Child } from '@batondb/core/process/child';
import type { Bundle } from '../bundle/bundle.ts';

const chunkBytes = 262_144;
const tellMs = 500;

/**
 * Writes `BYTES DIGEST` and the bundle to a remote shell, no faster than it takes them. Tells bytes at the start, twice a second
 * and at the end. Resolves early when the remote shell ends: why it did is for its reader to find out.
 */
export async function upload(
  bundle: Bundle,
  child: Child,
  signal: AbortSignal,
  tell: (sentBytes: number) => void,
): Promise<void> {
  const { stdin } = child;
  stdin.write(`${bundle.bytes} ${bundle.digest}\n`);
  let toldMs = performance.now();
  tell(0);
  for (let sentBytes = 0; sentBytes < bundle.bytes; ) {
    signal.throwIfAborted();
    const wanted = Math.min(chunkBytes, bundle.bytes - sentBytes);
    const { bytesRead, buffer } = await bundle.file.read(Buffer.allocUnsafe(wanted), 0, wanted, sentBytes);
    if (bytesRead === 0) return;
    if (!stdin.writable) return;
    await written(child, buffer.subarray(0, bytesRead));
    sentBytes += bytesRead;
    if (sentBytes === bundle.bytes || performance.now() - toldMs >= tellMs) {
      toldMs = performance.now();
      tell(sentBytes);
    }
  }
}

/** Resolves when the system has taken the bytes, or nobody takes them any more. */
function written(child: Child, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    const settle = (): void => {
      child.stdin.off('close', settle);
      resolve();
    };
    child.stdin.once('close', settle);
    child.stdin.write(bytes, settle);
  });
}
