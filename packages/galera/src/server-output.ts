import { writeSync } from 'node:fs';

/** How long a server may take to read a line before it counts as gone: it reads all the time, and a pipe holds 64 KiB. */
const writeMsMax = 30_000;
const pauseMs = 5;

/**
 * The way to the server: our standard output, which nobody else writes to. A line is written whole before anything else happens, since what follows a
 * line (an exit, a wait for the server's answer) counts on it. Throws what the system says when the server does not read any more.
 */
export function sayToServer(line: string): void {
  let rest = Buffer.from(`${line}\n`);
  const deadline = performance.now() + writeMsMax;
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(1, rest));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' || performance.now() > deadline) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, pauseMs);
    }
  }
}
