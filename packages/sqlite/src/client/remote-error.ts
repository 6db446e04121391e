import { BatonError, type ErrorCode, errorCodes } from '@batondb/core/errors';
import { SqlError } from '../engine/sql-error.ts';
import { at, type Fields, type Place, readOptionalFlag, readText } from '../hrana/fields.ts';
import type { WireError } from '../hrana/results.ts';
import type { RefusalCode } from '../server/refusal.ts';
import { limits } from './limits.ts';

// What a server says went wrong, as the error that a session in this process would have thrown.

/** What the server's own refusals are to its client. */
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

/** Reads an error. Throws PROTOCOL. */
export function decodeError(fields: Fields, place: Place | undefined): WireError {
  const result = fields['result'];
  const isResult = typeof result === 'number' && Number.isInteger(result) && result > 0;
  return {
    message: readText(fields, 'message', place, limits.messageBytesMax),
    code: readText(fields, 'code', place, limits.messageBytesMax),
    ...(isResult ? { result } : {}),
    retryable: readOptionalFlag(fields, 'retryable', at(place, 'retryable'), false),
  };
}

/** The error that an answer stands for. A code that is not known here, a newer server's, is SYSTEM. */
export function toError({ message, code, result, retryable = false }: WireError): BatonError {
  if (result !== undefined) return new SqlError(result, message);
  if (Object.hasOwn(meanings, code)) {
    const meaning = meanings[code as RefusalCode];
    return new BatonError(meaning.code, message, { retryable: meaning.retryable ?? false });
  }
  if (Object.hasOwn(errorCodes, code)) return new BatonError(code as ErrorCode, message, { retryable });
  return new BatonError('SYSTEM', `the server says ${code}: ${message}`, { retryable });
}
