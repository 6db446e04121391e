import type { Writable } from 'node:stream';
import { BatonError } from '@batondb/core/errors';
import { limits } from '@batondb/core/limits';
import { preamble } from './messages.ts';

// JSON values over a pair of streams: u32 length (little-endian), then that many bytes of UTF-8.

const headerBytes = 4;

/** One value as a frame. */
export function encodeJsonFrame(value: unknown): Buffer {
  const body = Buffer.from(JSON.stringify(value));
  if (body.byteLength > limits.controlBytesMax) {
    throw new BatonError(
      'LIMIT',
      `a control message has ${body.byteLength} bytes; the limit is ${limits.controlBytesMax}`,
    );
  }
  const frame = Buffer.allocUnsafe(headerBytes + body.byteLength);
  frame.writeUInt32LE(body.byteLength);
  body.copy(frame, headerBytes);
  return frame;
}

/** The whole values at the start of `buffered`, and the bytes after them. */
export function decodeJsonFrames(buffered: Buffer): { values: unknown[]; rest: Buffer } {
  const values: unknown[] = [];
  let at = 0;
  while (buffered.byteLength - at >= headerBytes) {
    const length = buffered.readUInt32LE(at);
    if (length > limits.controlBytesMax) {
      throw new BatonError(
        'LIMIT',
        `a control message of ${length} bytes was announced; the limit is ${limits.controlBytesMax}`,
      );
    }
    const end = at + headerBytes + length;
    if (buffered.byteLength < end) break;
    values.push(parseJson(buffered.subarray(at + headerBytes, end)));
    at = end;
  }
  return { values, rest: buffered.subarray(at) };
}

/** The values that arrive on a stream until it ends. With `skipPreamble`, what a login shell printed before is skipped. */
export async function* readJsonFrames(
  stream: AsyncIterable<Buffer>,
  skipPreamble: boolean,
): AsyncGenerator<unknown, void> {
  let buffered: Buffer = Buffer.alloc(0);
  let isStarted = !skipPreamble;
  for await (const chunk of stream) {
    buffered = buffered.byteLength === 0 ? chunk : Buffer.concat([buffered, chunk]);
    if (!isStarted) {
      const after = afterPreamble(buffered);
      if (after === undefined) continue;
      isStarted = true;
      buffered = after;
    }
    const { values, rest } = decodeJsonFrames(buffered);
    buffered = rest;
    yield* values;
  }
}

/** Writes one value; resolves when the stream takes more. */
export async function writeJsonFrame(stream: Writable, value: unknown): Promise<void> {
  if (stream.write(encodeJsonFrame(value))) return;
  await new Promise<void>((resolve) => {
    const settle = () => {
      stream.off('drain', settle);
      stream.off('close', settle);
      resolve();
    };
    stream.once('drain', settle);
    stream.once('close', settle);
  });
}

function afterPreamble(buffered: Buffer): Buffer | undefined {
  const at = buffered.indexOf(preamble);
  if (at >= 0) return buffered.subarray(at + preamble.length);
  if (buffered.byteLength > limits.preambleBytesMax) {
    const start = buffered.subarray(0, 80).toString().replace(/\s+/g, ' ');
    throw new BatonError(
      'PROTOCOL',
      `the far side printed ${limits.preambleBytesMax} bytes that are not baton's: "${start}…"`,
      {
        hint: 'look for what its shell profile prints when nobody is at the terminal',
      },
    );
  }
  return undefined;
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString());
  } catch (cause) {
    throw new BatonError('PROTOCOL', 'a control message is no JSON', { cause });
  }
}
