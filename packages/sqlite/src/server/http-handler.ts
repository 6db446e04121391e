import type { IncomingMessage, ServerResponse } from 'node:http';
import { BatonError } from '@batondb/core/errors';
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
import { type Grant, requireRight } from '@batondb/service/tokens/gate';
import type { CallOptions, Readiness } from '../databases.ts';
import { checkLevel, checkTransactionKey } from '../hrana/call-options.ts';
import { parseMessage } from '../hrana/json.ts';
import { limits } from '../hrana/limits.ts';
import { encodeError } from '../hrana/results.ts';
import { readBody } from './body.ts';
import type { Context } from './context.ts';
import { answerCursor, answerPipeline, type StreamCall } from './hrana-http.ts';
import { answerOperation } from './operations.ts';
import { isOurFault, statusOf, toWireError } from './refusal.ts';
import { parseRoute, type Route } from './routes.ts';

// One HTTP request: which it is, who sent it, whether they may, and its answer.

const stopping: Readiness = { isReady: false, reason: 'the server is stopping' };
const page = loadPage('baton sqlite', {
  content: new URL('../../assets/content.html', import.meta.url),
  show: new URL('../../assets/show.js', import.meta.url),
});

/** Answers a request; never throws. Every request is counted, with the code of its error if it failed. */
export async function handleRequest(
  context: Context,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const startMs = performance.now();
  let type = 'unknown';
  let outcome = 'ok';
  watchStall(response, context.settings.stallMsMax);
  // Of a file nobody knows how long it takes; who receives it looks whether it advances.
  const arrival = watchArrival(request, response, context.settings.arrivalMsMax);
  try {
    const route = parseRoute(request.method ?? '', request.url ?? '');
    type = route.type === 'operation' ? route.operation : route.type;
    if (type === 'send') clearTimeout(arrival);
    await answerRoute(context, route, request, response);
  } catch (error) {
    outcome = toWireError(error).code;
    if (isOurFault(error)) context.onFault(error);
    sendRefusal(response, statusOf(error), encodeError(toWireError(error)));
  }
  context.metrics.answered('http', type, outcome);
  context.metrics.took((performance.now() - startMs) / 1000);
}

async function answerRoute(
  context: Context,
  route: Route,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  // Open to everybody: what asks here is a supervisor or a load balancer, and learns one word.
  if (route.type === 'health') return sendText(response, 200, 'text/plain', 'ok\n');
  if (route.type === 'ready') return answerReady(context, response);
  checkSender(request.headers, context.guard());
  if (route.type === 'page') return sendPage(response, page);
  if (route.type === 'version') return sendText(response, 200, 'text/plain', 'ok\n');
  const grant = context.gate.admit(bearerToken(request.headers.authorization));
  if (route.type === 'pipeline' || route.type === 'cursor')
    return answerStreamRoute(context, route, grant, request, response);
  const gone = abortWhenGone(response);
  if (route.type === 'operation') {
    const answer = await answerOperation(context, { route, grant, request }, response, gone);
    if (answer !== undefined) sendJson(response, answer.body, answer.status);
    return;
  }
  requireRight(grant, 'read');
  if (route.type === 'metrics')
    return sendText(response, 200, context.metrics.registry.contentType, await context.metrics.registry.metrics());
  if (route.type === 'receipt') return sendJson(response, await context.databases.receipt(route.transactionKey, gone));
  return sendJson(response, { server: context.status(), ...(await context.databases.status(gone)) });
}

async function answerStreamRoute(
  context: Context,
  route: Extract<Route, { readonly type: 'pipeline' | 'cursor' }>,
  grant: Grant,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  requireRight(grant, 'read');
  checkType(request.headers, 'application/json');
  const call: StreamCall = {
    database: route.database,
    grant,
    options: callOptions(request),
    body: parseMessage(await readBody(request, context.budget)),
    response,
    report: (error) => {
      if (isOurFault(error)) context.onFault(error);
    },
  };
  if (route.type === 'cursor') return answerCursor(context.streams, call);
  const { text, position } = await answerPipeline(context.streams, route.version, call);
  if (position !== undefined) response.setHeader('baton-position', position);
  sendText(response, 200, 'application/json', text);
}

function answerReady(context: Context, response: ServerResponse): void {
  const readiness = context.isStopping() ? stopping : context.databases.readiness();
  sendReadiness(response, readiness.isReady ? undefined : readiness.reason);
}

/** What a client says of a call in headers, which stock clients let their users add. Throws PROTOCOL. */
function callOptions(request: IncomingMessage): CallOptions {
  const transactionKey = singleHeader(request, 'idempotency-key');
  const atLeast = singleHeader(request, 'baton-at-least');
  const level = singleHeader(request, 'baton-level');
  if (atLeast !== undefined && atLeast.length > limits.positionCharactersMax)
    throw new BatonError('PROTOCOL', `the header baton-at-least has ${atLeast.length} characters, and is no position`);
  return {
    ...(transactionKey === undefined ? {} : { transactionKey: checkTransactionKey(transactionKey) }),
    ...(atLeast === undefined ? {} : { atLeast }),
    ...(level === undefined ? {} : { level: checkLevel(level) }),
  };
}

function singleHeader(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === 'string' ? value : value?.[0];
}

function abortWhenGone(response: ServerResponse): AbortSignal {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  return gone.signal;
}
