import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { Refusal } from '@batondb/service/refusal';
import type { Grant } from '@batondb/service/tokens/gate';
import type { CallOptions } from '../databases.ts';
import { decodeCallOptions } from '../hrana/call-options.ts';
import type { Fields } from '../hrana/fields.ts';
import {
  decodeCursorBody,
  decodePipeline,
  decodePipelineRequest,
  encodeCursorHead,
  encodeFailed,
  encodeOk,
  encodePipeline,
  type UndecodedRequest,
} from '../hrana/pipeline.ts';
import { encodeDone, encodeEntries, encodeErrorEntry } from '../hrana/results.ts';
import type { HranaVersion } from '../hrana/versions.ts';
import type { HttpStream, HttpStreams } from './http-streams.ts';
import { toWireError } from './refusal.ts';
import { answerSqlRequest } from './stream.ts';

// Hrana over HTTP: pipelines, which are answered as a whole, and cursors, whose answer is written while it is read.

/** A request for a stream, from the HTTP side of it. */
export type StreamCall = {
  readonly database: string;
  readonly grant: Grant;
  readonly options: CallOptions;
  readonly body: Fields;
  readonly response: ServerResponse;
  /** Told of each error that is the server's own fault, before the client gets a text without details. */
  readonly report: (error: unknown) => void;
};

/** An answer to be sent, and the position after the last write in it. */
export type Answer = { readonly text: string; readonly position: string | undefined };

/** Answers all requests of a pipeline in order, also after some that failed. A client that goes away ends its stream. */
export async function answerPipeline(streams: HttpStreams, version: HranaVersion, call: StreamCall): Promise<Answer> {
  const { baton, requests } = decodePipeline(call.body);
  const held = await streams.take(baton, call.database, call.grant);
  const before = held.stream.position;
  const leave = (): void => {
    const reason = new Refusal('STREAM_EXPIRED', 'the stream has ended: its client went away');
    // An error of closing is told where the stream is given up, below.
    if (!call.response.writableFinished) held.stream.close(reason).catch(() => undefined);
  };
  call.response.once('close', leave);
  try {
    const results: string[] = [];
    for (const request of requests) results.push(await answerOne(held, request, version, call));
    const { position } = held.stream;
    return {
      text: encodePipeline(await streams.keep(held), results),
      position: position === before ? undefined : position,
    };
  } catch (error) {
    await streams.end(held);
    throw error;
  } finally {
    call.response.off('close', leave);
  }
}

/** Writes the answer to a batch while it runs. Its head has been sent by the time something can go wrong. */
export async function answerCursor(streams: HttpStreams, call: StreamCall): Promise<void> {
  const { baton, decodeSteps } = decodeCursorBody(call.body);
  const held = await streams.take(baton, call.database, call.grant);
  const { promise: isFree, resolve: free } = Promise.withResolvers<void>();
  try {
    const steps = decodeSteps((sqlId) => held.storedSql.find(sqlId));
    const { response } = call;
    response.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' });
    await write(response, encodeCursorHead(await streams.keep(held, isFree)));
    try {
      const options = decodeCallOptions(call.body, undefined, call.options);
      for await (const events of held.stream.cursor(steps, options)) {
        const lines = events.flatMap(encodeEntries).map((entry) => `${entry}\n`);
        const isTaken = await write(response, lines.join(''));
        if (!isTaken) break;
      }
    } catch (error) {
      call.report(error);
      await write(response, `${encodeErrorEntry(toWireError(error))}\n`);
    }
    response.end();
  } finally {
    free();
  }
}

async function answerOne(
  held: HttpStream,
  undecoded: UndecodedRequest,
  version: HranaVersion,
  call: StreamCall,
): Promise<string> {
  try {
    const request = decodePipelineRequest(undecoded, version, (sqlId) => held.storedSql.find(sqlId));
    if (request.type === 'close') {
      await held.stream.close();
      return encodeOk(encodeDone('close'));
    }
    if (request.type === 'store_sql' || request.type === 'close_sql')
      return encodeOk(answerSqlRequest(request, held.storedSql));
    const options = decodeCallOptions(undecoded.fields, undecoded.place, call.options);
    return encodeOk(await held.stream.answer(request, options));
  } catch (error) {
    call.report(error);
    return encodeFailed(toWireError(error));
  }
}

/** Resolves when the client has room for more; false when it is gone. */
async function write(response: ServerResponse, text: string): Promise<boolean> {
  if (response.destroyed) return false;
  if (response.write(text)) return true;
  const gone = new AbortController();
  const leave = (): void => gone.abort();
  response.once('close', leave);
  try {
    await once(response, 'drain', { signal: gone.signal });
    return true;
  } catch {
    return false;
  } finally {
    response.off('close', leave);
  }
}
