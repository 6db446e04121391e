import { open } from 'node:fs/promises';
import { toBatonError } from '@batondb/core/files/system-error';

/** The first bytes of a file; undefined when it does not exist, or has not as many. Throws NO_PERMISSION. */
export async function readHead(path: string, bytes: number): Promise<Buffer | undefined> {
  const head = Buffer.alloc(bytes);
  try {
    await using file = await open(path, 'r');
    const { bytesRead } = await file.read(head, 0, bytes, 0);
    return bytesRead === bytes ? head : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw toBatonError(error, { path });
  }
}
