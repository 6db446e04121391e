import type { IncomingMessage } from 'node:http';
import { BatonError } from '@batondb/core/errors';
import { Refusal } from '@batondb/service/refusal';
import { limits } from '../hrana/limits.ts';

/** The bytes that all clients together may have under way to us, so that many large requests do not fill the memory. */
export class ReceivingBudget {
  #bytes = 0;

  /** Throws UNAVAILABLE when there is no room. */
  take(bytes: number): void {
    if (this.#bytes + bytes > limits.receivingBytesMax)
      throw new Refusal('UNAVAILABLE', 'the server is receiving too much at once');
    this.#bytes += bytes;
  }

  giveBack(bytes: number): void {
    this.#bytes -= bytes;
  }
}

/** Reads a request's body as text. Throws LIMIT for one that is too large, PROTOCOL for one that is no UTF-8, and UNAVAILABLE. */
export async function readBody(request: IncomingMessage, budget: ReceivingBudget): Promise<string> {
  checkSize(Number(request.headers['content-length'] ?? 0));
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    // Leaving the loop must not end the connection, which the refusal still has to go through.
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      checkSize(bytes + chunk.byteLength);
      budget.take(chunk.byteLength);
      bytes += chunk.byteLength;
      chunks.push(chunk);
    }
    return decodeText(Buffer.concat(chunks, bytes));
  } catch (cause) {
    if (!request.destroyed || request.complete) throw cause;
    throw new BatonError('CONNECTION_LOST', 'the client went away before its request was whole', { cause });
  } finally {
    budget.giveBack(bytes);
  }
}

/** Text of UTF-8 that is right: a byte that is not would be stored as another one. Throws PROTOCOL. */
export function decodeText(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new BatonError('PROTOCOL', 'the message is not UTF-8', { cause });
  }
}

function checkSize(bytes: number): void {
  if (bytes <= limits.messageBytesMax) return;
  throw new BatonError('LIMIT', `the body has more than ${limits.messageBytesMax} bytes`, {
    hint: 'send it in several requests',
  });
}
