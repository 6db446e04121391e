import type { BatchEvent, Effect, Row, StatementResult, StepOutcome } from '../databases.ts';
import type { SqlError } from '../engine/sql-error.ts';
import type { Column, Description } from '../engine/statement.ts';
import { encodeValue } from './values.ts';

// What the server answers, as JSON text: Hrana 3, "Shared structures". Text is put together directly: an object for every
// value, only to be turned into text, would cost more than all the rest of an answer.

/**
 * An error as it goes to a client. `code` is SQLite's primary result code or one of Baton's own: stock clients compare with nothing else.
 * The rest is for our own: SQLite's extended result code, and whether the same may succeed later.
 */
export type WireError = {
  readonly message: string;
  readonly code: string;
  readonly result?: number;
  readonly retryable?: boolean;
};

export function encodeError({ message, code, result, retryable = false }: WireError): string {
  const more = `${result === undefined ? '' : `,"result":${result}`}${retryable ? ',"retryable":true' : ''}`;
  return `{"message":${JSON.stringify(message)},"code":${JSON.stringify(code)}${more}}`;
}

/** What SQLite said, as a client is told of it. */
export function sqlWireError({ message, sqliteCode, result }: SqlError): WireError {
  return { message, code: sqliteCode, result };
}

function encodeSqlError(error: SqlError): string {
  return encodeError(sqlWireError(error));
}

/** The response to a request that only has to be confirmed. */
export function encodeDone(type: string): string {
  return `{"type":"${type}"}`;
}

/** The response to a request that has a result, which is JSON text. */
export function encodeResponse(type: string, result: string): string {
  return `{"type":"${type}","result":${result}}`;
}

/** A response with the position after what it wrote, in a field that only our own clients know. */
export function withPosition(response: string, position: string): string {
  return `${response.slice(0, -1)},"position":${JSON.stringify(position)}}`;
}

export function encodeAutocommit(isAutocommit: boolean): string {
  return `{"type":"get_autocommit","is_autocommit":${isAutocommit}}`;
}

export function encodeStatementResult(result: StatementResult): string {
  const rows = result.rows.map(encodeRow).join(',');
  return `{"cols":${encodeColumns(result.columns)},"rows":[${rows}],${encodeEffect(result)}}`;
}

/** Both lists have a member for each step; a step that was skipped has null in both. */
export function encodeBatchResult(outcomes: readonly StepOutcome[]): string {
  const results = outcomes.map((outcome) => (outcome.type === 'done' ? encodeStatementResult(outcome.result) : 'null'));
  const errors = outcomes.map((outcome) => (outcome.type === 'failed' ? encodeSqlError(outcome.error) : 'null'));
  return `{"step_results":[${results.join(',')}],"step_errors":[${errors.join(',')}]}`;
}

export function encodeDescription(description: Description): string {
  const params = description.parameters.map((name) => `{"name":${JSON.stringify(name)}}`).join(',');
  const flags = `"is_explain":${description.isExplain},"is_readonly":${description.isReadOnly}`;
  return `{"params":[${params}],"cols":${encodeColumns(description.columns)},${flags}}`;
}

/** The entries that a piece of a cursor stands for: one for each row, else one. */
export function encodeEntries(event: BatchEvent): string[] {
  switch (event.type) {
    case 'begin':
      return [`{"type":"step_begin","step":${event.step},"cols":${encodeColumns(event.columns)}}`];
    case 'rows':
      return event.rows.map((row) => `{"type":"row","row":${encodeRow(row)}}`);
    case 'end':
      return [`{"type":"step_end",${encodeEffect(event)}}`];
    case 'failed':
      return [`{"type":"step_error","step":${event.step},"error":${encodeSqlError(event.error)}}`];
    default:
      return event satisfies never;
  }
}

/** The entry that ends a cursor because the whole batch failed. */
export function encodeErrorEntry(error: WireError): string {
  return `{"type":"error","error":${encodeError(error)}}`;
}

function encodeColumns(columns: readonly Column[]): string {
  const members = columns.map(
    ({ name, declaredType }) => `{"name":${JSON.stringify(name)},"decltype":${JSON.stringify(declaredType)}}`,
  );
  return `[${members.join(',')}]`;
}

function encodeRow(row: Row): string {
  return `[${row.map(encodeValue).join(',')}]`;
}

function encodeEffect({ affectedRows, lastInsertRowid }: Effect): string {
  return `"affected_row_count":${affectedRows},"last_insert_rowid":"${lastInsertRowid}"`;
}
