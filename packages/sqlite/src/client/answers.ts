import type { BatchEvent, Effect, Row, StatementResult, StepOutcome } from '../databases.ts';
import { SqlError } from '../engine/sql-error.ts';
import type { Column, Description } from '../engine/statement.ts';
import {
  asFields,
  at,
  type Fields,
  isAbsent,
  type Place,
  readFields,
  readInt32,
  readList,
  readOptionalFlag,
  readOptionalText,
  readUint32,
  wrong,
} from '../hrana/fields.ts';
import { limits as hranaLimits } from '../hrana/limits.ts';
import type { WireError } from '../hrana/results.ts';
import { decodeValue } from '../hrana/values.ts';
import { limits } from './limits.ts';
import { decodeError, toError } from './remote-error.ts';

// What a server answers: Hrana 3, "Messages" and "Shared structures". The mirror image of hrana/results.ts.

/** A message of the server. `response` was not looked into yet. */
export type ServerMessage =
  | { readonly type: 'hello_ok' }
  | { readonly type: 'hello_error'; readonly error: WireError }
  | ({ readonly type: 'response_ok'; readonly response: Fields } & Answered)
  | ({ readonly type: 'response_error'; readonly error: WireError } & Answered);

/** Which request was answered, and whether its stream has a transaction open. */
type Answered = { readonly requestId: number; readonly isInTransaction: boolean };

const resultPlace = at(undefined, 'result');

/** Reads the outside of a message. Throws PROTOCOL. */
export function decodeServerMessage(message: Fields): ServerMessage {
  const { type } = message;
  switch (type) {
    case 'hello_ok':
      return { type };
    case 'hello_error':
      return { type, error: readError(message) };
    case 'response_ok':
      return { type, response: readFields(message, 'response', undefined), ...decodeAnswered(message) };
    case 'response_error':
      return { type, error: readError(message), ...decodeAnswered(message) };
    default:
      throw wrong(at(undefined, 'type'), 'hello_ok, hello_error, response_ok or response_error');
  }
}

/** The position after what a request wrote, in a field that only our servers send. */
export function decodePosition(response: Fields): string | undefined {
  return readOptionalText(response, 'position', undefined, hranaLimits.positionCharactersMax);
}

/** The result of an `execute`. */
export function decodeStatementResult(response: Fields): StatementResult {
  return decodeResult(readFields(response, 'result', undefined), resultPlace);
}

/** The result of a `batch` of so many steps. */
export function decodeBatchResult(response: Fields, steps: number): StepOutcome[] {
  const fields = readFields(response, 'result', undefined);
  const results = readStepList(fields, 'step_results', steps);
  const errors = readStepList(fields, 'step_errors', steps);
  return results.map((result, step) => {
    const error = errors[step];
    if (!isAbsent(error)) return { type: 'failed', error: asSqlError(error, at(at(resultPlace, 'step_errors'), step)) };
    if (isAbsent(result)) return { type: 'skipped' };
    const place = at(at(resultPlace, 'step_results'), step);
    return { type: 'done', result: decodeResult(asFields(result, place), place) };
  });
}

/** The result of a `describe`. */
export function decodeDescription(response: Fields): Description {
  const fields = readFields(response, 'result', undefined);
  return {
    parameters: readList(fields, 'params', resultPlace, limits.parametersMax, (member, place) => {
      return readOptionalText(member, 'name', place, limits.messageBytesMax) ?? null;
    }),
    columns: decodeColumns(fields, resultPlace),
    isReadOnly: readOptionalFlag(fields, 'is_readonly', resultPlace, false),
    isExplain: readOptionalFlag(fields, 'is_explain', resultPlace, false),
  };
}

/** What a `fetch_cursor` brought: rows of neighbouring entries are one event. `error`: the batch as a whole failed, after these events. */
export type Fetched = { readonly events: BatchEvent[]; readonly isDone: boolean; readonly error?: WireError };

/** The result of a `fetch_cursor`. */
export function decodeFetched(response: Fields): Fetched {
  const events: BatchEvent[] = [];
  let rows: Row[] | undefined;
  let error: WireError | undefined;
  readList(response, 'entries', undefined, limits.membersMax, (entry, place) => {
    if (entry['type'] === 'row') {
      if (rows === undefined) events.push({ type: 'rows', rows: (rows = []) });
      rows.push(decodeRow(entry['row'], at(place, 'row')));
      return;
    }
    rows = undefined;
    if (entry['type'] === 'error') error ??= decodeError(readFields(entry, 'error', place), at(place, 'error'));
    else events.push(decodeEntry(entry, place));
  });
  const isDone = readOptionalFlag(response, 'done', undefined, false);
  return { events, isDone, ...(error === undefined ? {} : { error }) };
}

function decodeEntry(entry: Fields, place: Place): BatchEvent {
  switch (entry['type']) {
    case 'step_begin':
      return { type: 'begin', step: readUint32(entry, 'step', place), columns: decodeColumns(entry, place) };
    case 'step_end':
      return { type: 'end', ...decodeEffect(entry, place) };
    case 'step_error': {
      const error = asSqlError(entry['error'], at(place, 'error'));
      return { type: 'failed', step: readUint32(entry, 'step', place), error };
    }
    default:
      throw wrong(at(place, 'type'), 'row, step_begin, step_end, step_error or error');
  }
}

function decodeResult(fields: Fields, place: Place): StatementResult {
  const list = fields['rows'];
  const rowsPlace = at(place, 'rows');
  if (!Array.isArray(list)) throw wrong(rowsPlace, 'an array', list);
  const rows = list.map((row: unknown, index) => decodeRow(row, at(rowsPlace, index)));
  return { columns: decodeColumns(fields, place), rows, ...decodeEffect(fields, place) };
}

function decodeRow(row: unknown, place: Place): Row {
  if (!Array.isArray(row)) throw wrong(place, 'an array', row);
  return row.map((value: unknown, index) => {
    const valuePlace = at(place, index);
    return decodeValue(asFields(value, valuePlace), valuePlace);
  });
}

function decodeColumns(fields: Fields, place: Place): Column[] {
  return readList(fields, 'cols', place, limits.columnsMax, (member, memberPlace) => ({
    name: readOptionalText(member, 'name', memberPlace, limits.messageBytesMax) ?? '',
    declaredType: readOptionalText(member, 'decltype', memberPlace, limits.messageBytesMax) ?? null,
  }));
}

function decodeEffect(fields: Fields, place: Place): Effect {
  const rowid = readOptionalText(fields, 'last_insert_rowid', place, limits.messageBytesMax) ?? '0';
  if (!/^-?\d{1,19}$/.test(rowid)) throw wrong(at(place, 'last_insert_rowid'), 'an integer as a string of digits');
  const affected = fields['affected_row_count'];
  if (typeof affected !== 'number' || !Number.isInteger(affected))
    throw wrong(at(place, 'affected_row_count'), 'an integer', affected);
  return { affectedRows: BigInt(affected), lastInsertRowid: BigInt(rowid) };
}

function decodeAnswered(message: Fields): Answered {
  return {
    requestId: readInt32(message, 'request_id', undefined),
    isInTransaction: readOptionalFlag(message, 'in_transaction', undefined, false),
  };
}

function readError(message: Fields): WireError {
  return decodeError(readFields(message, 'error', undefined), at(undefined, 'error'));
}

function readStepList(fields: Fields, key: string, steps: number): readonly unknown[] {
  const list = fields[key];
  if (!Array.isArray(list) || list.length !== steps)
    throw wrong(at(resultPlace, key), `an array with a member for each of ${steps} steps`);
  return list;
}

/** A step fails by what SQLite says, and only by that. */
function asSqlError(value: unknown, place: Place): SqlError {
  const error = toError(decodeError(asFields(value, place), place));
  if (!(error instanceof SqlError)) throw wrong(at(place, 'result'), "SQLite's result code");
  return error;
}
