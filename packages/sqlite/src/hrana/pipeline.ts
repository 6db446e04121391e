import type { Step } from '../databases.ts';
import { asFields, at, type Fields, type Place, readFields, readList, readOptionalText, wrong } from './fields.ts';
import { limits } from './limits.ts';
import { encodeError, type WireError } from './results.ts';
import { decodeBatch, type FindSql } from './statements.ts';
import { decodeStreamRequest, type SessionRequest, type SqlRequest } from './stream-requests.ts';
import type { HranaVersion } from './versions.ts';

// Bodies of Hrana over HTTP: Hrana 3, "Execute a pipeline of requests" and "Execute a batch using a cursor".

/** A request of a pipeline. */
export type PipelineRequest = SessionRequest | SqlRequest | { readonly type: 'close' };

/**
 * A pipeline. Its requests are read one by one, when the ones before are answered: a statement may name a text
 * that an earlier request stores.
 */
export type Pipeline = {
  /** The stream it is for; undefined asks for a new one. */
  readonly baton: string | undefined;
  readonly requests: readonly UndecodedRequest[];
};

/** A request of a pipeline that is there, but was not looked into yet. */
export type UndecodedRequest = { readonly fields: Fields; readonly place: Place };

/** The outside of a pipeline's body. */
export function decodePipeline(body: Fields): Pipeline {
  return {
    baton: readBaton(body),
    requests: readList(body, 'requests', undefined, limits.requestsMax, (fields, place) => ({ fields, place })),
  };
}

/** One request of a pipeline. Throws PROTOCOL for a type that this version does not have. */
export function decodePipelineRequest(
  { fields, place }: UndecodedRequest,
  version: HranaVersion,
  findSql: FindSql,
): PipelineRequest {
  if (fields['type'] === 'close') return { type: 'close' };
  const request = decodeStreamRequest(fields, place, version, findSql);
  if (request === undefined) throw wrong(at(place, 'type'), `a request of Hrana ${version} over HTTP`);
  return request;
}

/** What asks for a cursor: the stream, and the batch, which may name texts that are stored in it. */
export type CursorBody = {
  readonly baton: string | undefined;
  readonly decodeSteps: (findSql: FindSql) => Step[];
};

/** The body of a request for a cursor. */
export function decodeCursorBody(body: Fields): CursorBody {
  const batch = readFields(body, 'batch', undefined);
  const place = at(undefined, 'batch');
  return { baton: readBaton(body), decodeSteps: (findSql) => decodeBatch(asFields(batch, place), place, findSql) };
}

/** The answer to a pipeline. `results` are texts of `encodeOk` and `encodeFailed`. */
export function encodePipeline(baton: string | undefined, results: readonly string[]): string {
  return `{"baton":${encodeBaton(baton)},"base_url":null,"results":[${results.join(',')}]}`;
}

/** The first line of a cursor. */
export function encodeCursorHead(baton: string | undefined): string {
  return `{"baton":${encodeBaton(baton)},"base_url":null}\n`;
}

/** The result of a request that was answered. */
export function encodeOk(response: string): string {
  return `{"type":"ok","response":${response}}`;
}

/** The result of a request that failed. */
export function encodeFailed(error: WireError): string {
  return `{"type":"error","error":${encodeError(error)}}`;
}

function readBaton(body: Fields): string | undefined {
  return readOptionalText(body, 'baton', undefined, limits.credentialCharactersMax);
}

function encodeBaton(baton: string | undefined): string {
  return baton === undefined ? 'null' : JSON.stringify(baton);
}
