import { BatonError } from '@batondb/core/errors';
import { codeName, extendedCodeName } from './codes.ts';

/** What SQLite said to a statement. */
export class SqlError extends BatonError {
  /** SQLite's extended result code. */
  readonly result: number;
  /** The primary code's name, such as SQLITE_CONSTRAINT. */
  readonly sqliteCode: string;
  /** The extended code's name, such as SQLITE_CONSTRAINT_UNIQUE; else the primary one's. */
  readonly sqliteExtendedCode: string;

  constructor(code: number, message: string) {
    const name = codeName(code);
    const isBusy = name === 'SQLITE_BUSY';
    super('STATEMENT_FAILED', message, {
      retryable: isBusy,
      ...(isBusy ? { hint: 'begin the transaction again: what it read has changed' } : {}),
    });
    this.result = code;
    this.sqliteCode = name;
    this.sqliteExtendedCode = extendedCodeName(code);
  }
}
