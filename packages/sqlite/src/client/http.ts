import { type IncomingMessage, request as plainRequest } from 'node:http';
import { type RequestOptions, request as secureRequest } from 'node:https';
import { pipeline } from 'node:stream/promises';
import { BatonError } from '@batondb/core/errors';
import { parseMessage } from '../hrana/json.ts';
import { limits } from './limits.ts';
import { formatLocation, type Location } from './location.ts';
import { readRefusal, type ServerAccess, toConnectError } from './reach.ts';

// Plain requests to a server: what it can be asked beside SQL.

/** A request. Its path is one of the server, whatever database the location names. */
export type ServerRequest = {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as it is read. */
  readonly body?: AsyncIterable<Uint8Array>;
};

/**
 * Sends a request and resolves with the answer once its head has come; its body is the caller's to read. Throws UNREACHABLE, NOT_TRUSTED, or what
 * the server refused it with.
 */
export async function ask(
  location: Location,
  { method, path, headers = {}, body }: ServerRequest,
  { token, ca }: ServerAccess,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const { endpoint } = location;
  const options: RequestOptions = {
    ...(endpoint.kind === 'unix' ? { socketPath: endpoint.path } : { host: endpoint.host, port: endpoint.port }),
    ...{ method, path, signal },
    ...(ca === undefined ? {} : { ca }),
    headers: { ...headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
  };
  const isSecure = endpoint.kind === 'tcp' && endpoint.isSecure;
  const outgoing = isSecure ? secureRequest(options) : plainRequest(options);
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  outgoing.once('response', resolve);
  outgoing.on('error', (error) => reject(signal.aborted ? signal.reason : toConnectError(error, location)));
  if (body === undefined) outgoing.end();
  // What breaks it is told by the request's own error, or by an answer that came before its end.
  else pipeline(body, outgoing).catch((error: unknown) => reject(error as Error));
  const response = await promise;
  const { statusCode = 0 } = response;
  if (statusCode >= 200 && statusCode < 300) return response;
  throw await readRefusal(response, location);
}

/** What a server says of itself and its databases at /status. */
export async function fetchStatus(
  location: Location,
  access: ServerAccess,
  signal: AbortSignal,
): Promise<Readonly<Record<string, unknown>>> {
  return await readJson(await ask(location, { method: 'GET', path: '/status' }, access, signal), location);
}

/** The body of an answer, which is one JSON object. Throws PROTOCOL, LIMIT, CONNECTION_LOST. */
export async function readJson(
  response: IncomingMessage,
  location: Location,
): Promise<Readonly<Record<string, unknown>>> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      bytes += chunk.byteLength;
      if (bytes > limits.messageBytesMax)
        throw new BatonError(
          'LIMIT',
          `${formatLocation(location)} answers with more than ${limits.messageBytesMax} bytes`,
        );
      chunks.push(chunk);
    }
  } catch (cause) {
    if (cause instanceof BatonError) throw cause;
    throw new BatonError('CONNECTION_LOST', `the connection to ${formatLocation(location)} broke`, {
      cause,
      retryable: true,
    });
  }
  return parseMessage(Buffer.concat(chunks).toString());
}
