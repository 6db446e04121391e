import { BatonError } from '@batondb/core/errors';
import type { BatchEvent, Statement, StatementResult, Step, StepOutcome } from '../databases.ts';
import { results } from '../engine/codes.ts';
import type { Connection } from '../engine/connection.ts';
import { SqlError } from '../engine/sql-error.ts';
import { holds } from '../hrana/conditions.ts';

// What a client's session does with a connection, in whichever thread it is. Errors that are answers to a statement are outcomes;
// others, an interruption too, end the call.

/** Rows of one event of a cursor: a few packets of a network. */
const pieceBytes = 65_536;

/** Runs the steps whose conditions hold. */
export function runSteps(connection: Connection, steps: readonly Step[], resultBytesMax: number): StepOutcome[] {
  const outcomes: StepOutcome[] = [];
  let bytesLeft = resultBytesMax;
  for (const { statement, condition } of steps) {
    connection.expectTime();
    if (!holds(condition, { outcomes, isAutocommit: connection.isAutocommit })) {
      outcomes.push({ type: 'skipped' });
      continue;
    }
    try {
      const { result, bytes } = runOne(connection, statement, bytesLeft);
      bytesLeft -= bytes;
      outcomes.push({ type: 'done', result });
    } catch (error) {
      outcomes.push({ type: 'failed', error: toAnswer(error) });
    }
  }
  return outcomes;
}

/** Runs the steps whose conditions hold, as far as events are pulled. Returning it early undoes the statement that is running. */
export function* stepEvents(connection: Connection, steps: readonly Step[]): Generator<BatchEvent[], void> {
  const outcomes: { type: StepOutcome['type'] }[] = [];
  for (const [step, { statement, condition }] of steps.entries()) {
    connection.expectTime();
    if (!holds(condition, { outcomes, isAutocommit: connection.isAutocommit })) {
      outcomes.push({ type: 'skipped' });
      continue;
    }
    try {
      using cursor = connection.begin(statement.sql, statement.values, statement.namedValues);
      let hasBegun = false;
      for (let isLast = false; !isLast; ) {
        const piece = cursor.pull(pieceBytes, statement.wantRows);
        const events: BatchEvent[] = hasBegun ? [] : [{ type: 'begin', step, columns: cursor.columns }];
        hasBegun = true;
        if (piece.rows.length > 0) events.push({ type: 'rows', rows: piece.rows });
        if (piece.isLast) events.push({ type: 'end', ...connection.effect });
        isLast = piece.isLast;
        yield events;
      }
      outcomes.push({ type: 'done' });
    } catch (error) {
      yield [{ type: 'failed', step, error: toAnswer(error) }];
      outcomes.push({ type: 'failed' });
    }
  }
}

function runOne(
  connection: Connection,
  { sql, values, namedValues, wantRows }: Statement,
  bytesMax: number,
): { readonly result: StatementResult; readonly bytes: number } {
  using cursor = connection.begin(sql, values, namedValues);
  const { rows, bytes, isLast } = cursor.pull(bytesMax, wantRows);
  if (!isLast) throw new SqlError(results.TOOBIG, `the rows have more than ${bytesMax} bytes; read them with a cursor`);
  return { result: { columns: cursor.columns, rows, ...connection.effect }, bytes };
}

/** The error as an answer to a statement; what is none is thrown. */
function toAnswer(error: unknown): SqlError {
  if (error instanceof SqlError) return error;
  if (error instanceof BatonError && error.code === 'USAGE') return new SqlError(results.MISUSE, error.message);
  throw error;
}
