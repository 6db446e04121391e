import { BatonError, type ErrorCode, errorCodes } from '@batondb/core/errors';

// Every way in which a server says no by itself, beside Baton's own codes: this registry is their documentation.

/** What each code means, the HTTP status that goes with it, and what it is to the client. A code is stable: programs match on it. */
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

/** An answer of the server to a client that it does not serve. It is no failure of Baton. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly code: RefusalCode;

  constructor(code: RefusalCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** An error as it goes to a client. */
export type WireError = { readonly message: string; readonly code: string; readonly retryable?: boolean };

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
  if (!(error instanceof BatonError)) return 500;
  // One that was refused since somebody else leads by now may be tried again; one that is refused here for ever may not.
  if (error.code === 'REFUSED' && error.retryable) return 503;
  return statusOfCode[error.code] ?? (error.retryable ? 503 : 500);
}

/** Whether an error is the program's own fault. A client gets no details of it: they may show what is none of its business. */
export function isOurFault(error: unknown): boolean {
  return !(error instanceof Refusal || error instanceof BatonError);
}

/** Any thrown thing as a client is told of it. */
export function toWireError(error: unknown): WireError {
  if (error instanceof Refusal) return { message: error.message, code: error.code };
  if (!(error instanceof BatonError)) return { message: 'an error in the server itself; its log has it', code: 'BUG' };
  const hint = error.hint === undefined ? '' : `; ${error.hint}`;
  return { message: `${error.message}${hint}`, code: error.code, retryable: error.retryable };
}

/** What a server's refusals are to its client. */
const meanings: Readonly<Record<RefusalCode, { readonly code: ErrorCode; readonly retryable?: true }>> = {
  STREAM_EXPIRED: { code: 'CONNECTION_LOST', retryable: true },
  UNAUTHORIZED: { code: 'ACCESS_DENIED' },
  FORBIDDEN: { code: 'ACCESS_DENIED' },
  ORIGIN_REFUSED: { code: 'ACCESS_DENIED' },
  HOST_REFUSED: { code: 'ACCESS_DENIED' },
  NO_SUCH_PATH: { code: 'NOT_FOUND' },
  WRONG_METHOD: { code: 'PROTOCOL' },
  WRONG_TYPE: { code: 'PROTOCOL' },
  UNCONFIRMED: { code: 'USAGE' },
  UNAVAILABLE: { code: 'UNAVAILABLE', retryable: true },
};

/** The error that a server's answer is to its client. A code that is not known here, a newer server's, is SYSTEM. */
export function fromWireError({ message, code, retryable = false }: WireError): BatonError {
  if (Object.hasOwn(meanings, code)) {
    const meaning = meanings[code as RefusalCode];
    return new BatonError(meaning.code, message, { retryable: meaning.retryable ?? false });
  }
  if (Object.hasOwn(errorCodes, code)) return new BatonError(code as ErrorCode, message, { retryable });
  return new BatonError('SYSTEM', `the server says ${code}: ${message}`, { retryable });
}
