import type { BatonError } from '@batondb/core/errors';
import { fromWireError } from '@batondb/service/refusal';
import { SqlError } from '../engine/sql-error.ts';
import { at, type Fields, type Place, readOptionalFlag, readText } from '../hrana/fields.ts';
import type { WireError } from '../hrana/results.ts';
import { limits } from './limits.ts';

// What a server says went wrong, as the error that a session in this process would have thrown.

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
export function toError(error: WireError): BatonError {
  return error.result === undefined ? fromWireError(error) : new SqlError(error.result, error.message);
}
