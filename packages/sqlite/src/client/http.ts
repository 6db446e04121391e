import { type ClientRequest, type IncomingMessage, request as plainRequest } from 'node:http';
import { type RequestOptions, request as secureRequest } from 'node:https';
import type { Duplex } from 'node:stream';
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
  /** A server that says nothing for so long is given up. Default: it is waited for. */
  readonly silenceMs?: number;
};

/**
 * Sends a request and resolves with the answer once its head has come; its body is the caller's to read. Throws UNREACHABLE, NOT_TRUSTED, or what
 * the server refused it with; aborted, the signal's reason.
 */
export async function ask(
  location: Location,
  request: ServerRequest,
  access: ServerAccess,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const { outgoing, failed } = begin(location, request, access, signal);
  const answered = Promise.withResolvers<IncomingMessage>();
  outgoing.once('response', answered.resolve);
  if (request.body === undefined) outgoing.end();
  // What breaks it is told by the request's own error, or by an answer that came before its end.
  else pipeline(request.body, outgoing).catch((error: unknown) => answered.reject(error as Error));
  const response = await Promise.race([answered.promise, failed]);
  const { statusCode = 0 } = response;
  if (statusCode >= 200 && statusCode < 300) return response;
  throw await readRefusal(response, location);
}

/** Asks a server for a connection of another protocol, and resolves to that. Throws as `ask` does. */
export async function askForUpgrade(
  location: Location,
  { protocol, ...request }: ServerRequest & { readonly protocol: string },
  access: ServerAccess,
  signal: AbortSignal,
): Promise<Duplex> {
  const headers = { ...request.headers, connection: 'Upgrade', upgrade: protocol };
  const { outgoing, failed } = begin(location, { ...request, headers }, access, signal);
  const answered = Promise.withResolvers<Duplex>();
  outgoing.once('upgrade', (_response, socket, head) => {
    socket.setTimeout(0);
    socket.setNoDelay(true);
    if (head.length > 0) socket.unshift(head);
    answered.resolve(socket);
  });
  outgoing.once('response', (response) => {
    readRefusal(response, location).then(answered.reject, answered.reject);
  });
  outgoing.end();
  return await Promise.race([answered.promise, failed]);
}

/** A request whose head is not sent yet, and what it fails with. */
function begin(
  location: Location,
  { method, path, headers = {}, silenceMs }: ServerRequest,
  { token, ca }: ServerAccess,
  signal: AbortSignal,
): { readonly outgoing: ClientRequest; readonly failed: Promise<never> } {
  const { endpoint } = location;
  const options: RequestOptions = {
    ...(endpoint.kind === 'unix' ? { socketPath: endpoint.path } : { host: endpoint.host, port: endpoint.port }),
    ...{ method, path, signal, agent: false },
    ...(silenceMs === undefined ? {} : { timeout: silenceMs }),
    ...(ca === undefined ? {} : { ca }),
    headers: { ...headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
  };
  const isSecure = endpoint.kind === 'tcp' && endpoint.isSecure;
  const outgoing = isSecure ? secureRequest(options) : plainRequest(options);
  outgoing.once('timeout', () => outgoing.destroy(new Error(`no answer in ${silenceMs} ms`)));
  const { promise: failed, reject } = Promise.withResolvers<never>();
  outgoing.on('error', (error) => reject(signal.aborted ? signal.reason : toConnectError(error, location)));
  // Nobody waits for it any more once there is an answer.
  failed.catch(() => undefined);
  return { outgoing, failed };
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
