import { BatonError } from '@batondb/core/errors';
import { askServer, readAnswer, type ServerAccess, type ServerPlace } from '@batondb/service/client';
import { formatEndpoint, parseEndpoint } from '@batondb/service/endpoint';
import type { SyncStatus } from '../status.ts';
import { operationsLimits } from './limits.ts';

// How a replication that runs is asked.

/** Where a replication tells of itself when nothing else was said. */
export const defaultOperations = '127.0.0.1:6481';

/** Something that a replication is told to do. */
export type Order = { readonly kind: 'pause' | 'resume' } | { readonly kind: 'resync'; readonly table: string };

/** A loopback answers at once, and a person waits. */
const silenceMs = 10_000;
const hint = 'write http://HOST:PORT, https://HOST:PORT or unix:PATH';

/** Reads the address of a replication's pages. Throws USAGE. */
export function parseOperations(text: string): ServerPlace {
  const { endpoint, path } = parseEndpoint(text, hint);
  if (path !== '' && path !== '/') throw new BatonError('USAGE', `${text} has something after the port`, { hint });
  return {
    endpoint,
    name: formatEndpoint(endpoint, 'http'),
    hints: {
      refused: 'look whether baton sync runs, and at its --listen',
      broken: 'look at the address: one with a certificate is reached by https://, one without by http://',
      untrusted: 'give the certificate of the authority that signed it: --ca',
      foreign: 'look whether this is the address of a baton sync',
    },
  };
}

/** What a replication says of itself. Throws UNREACHABLE, ACCESS_DENIED, PROTOCOL. */
export async function fetchSyncStatus(
  place: ServerPlace,
  access: ServerAccess,
  signal: AbortSignal,
): Promise<SyncStatus> {
  const answer = await askServer(place, { method: 'GET', path: '/status', silenceMs }, access, signal);
  return decodeStatus(place, await readAnswer(answer, place, operationsLimits.answerBytesMax));
}

/** Gives an order, and resolves with the status after it. Throws the same, and NOT_FOUND or UNAVAILABLE for a resync. */
export async function orderSync(
  place: ServerPlace,
  order: Order,
  access: ServerAccess,
  signal: AbortSignal,
): Promise<SyncStatus> {
  const query = order.kind === 'resync' ? `?table=${encodeURIComponent(order.table)}` : '';
  const headers = { 'content-type': 'application/json' };
  const request = { method: 'POST', path: `/${order.kind}${query}`, headers, silenceMs } as const;
  const answer = await askServer(place, request, access, signal);
  return decodeStatus(place, await readAnswer(answer, place, operationsLimits.answerBytesMax));
}

/** What every release has in its status is looked at; the rest is what it says. */
function decodeStatus({ name, hints }: ServerPlace, text: string): SyncStatus {
  try {
    const status = JSON.parse(text) as Partial<SyncStatus> | null;
    if (typeof status?.phase === 'string' && Array.isArray(status.tables) && typeof status.counts === 'object')
      return status as SyncStatus;
  } catch {
    // Not JSON: the same as JSON of something else.
  }
  throw new BatonError('PROTOCOL', `${name} does not answer as a replication does`, { hint: hints.foreign });
}
