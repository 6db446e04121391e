import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  bearerToken,
  sendJson,
  sendPage,
  sendReadiness,
  sendRefusal,
  sendText,
  watchArrival,
  watchStall,
} from '@batondb/service/answer';
import { checkSender, checkType } from '@batondb/service/guard';
import { loadPage } from '@batondb/service/page';
import { isOurFault, statusOf, toWireError } from '@batondb/service/refusal';
import { requireRight } from '@batondb/service/tokens/gate';
import { type WebOptions, WebServer } from '@batondb/service/web-server';
import { Registry } from 'prom-client';
import type { Replication } from '../status.ts';
import { operationsLimits } from './limits.ts';
import { registerMetrics } from './metrics.ts';
import { parseRoute, type Route } from './routes.ts';

// What an operator asks of a replication that runs.

/** Where and for whom the operator's pages are. */
export type OperationsOptions = Omit<WebOptions, 'settings' | 'tokenCommand'> & {
  /** Names besides `localhost` and the loopback addresses that clients without a token may know this machine by. Default: none. */
  readonly hosts?: readonly string[];
};

/** Pages that are served. Disposing ends them. */
export interface OperationsServer extends AsyncDisposable {
  /** `http://127.0.0.1:6481`, `https://…`, `unix:/run/x`. */
  readonly url: string;
  /** Throws USAGE and keeps the old certificate when the new one is not good. */
  reloadCertificate(): void;
}

const page = loadPage('baton sync', {
  content: new URL('../../assets/content.html', import.meta.url),
  show: new URL('../../assets/show.js', import.meta.url),
});

/** Throws USAGE when others could reach it unprotected, and PORT_TAKEN. */
export async function startOperations(replication: Replication, options: OperationsOptions): Promise<OperationsServer> {
  const registry = new Registry();
  registerMetrics(replication, registry);
  const { arrivalMsMax, connectionsMax } = operationsLimits;
  const settings = { arrivalMsMax, connectionsMax, hosts: options.hosts ?? [], origins: [] };
  const web: WebServer = new WebServer(
    { ...options, settings, tokenCommand: 'baton sync token create' },
    { request: (request, response) => answer({ web, replication, registry }, request, response, options.onFault) },
  );
  await web.start();
  return {
    url: web.urlOf('http'),
    reloadCertificate: () => web.reloadCertificate(),
    [Symbol.asyncDispose]: () => web.close(),
  };
}

type Place = { readonly web: WebServer; readonly replication: Replication; readonly registry: Registry };

async function answer(
  place: Place,
  request: IncomingMessage,
  response: ServerResponse,
  onFault: (error: unknown) => void,
): Promise<void> {
  watchStall(response, operationsLimits.stallMsMax);
  watchArrival(request, response, operationsLimits.arrivalMsMax);
  try {
    await answerRoute(place, parseRoute(request.method ?? '', request.url ?? ''), request, response);
  } catch (error) {
    if (isOurFault(error)) onFault(error);
    sendRefusal(response, statusOf(error), JSON.stringify(toWireError(error)));
  }
}

async function answerRoute(
  { web, replication, registry }: Place,
  route: Route,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  // Open to everybody: what asks here is a supervisor or a load balancer, and learns one word.
  if (route.type === 'health') return sendText(response, 200, 'text/plain', 'ok\n');
  if (route.type === 'ready') return sendReadiness(response, unreadiness(replication));
  checkSender(request.headers, web.guard);
  if (route.type === 'page') return sendPage(response, page);
  const grant = web.gate.admit(bearerToken(request.headers.authorization));
  const isAsking = route.type === 'status' || route.type === 'metrics';
  requireRight(grant, isAsking ? 'read' : 'write');
  if (route.type === 'metrics') return sendText(response, 200, registry.contentType, await registry.metrics());
  if (!isAsking) {
    checkType(request.headers, 'application/json');
    change(replication, route);
  }
  sendJson(response, replication.status());
}

function change(replication: Replication, route: Route): void {
  if (route.type === 'pause') replication.pause();
  if (route.type === 'resume') replication.resume();
  if (route.type === 'resync') replication.resync(route.table);
}

/** Why the sink is not being kept up to date; undefined: it is. */
function unreadiness(replication: Replication): string | undefined {
  const { phase } = replication.status();
  return phase === 'streaming' ? undefined : phase;
}
