import { connect as connectSocket } from 'node:net';
import { readRefusal, type ServerAccess, toConnectError } from '@batondb/service/client';
import { formatEndpoint } from '@batondb/service/endpoint';
import { type ClientOptions, WebSocket } from 'ws';
import { limits } from './limits.ts';
import type { Location } from './location.ts';
import { placeOf } from './reach.ts';

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
  socket.on('error', (error) => reject(toConnectError(error, placeOf(location))));
  socket.once('unexpected-response', (_, response) => {
    readRefusal(response, placeOf(location)).then(reject, reject);
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
  return `${formatEndpoint(endpoint, 'ws')}${path}`;
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
