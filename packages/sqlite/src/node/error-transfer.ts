import { type BatonError, type ErrorRecord, fromErrorRecord, toErrorRecord } from '@batondb/core/errors';
import { SqlError } from '../engine/sql-error.ts';

// Errors between threads: cloning keeps the class of none of ours.

type PackedError = ErrorRecord & { readonly sqliteResult?: number };

/** An error as what can be cloned. */
export function packError(error: unknown): PackedError {
  const record = toErrorRecord(error);
  return error instanceof SqlError ? { ...record, sqliteResult: error.result } : record;
}

/** The error that was packed. */
export function unpackError(packed: unknown): BatonError {
  const { sqliteResult, ...record } = packed as PackedError;
  return sqliteResult === undefined ? fromErrorRecord(record) : new SqlError(sqliteResult, record.message);
}
