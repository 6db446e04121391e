import type { CallOptions, Condition, Statement, Step } from '../databases.ts';
import { encodeValue } from '../hrana/values.ts';

// What a client asks, as JSON text: Hrana 3, "Messages" and "Requests". The mirror image of hrana/client-messages.ts; there, too, text is put
// together directly.

export function encodeHello(token: string | undefined): string {
  return `{"type":"hello","jwt":${token === undefined ? 'null' : JSON.stringify(token)}}`;
}

/** A message with a request, which is JSON text. */
export function encodeMessage(requestId: number, request: string): string {
  return `{"type":"request","request_id":${requestId},"request":${request}}`;
}

/** A request that names a stream, and nothing else. `interrupt` is not of Hrana: it ends what was asked of the stream so far. */
export function encodeStreamRequest(
  type: 'open_stream' | 'close_stream' | 'get_autocommit' | 'interrupt',
  streamId: number,
): string {
  return `{"type":"${type}","stream_id":${streamId}}`;
}

export function encodeExecute(streamId: number, statement: Statement, options: CallOptions): string {
  return `{"type":"execute","stream_id":${streamId},"stmt":${encodeStatement(statement)}${encodeOptions(options)}}`;
}

export function encodeBatch(streamId: number, steps: readonly Step[], options: CallOptions): string {
  return `{"type":"batch","stream_id":${streamId},"batch":${encodeSteps(steps)}${encodeOptions(options)}}`;
}

export function encodeSequence(streamId: number, sql: string, options: CallOptions): string {
  return `{"type":"sequence","stream_id":${streamId},"sql":${JSON.stringify(sql)}${encodeOptions(options)}}`;
}

export function encodeDescribe(streamId: number, sql: string): string {
  return `{"type":"describe","stream_id":${streamId},"sql":${JSON.stringify(sql)}}`;
}

export function encodeOpenCursor(
  streamId: number,
  cursorId: number,
  steps: readonly Step[],
  options: CallOptions,
): string {
  const batch = encodeSteps(steps);
  return `{"type":"open_cursor","stream_id":${streamId},"cursor_id":${cursorId},"batch":${batch}${encodeOptions(options)}}`;
}

export function encodeFetchCursor(cursorId: number, entriesMax: number): string {
  return `{"type":"fetch_cursor","cursor_id":${cursorId},"max_count":${entriesMax}}`;
}

export function encodeCloseCursor(cursorId: number): string {
  return `{"type":"close_cursor","cursor_id":${cursorId}}`;
}

function encodeSteps(steps: readonly Step[]): string {
  const members = steps.map(({ statement, condition }) => {
    const when = condition === undefined ? '' : `"condition":${encodeCondition(condition)},`;
    return `{${when}"stmt":${encodeStatement(statement)}}`;
  });
  return `{"steps":[${members.join(',')}]}`;
}

function encodeStatement({ sql, values, namedValues, wantRows }: Statement): string {
  const args = values.length === 0 ? '' : `,"args":[${values.map(encodeValue).join(',')}]`;
  const members = namedValues.map(
    ({ name, value }) => `{"name":${JSON.stringify(name)},"value":${encodeValue(value)}}`,
  );
  const named = members.length === 0 ? '' : `,"named_args":[${members.join(',')}]`;
  return `{"sql":${JSON.stringify(sql)}${args}${named},"want_rows":${wantRows}}`;
}

function encodeCondition(condition: Condition): string {
  switch (condition.type) {
    case 'ok':
    case 'error':
      return `{"type":"${condition.type}","step":${condition.step}}`;
    case 'not':
      return `{"type":"not","cond":${encodeCondition(condition.condition)}}`;
    case 'and':
    case 'or':
      return `{"type":"${condition.type}","conds":[${condition.conditions.map(encodeCondition).join(',')}]}`;
    case 'is_autocommit':
      return '{"type":"is_autocommit"}';
    default:
      return condition satisfies never;
  }
}

function encodeOptions({ transactionKey, atLeast, level }: CallOptions): string {
  const key = transactionKey === undefined ? '' : `,"transaction_key":${JSON.stringify(transactionKey)}`;
  const position = atLeast === undefined ? '' : `,"at_least":${JSON.stringify(atLeast)}`;
  return `${key}${position}${level === undefined ? '' : `,"level":${JSON.stringify(level)}`}`;
}
