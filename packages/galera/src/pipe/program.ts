import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { type Child, childError, spawnChild } from '@batondb/core/process/child';

/** Starts a program of a method. Its messages go to the server's error log; it ends with us. */
export async function startProgram(command: readonly string[], signal: AbortSignal): Promise<Child> {
  signal.throwIfAborted();
  const child = await spawnChild(command, { stderr: 'inherit' });
  signal.addEventListener('abort', () => void child.terminate(0), { once: true });
  return child;
}

/** Resolves when a program has ended well. Throws CHILD_FAILED, and the signal's reason. */
export async function endedWell(child: Child, command: readonly string[], signal: AbortSignal): Promise<void> {
  const exit = await child.exited;
  signal.throwIfAborted();
  if (exit.code !== 0) throw childError(command, exit);
}

/** The output of a program, in chunks that are the reader's own. */
export async function* outputOf(stdout: Readable): AsyncGenerator<Uint8Array> {
  // What Node reads from a pipe may be a part of a larger piece of memory.
  for await (const chunk of stdout as AsyncIterable<Buffer>) yield new Uint8Array(chunk);
}

/** Hands a chunk to a program, and waits while it has enough. What it does not want any more its end tells. */
export async function give(stdin: Writable, chunk: Uint8Array, signal: AbortSignal): Promise<void> {
  // The chunk's memory is used again.
  if (stdin.write(Buffer.from(chunk)) || stdin.destroyed) return;
  await Promise.race([once(stdin, 'drain', { signal }), once(stdin, 'close', { signal })]);
}
