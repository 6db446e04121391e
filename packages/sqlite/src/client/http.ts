import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import {
  askServer,
  beginRequest,
  readAnswer,
  readRefusal,
  type ServerAccess,
  type ServerRequest,
} from '@batondb/service/client';
import { parseMessage } from '../hrana/json.ts';
import { limits } from './limits.ts';
import type { Location } from './location.ts';
import { placeOf } from './reach.ts';

// Plain requests to a server: what it can be asked beside SQL.

/**
 * Sends a request and resolves with the answer once its head has come. Its path is one of the server, whatever database the location names. Throws
 * as `askServer` does.
 */
export function ask(
  location: Location,
  request: ServerRequest,
  access: ServerAccess,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  return askServer(placeOf(location), request, access, signal);
}

/** Asks a server for a connection of another protocol, and resolves to that. Throws as `ask` does. */
export async function askForUpgrade(
  location: Location,
  { protocol, ...request }: ServerRequest & { readonly protocol: string },
  access: ServerAccess,
  signal: AbortSignal,
): Promise<Duplex> {
  const place = placeOf(location);
  const headers = { ...request.headers, connection: 'Upgrade', upgrade: protocol };
  const { outgoing, failed } = beginRequest(place, { ...request, headers }, access, signal);
  const answered = Promise.withResolvers<Duplex>();
  outgoing.once('upgrade', (_response, socket, head) => {
    socket.setTimeout(0);
    socket.setNoDelay(true);
    if (head.length > 0) socket.unshift(head);
    answered.resolve(socket);
  });
  outgoing.once('response', (response) => {
    readRefusal(response, place).then(answered.reject, answered.reject);
  });
  outgoing.end();
  return await Promise.race([answered.promise, failed]);
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
  return parseMessage(await readAnswer(response, placeOf(location), limits.messageBytesMax));
}
