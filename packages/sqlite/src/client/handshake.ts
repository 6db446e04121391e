import type { IncomingMessage } from 'node:http';
import { connect as connectSocket } from 'node:net';
import { BatonError } from '@batondb/core/errors';
import { type ClientOptions, WebSocket } from 'ws';
import { parseMessage } from '../hrana/json.ts';
import { limits } from './limits.ts';
import { formatLocation, type Location } from './location.ts';
import { decodeError, toError } from './remote-error.ts';

/** What is said to a server besides its address. */
export type ServerAccess = {
  readonly token?: string;
  /** Certificates to trust in place of the system's, PEM. */
  readonly ca?: string;
};

/** A refusal is a line of JSON. */
const refusalBytesMax = 65_536;

/**
 * Opens a WebSocket of Hrana 3. Throws UNREACHABLE, NOT_TRUSTED for a certificate that is not to be trusted, or what the server refused
 * it with.
 */
export async function openSocket(location: Location, { ca }: ServerAccess, signal: AbortSignal): Promise<WebSocket> {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<WebSocket>();
  const socket = new WebSocket(targetOf(location), ['hrana3'], socketOptions(location, ca));
  const abort = (): void => reject(signal.reason as Error);
  signal.addEventListener('abort', abort, { once: true });
  socket.once('open', () => resolve(socket));
  // Later ones are told by 'close', too.
  socket.on('error', (error) => reject(toConnectError(error, location)));
  socket.once('unexpected-response', (_, response) => {
    readRefusal(response, location).then(reject, reject);
  });
  try {
    return await promise;
  } catch (error) {
    socket.terminate();
    throw error;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

function targetOf({ endpoint, database }: Location): string {
  const path = `/db/${encodeURIComponent(database)}`;
  if (endpoint.kind === 'unix') return `ws://localhost${path}`;
  const host = endpoint.host.includes(':') ? `[${endpoint.host}]` : endpoint.host;
  return `${endpoint.isSecure ? 'wss' : 'ws'}://${host}:${endpoint.port}${path}`;
}

function socketOptions({ endpoint }: Location, ca: string | undefined): ClientOptions {
  return {
    handshakeTimeout: limits.helloMsMax,
    maxPayload: limits.messageBytesMax,
    perMessageDeflate: false,
    ...(ca === undefined ? {} : { ca }),
    ...(endpoint.kind === 'unix' ? { createConnection: () => connectSocket({ path: endpoint.path }) } : {}),
  };
}

/** What a server that speaks HTTP answered in place of the handshake. */
async function readRefusal(response: IncomingMessage, location: Location): Promise<BatonError> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength;
    if (bytes > refusalBytesMax) break;
    chunks.push(chunk);
  }
  try {
    return toError(decodeError(parseMessage(Buffer.concat(chunks).toString()), undefined));
  } catch {
    const what = `${formatLocation(location)} answered with HTTP ${response.statusCode ?? 0}`;
    return new BatonError('PROTOCOL', what, { hint: 'look whether this is the address of a baton sqlite server' });
  }
}

/** Codes of OpenSSL's verification (X509_verify_cert_error_string), as Node names them, and of Node's own check of the name. */
const certificateCodes =
  /^(?:ERR_TLS_CERT_|CERT_|SELF_SIGNED_CERT|DEPTH_ZERO_SELF_SIGNED_CERT|UNABLE_TO_(?:GET_ISSUER|VERIFY_LEAF))/;

function toConnectError(error: Error, location: Location): BatonError {
  const { code = '' } = error as NodeJS.ErrnoException;
  const where = formatLocation(location);
  if (certificateCodes.test(code)) {
    return new BatonError('NOT_TRUSTED', `the certificate of ${where} is not to be trusted: ${error.message}`, {
      cause: error,
      hint: 'give the file of the authority that signed it with --ca',
    });
  }
  const isRefused = code === 'ECONNREFUSED' || code === 'ENOENT';
  return new BatonError('UNREACHABLE', `no server answers at ${where}: ${error.message || code}`, {
    cause: error,
    retryable: true,
    hint: isRefused
      ? 'start one with baton sqlite serve, or look at the address'
      : 'look at the address: a server with a certificate is reached by wss://, one without by ws://',
  });
}
