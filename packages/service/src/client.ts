import { type ClientRequest, type IncomingMessage, request as plainRequest } from 'node:http';
import { type RequestOptions, request as secureRequest } from 'node:https';
import { pipeline } from 'node:stream/promises';
import { BatonError } from '@batondb/core/errors';
import type { Endpoint } from './endpoint.ts';
import { fromWireError, type WireError } from './refusal.ts';

// Plain requests to a server: how they are begun, and what went wrong before there was an answer.

/** A server that is asked, as its door calls it. */
export type ServerPlace = {
  readonly endpoint: Endpoint;
  /** Its address for people. */
  readonly name: string;
  readonly hints: {
    /** When nobody listens there. */
    readonly refused: string;
    /** When something else is wrong with the connection. */
    readonly broken: string;
    /** When its certificate is not trusted. */
    readonly untrusted: string;
    /** When something else answers. */
    readonly foreign: string;
  };
  /** Reads the JSON of a refusal; may throw. Default: as `fromWireError` reads it. */
  readonly decodeRefusal?: (text: string) => BatonError;
};

/** What is said to a server besides its address. */
export type ServerAccess = {
  readonly token?: string;
  /** Certificates to trust in place of the system's, PEM. */
  readonly ca?: string;
};

/** A request. */
export type ServerRequest = {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as it is read. */
  readonly body?: AsyncIterable<Uint8Array>;
  /** A server that says nothing for so long is given up. Default: it is waited for. */
  readonly silenceMs?: number;
};

/** A refusal is a line of JSON. */
const refusalBytesMax = 65_536;

/** A request whose head is not sent yet, and what it fails with: UNREACHABLE, NOT_TRUSTED, or the signal's reason. */
export function beginRequest(
  place: ServerPlace,
  { method, path, headers = {}, silenceMs }: ServerRequest,
  { token, ca }: ServerAccess,
  signal: AbortSignal,
): { readonly outgoing: ClientRequest; readonly failed: Promise<never> } {
  const { endpoint } = place;
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
  outgoing.on('error', (error) => reject(signal.aborted ? signal.reason : toConnectError(error, place)));
  // Nobody waits for it any more once there is an answer.
  failed.catch(() => undefined);
  return { outgoing, failed };
}

/** Codes of OpenSSL's verification (X509_verify_cert_error_string), as Node names them, and of Node's own check of the name. */
const certificateCodes =
  /^(?:ERR_TLS_CERT_|CERT_|SELF_SIGNED_CERT|DEPTH_ZERO_SELF_SIGNED_CERT|UNABLE_TO_(?:GET_ISSUER|VERIFY_LEAF))/;

/** What a failed connection is to a person. */
export function toConnectError(error: Error, { name, hints }: ServerPlace): BatonError {
  const { code = '' } = error as NodeJS.ErrnoException;
  if (certificateCodes.test(code)) {
    return new BatonError('NOT_TRUSTED', `the certificate of ${name} is not to be trusted: ${error.message}`, {
      cause: error,
      hint: hints.untrusted,
    });
  }
  const isRefused = code === 'ECONNREFUSED' || code === 'ENOENT';
  return new BatonError('UNREACHABLE', `no server answers at ${name}: ${error.message || code}`, {
    cause: error,
    retryable: true,
    hint: isRefused ? hints.refused : hints.broken,
  });
}

/** The error that an answer of HTTP other than the one that was hoped for stands for. */
export async function readRefusal(
  response: IncomingMessage,
  { name, hints, decodeRefusal: decode = decodeRefusal }: ServerPlace,
): Promise<BatonError> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength;
    if (bytes > refusalBytesMax) break;
    chunks.push(chunk);
  }
  try {
    return decode(Buffer.concat(chunks).toString());
  } catch {
    const { statusCode = 0 } = response;
    const what = `${name} answered with HTTP ${statusCode}`;
    // So says what stands before a server that is not there.
    if (statusCode >= 500) return new BatonError('UNREACHABLE', what, { retryable: true });
    return new BatonError('PROTOCOL', what, { hint: hints.foreign });
  }
}

function decodeRefusal(text: string): BatonError {
  const { message, code, retryable } = JSON.parse(text) as Partial<WireError>;
  if (typeof message !== 'string' || typeof code !== 'string') throw new TypeError('the answer is no error');
  return fromWireError({ message, code, retryable: retryable === true });
}

/** The whole body of an answer. Throws LIMIT and CONNECTION_LOST. */
export async function readAnswer(response: IncomingMessage, { name }: ServerPlace, bytesMax: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      bytes += chunk.byteLength;
      if (bytes > bytesMax) throw new BatonError('LIMIT', `${name} answers with more than ${bytesMax} bytes`);
      chunks.push(chunk);
    }
  } catch (cause) {
    if (cause instanceof BatonError) throw cause;
    throw new BatonError('CONNECTION_LOST', `the connection to ${name} broke`, { cause, retryable: true });
  }
  return Buffer.concat(chunks).toString();
}

/**
 * Sends a request and resolves with the answer once its head has come; its body is the caller's to read. Throws UNREACHABLE, NOT_TRUSTED, or what
 * the server refused it with; aborted, the signal's reason.
 */
export async function askServer(
  place: ServerPlace,
  request: ServerRequest,
  access: ServerAccess,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const { outgoing, failed } = beginRequest(place, request, access, signal);
  const answered = Promise.withResolvers<IncomingMessage>();
  outgoing.once('response', answered.resolve);
  if (request.body === undefined) outgoing.end();
  // What breaks it is told by the request's own error, or by an answer that came before its end.
  else pipeline(request.body, outgoing).catch((error: unknown) => answered.reject(error as Error));
  const response = await Promise.race([answered.promise, failed]);
  const { statusCode = 0 } = response;
  if (statusCode >= 200 && statusCode < 300) return response;
  throw await readRefusal(response, place);
}
