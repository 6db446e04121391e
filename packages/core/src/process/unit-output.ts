import { closeSync } from 'node:fs';
import { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { check, flags, socketpair } from '../files/libc.ts';
import { limits } from '../limits.ts';
import { takeUnitBuffer } from '../transport/unit-buffers.ts';

// A child's output in pieces of a unit, read into buffers that are used again. What Node makes of a pipe by itself comes in pieces of 64 KiB at
// most, each in a buffer of its own: measured with 2 GiB, that took 1.6 CPU seconds instead of 0.45, and the child, which waits oftener, more than
// twice the time. A socket and not a pipe, whose pages are new each time: 1.7.

/** The child's end of an output, and ours. */
export type UnitOutput = {
  /** To be the child's stdout; the caller closes it when the child has it. */
  readonly descriptor: number;
  /** Every chunk but the last is a unit, in a unit buffer that is the reader's. Destroying it closes our end. */
  readonly stdout: Readable;
};

/** Makes an output for a child that is yet to be started. Throws SystemError when there are no descriptors left. */
export function makeUnitOutput(): UnitOutput {
  const pair = new Int32Array(2);
  check(socketpair(flags.AF_UNIX, flags.SOCK_STREAM, pair), 'socketpair', () => 'the output of a child');
  const [ours = -1, descriptor = -1] = pair;
  try {
    return { descriptor, stdout: readUnits(ours) };
  } catch (error) {
    for (const end of pair) closeSync(end);
    throw error;
  }
}

function readUnits(descriptor: number): Readable {
  let unit = takeUnitBuffer(limits.unitBytes);
  let filled = 0;
  const takeFilled = (): Uint8Array => {
    const taken = unit.subarray(0, filled);
    unit = takeUnitBuffer(limits.unitBytes);
    filled = 0;
    return taken;
  };
  const socket = new Socket({
    fd: descriptor,
    readable: true,
    writable: false,
    onread: {
      buffer: () => unit.subarray(filled),
      callback(bytes: number): boolean {
        filled += bytes;
        return filled < unit.byteLength || units.push(takeFilled());
      },
    },
  });
  // Objects, since chunks of bytes that wait would be joined, and so copied.
  const units = new Readable({
    objectMode: true,
    highWaterMark: 1,
    read: () => void socket.resume(),
    destroy(error, callback) {
      socket.destroy();
      callback(error);
    },
  });
  socket.once('end', () => {
    if (filled > 0) units.push(takeFilled());
    units.push(null);
  });
  socket.once('error', (error) => units.destroy(error));
  return units;
}
