import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { BatonError, type ErrorCode } from '@batondb/core/errors';
import { SqlError } from '../engine/sql-error.ts';
import { encodeError, sqlWireError, type WireError } from '../hrana/results.ts';

// Every way in which the server says no by itself, beside SQLite's codes and Baton's own: this registry is their documentation.

/** What each code means, and the HTTP status that goes with it. A code is stable: programs match on it. */
export const refusalCodes = {
  STREAM_EXPIRED: { status: 400, meaning: 'the stream has ended, or the baton for it was used already: begin anew' },
  UNAUTHORIZED: { status: 401, meaning: 'a token is needed, and none or none that is valid was sent' },
  FORBIDDEN: { status: 403, meaning: 'the token does not have the right that this needs' },
  ORIGIN_REFUSED: { status: 403, meaning: 'a web page of another origin sent this' },
  NO_SUCH_PATH: { status: 404, meaning: 'nothing is served at this path' },
  WRONG_METHOD: { status: 405, meaning: 'the path is served, but not with this method' },
  WRONG_TYPE: { status: 415, meaning: 'the body is not of the type that this needs, or it is compressed' },
  UNCONFIRMED: { status: 428, meaning: 'what destroys has to be confirmed by a header' },
  HOST_REFUSED: { status: 421, meaning: 'the Host header is not a name of this machine' },
  UNAVAILABLE: { status: 503, meaning: 'the server starts, stops or is full: the same request may succeed later' },
} as const;

export type RefusalCode = keyof typeof refusalCodes;

/** An answer of the server to a client that it does not serve. Like a SqlError it is no failure of Baton. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly code: RefusalCode;

  constructor(code: RefusalCode, message: string) {
    super(message);
    this.code = code;
  }
}

const statusOfCode: Partial<Readonly<Record<ErrorCode, number>>> = {
  PROTOCOL: 400,
  USAGE: 400,
  LIMIT: 413,
  UNSUPPORTED: 400,
  NOT_FOUND: 404,
  EXISTS: 409,
  REFUSED: 409,
  CHANGED: 409,
  DIGEST_MISMATCH: 422,
  NO_SPACE: 507,
};

/** The HTTP status of an answer that consists of an error. */
export function statusOf(error: unknown): number {
  if (error instanceof Refusal) return refusalCodes[error.code].status;
  if (error instanceof SqlError) return 400;
  if (!(error instanceof BatonError)) return 500;
  // One that was refused since somebody else leads by now may be tried again; one that is refused here for ever may not.
  if (error.code === 'REFUSED' && error.retryable) return 503;
  return statusOfCode[error.code] ?? (error.retryable ? 503 : 500);
}

/** Whether an error is the program's own fault. A client gets no details of it: they may show what is none of its business. */
export function isOurFault(error: unknown): boolean {
  return !(error instanceof Refusal || error instanceof SqlError || error instanceof BatonError);
}

/** Any thrown thing as a client is told of it. */
export function toWireError(error: unknown): WireError {
  if (error instanceof SqlError) return sqlWireError(error);
  if (error instanceof Refusal) return { message: error.message, code: error.code };
  if (!(error instanceof BatonError)) return { message: 'an error in the server itself; its log has it', code: 'BUG' };
  const hint = error.hint === undefined ? '' : `; ${error.hint}`;
  return { message: `${error.message}${hint}`, code: error.code, retryable: error.retryable };
}

/** Answers a request for another protocol in HTTP, and ends its connection. */
export function refuseUpgrade(socket: Duplex, error: unknown): void {
  const status = statusOf(error);
  const body = encodeError(toWireError(error));
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}
