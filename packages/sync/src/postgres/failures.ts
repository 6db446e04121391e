import { BatonError, type BatonErrorOptions, type ErrorCode } from '@batondb/core/errors';

// What the failures of a PostgreSQL connection mean ("Appendix A. PostgreSQL Error Codes").

type Meaning = { readonly code: ErrorCode; readonly isRetryable: boolean; readonly hint?: string };

/** By SQLSTATE, or its first two characters. */
const meanings: Readonly<Record<string, Meaning>> = {
  '08': { code: 'CONNECTION_LOST', isRetryable: true },
  '28': {
    code: 'ACCESS_DENIED',
    isRetryable: false,
    hint: 'check user, password and pg_hba.conf; `baton sync setup --print` shows the role that is needed',
  },
  '3D000': { code: 'NOT_FOUND', isRetryable: false, hint: 'check the name of the database' },
  '40': { code: 'UNAVAILABLE', isRetryable: true },
  '42501': {
    code: 'ACCESS_DENIED',
    isRetryable: false,
    hint: '`baton sync setup --print` shows the privileges that are needed',
  },
  '42704': { code: 'NOT_FOUND', isRetryable: false },
  '53': { code: 'UNAVAILABLE', isRetryable: true },
  '55006': { code: 'UNAVAILABLE', isRetryable: true },
  '55P03': { code: 'TIMED_OUT', isRetryable: true },
  '57014': { code: 'TIMED_OUT', isRetryable: true },
  '57P': { code: 'UNAVAILABLE', isRetryable: true },
  '58P01': { code: 'HISTORY_LOST', isRetryable: false },
};

const unreachable = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOENT',
  'EACCES',
]);
const brokenPattern =
  /Connection terminated|Client was closed|not queryable|Client has encountered a connection error|ECONNRESET|EPIPE/;
const certificatePattern = /CERT|SELF_SIGNED|UNABLE_TO_|ERR_TLS|ERR_SSL/;

/** A failure on `node` as a person has to read it. What is one already stays as it is. */
export function toSourceError(error: unknown, node: string): BatonError {
  if (error instanceof BatonError) return error;
  const { message, code } = describe(error);
  const meaning = meaningOf(code, message);
  const options: BatonErrorOptions = {
    retryable: meaning.isRetryable,
    cause: error,
    ...(meaning.hint === undefined ? {} : { hint: meaning.hint }),
  };
  return new BatonError(meaning.code, `${node}: ${message}`, options);
}

/** True for an error that the server itself has sent, with this SQLSTATE. */
export function isSqlState(error: unknown, state: string): boolean {
  const cause = error instanceof BatonError ? error.cause : error;
  return describe(cause).code === state;
}

function describe(error: unknown): { message: string; code: string } {
  if (!(error instanceof Error)) return { message: String(error), code: '' };
  // A name with several addresses fails with one error for each of them.
  const first = error instanceof AggregateError ? (error.errors[0] as unknown) : undefined;
  if (first instanceof Error) return describe(first);
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return { message: error.message, code };
}

function meaningOf(code: string, message: string): Meaning {
  const known = meanings[code] ?? meanings[code.slice(0, 3)] ?? meanings[code.slice(0, 2)];
  if (known !== undefined && /^[0-9A-Z]{5}$/.test(code)) return known;
  if (unreachable.has(code) || message.includes('timeout expired')) return { code: 'UNREACHABLE', isRetryable: true };
  if (brokenPattern.test(message) || brokenPattern.test(code)) return { code: 'CONNECTION_LOST', isRetryable: true };
  if (message.includes('does not support SSL')) {
    return {
      code: 'NOT_TRUSTED',
      isRetryable: false,
      hint: 'set ssl = on at the server, or sslmode=prefer in the address',
    };
  }
  if (certificatePattern.test(code)) {
    return { code: 'NOT_TRUSTED', isRetryable: false, hint: 'sslrootcert names the certificate authority to trust' };
  }
  if (message.startsWith('SASL') || message.includes('password must be a string')) {
    return {
      code: 'ACCESS_DENIED',
      isRetryable: false,
      hint: 'the server asks for a password: PGPASSWORD, .pgpass or --password-file give it',
    };
  }
  return { code: 'STATEMENT_FAILED', isRetryable: false };
}
