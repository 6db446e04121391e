import type { CallOptions, Step } from '../databases.ts';
import { decodeCallOptions } from './call-options.ts';
import { at, type Fields, type Place, readFields, readInt32, readOptionalText, readUint32, wrong } from './fields.ts';
import { limits } from './limits.ts';
import { encodeError, type WireError } from './results.ts';
import { decodeBatch, type FindSql } from './statements.ts';
import { decodeStreamRequest, type SessionRequest, type SqlRequest } from './stream-requests.ts';
import type { HranaVersion } from './versions.ts';

// Messages of Hrana over WebSocket: Hrana 3, "Messages" and "Requests".

/** A message whose request was not looked into yet: what is wrong there is an answer, and ends no connection. */
export type ClientMessage =
  | { readonly type: 'hello'; readonly token: string | undefined }
  | { readonly type: 'request'; readonly requestId: number; readonly request: Fields };

/** A request, with the number of the stream or cursor that it is for. */
export type SocketRequest =
  | SqlRequest
  | { readonly type: 'open_stream'; readonly streamId: number }
  | { readonly type: 'close_stream'; readonly streamId: number }
  /** Not of Hrana: ends what was asked of a stream so far, as far as it is not answered. */
  | { readonly type: 'interrupt'; readonly streamId: number }
  | {
      readonly type: 'session';
      readonly streamId: number;
      readonly request: SessionRequest;
      readonly options: CallOptions;
    }
  | {
      readonly type: 'open_cursor';
      readonly streamId: number;
      readonly cursorId: number;
      readonly steps: readonly Step[];
      readonly options: CallOptions;
    }
  | { readonly type: 'fetch_cursor'; readonly cursorId: number; readonly entriesMax: number }
  | { readonly type: 'close_cursor'; readonly cursorId: number };

const place: Place = at(undefined, 'request');

/** Every type of request, so that what a client calls one becomes no name of a metric. */
const requestTypes: ReadonlySet<unknown> = new Set([
  'open_stream',
  'close_stream',
  'interrupt',
  'execute',
  'batch',
  'sequence',
  'describe',
  'get_autocommit',
  'store_sql',
  'close_sql',
  'open_cursor',
  'fetch_cursor',
  'close_cursor',
]);

/** The type of a request, or `unknown` for any that the protocol does not have. */
export function requestTypeOf(fields: Fields): string {
  const type = fields['type'];
  return requestTypes.has(type) ? String(type) : 'unknown';
}

/** The outside of a message. What it throws is a breach of the protocol, after which a connection cannot go on. */
export function decodeClientMessage(message: Fields): ClientMessage {
  switch (message['type']) {
    case 'hello':
      return { type: 'hello', token: readOptionalText(message, 'jwt', undefined, limits.credentialCharactersMax) };
    case 'request':
      return {
        type: 'request',
        requestId: readInt32(message, 'request_id', undefined),
        request: readFields(message, 'request', undefined),
      };
    default:
      throw wrong(at(undefined, 'type'), 'hello or request');
  }
}

/** The request inside of a message. Throws PROTOCOL for a type that this version does not have. */
export function decodeSocketRequest(fields: Fields, version: HranaVersion, findSql: FindSql): SocketRequest {
  const type = fields['type'];
  if (type === 'open_stream' || type === 'close_stream' || type === 'interrupt')
    return { type, streamId: readInt32(fields, 'stream_id', place) };
  const cursorRequest = version >= 3 ? decodeCursorRequest(fields, findSql) : undefined;
  if (cursorRequest !== undefined) return cursorRequest;
  const request = decodeStreamRequest(fields, place, version, findSql);
  if (request === undefined) throw wrong(at(place, 'type'), `a request of Hrana ${version} over WebSocket`);
  if (request.type === 'store_sql' || request.type === 'close_sql') return request;
  const streamId = readInt32(fields, 'stream_id', place);
  return { type: 'session', streamId, request, options: decodeCallOptions(fields, place) };
}

function decodeCursorRequest(fields: Fields, findSql: FindSql): SocketRequest | undefined {
  const type = fields['type'];
  if (type !== 'open_cursor' && type !== 'fetch_cursor' && type !== 'close_cursor') return undefined;
  const cursorId = readInt32(fields, 'cursor_id', place);
  if (type === 'close_cursor') return { type, cursorId };
  if (type === 'fetch_cursor') return { type, cursorId, entriesMax: readUint32(fields, 'max_count', place) };
  const steps = decodeBatch(readFields(fields, 'batch', place), at(place, 'batch'), findSql);
  const streamId = readInt32(fields, 'stream_id', place);
  return { type, cursorId, streamId, steps, options: decodeCallOptions(fields, place) };
}

export const helloOk = '{"type":"hello_ok"}';

export function encodeHelloError(error: WireError): string {
  return `{"type":"hello_error","error":${encodeError(error)}}`;
}

/** The answer to a request; `response` is JSON text. `isInTransaction`: the stream has an open one, which only our own clients look at. */
export function encodeResponseOk(requestId: number, response: string, isInTransaction = false): string {
  return `{"type":"response_ok","request_id":${requestId},"response":${response}${transactionField(isInTransaction)}}`;
}

export function encodeResponseError(requestId: number, error: WireError, isInTransaction = false): string {
  return `{"type":"response_error","request_id":${requestId},"error":${encodeError(error)}${transactionField(isInTransaction)}}`;
}

function transactionField(isInTransaction: boolean): string {
  return isInTransaction ? ',"in_transaction":true' : '';
}

/** The next entries of a cursor, each JSON text. `isDone`: none will follow. */
export function encodeFetched(entries: readonly string[], isDone: boolean): string {
  return `{"type":"fetch_cursor","entries":[${entries.join(',')}],"done":${isDone}}`;
}
