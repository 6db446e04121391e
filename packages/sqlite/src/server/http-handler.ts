import type { IncomingMessage, ServerResponse } from 'node:http';
import { BatonError } from '@batondb/core/errors';
import type { CallOptions, Readiness } from '../databases.ts';
import { checkLevel, checkTransactionKey } from '../hrana/call-options.ts';
import { parseMessage } from '../hrana/json.ts';
import { limits } from '../hrana/limits.ts';
import { encodeError } from '../hrana/results.ts';
import { readBody } from './body.ts';
import { bearerToken, type Context } from './context.ts';
import { checkBodyType, checkSender } from './guard.ts';
import { answerCursor, answerPipeline, type StreamCall } from './hrana-http.ts';
import { answerOperation } from './operations.ts';
import { operatorPage } from './page.ts';
import { isOurFault, statusOf, toWireError } from './refusal.ts';
import { parseRoute, type Route } from './routes.ts';
import { type Grant, requireRight } from './tokens/gate.ts';

// One HTTP request: which it is, who sent it, whether they may, and its answer.

const stopping: Readiness = { isReady: false, reason: 'the server is stopping' };

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
    refuse(response, error);
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
  if (route.type === 'health') return send(response, 200, 'text/plain', 'ok\n');
  if (route.type === 'ready') return answerReady(context, response);
  checkSender(request.headers, context.guard());
  if (route.type === 'page') return sendPage(response);
  if (route.type === 'version') return send(response, 200, 'text/plain', 'ok\n');
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
    return send(response, 200, context.metrics.registry.contentType, await context.metrics.registry.metrics());
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
  checkBodyType(request.headers);
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
  send(response, 200, 'application/json', text);
}

function answerReady(context: Context, response: ServerResponse): void {
  const readiness = context.isStopping() ? stopping : context.databases.readiness();
  if (readiness.isReady) send(response, 200, 'text/plain', 'ready\n');
  else send(response, 503, 'text/plain', `not ready: ${readiness.reason}\n`);
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

function send(response: ServerResponse, status: number, type: string, text: string): void {
  // A page that is shown with the person's own rights must not keep what it was told.
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  response.end(text);
}

function sendPage(response: ServerResponse): void {
  const { html, headers } = operatorPage();
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  send(response, 200, 'text/html; charset=utf-8', html);
}

function sendJson(response: ServerResponse, value: unknown, status: number = 200): void {
  send(response, status, 'application/json', `${JSON.stringify(value)}\n`);
}

/** The type is exactly what stock clients look for before they read the error. */
function refuse(response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const status = statusOf(error);
  if (status === 401) response.setHeader('www-authenticate', 'Bearer');
  // Node reads and drops what is left of the body, for as long as a request may take to arrive: a client that is still
  // sending would see a broken connection in place of this answer.
  send(response, status, 'application/json', encodeError(toWireError(error)));
}

/** A client that does not come to the end of its request is cut off: it holds a connection, and what it has sent so far. */
function watchArrival(request: IncomingMessage, response: ServerResponse, arrivalMsMax: number): NodeJS.Timeout {
  const timer = setTimeout(() => {
    if (request.complete) return;
    if (!response.headersSent) request.socket.write('HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n');
    request.destroy();
  }, arrivalMsMax);
  request.once('close', () => clearTimeout(timer));
  return timer;
}

/** A client that takes nothing of its answer for too long is cut off: it holds the answer in our memory. */
function watchStall(response: ServerResponse, stallMsMax: number): void {
  // Node counts a write that advances as activity. Without one the client is waiting for us.
  response.setTimeout(stallMsMax, () => {
    if ((response.socket?.writableLength ?? 0) > 0) response.destroy();
  });
}

function abortWhenGone(response: ServerResponse): AbortSignal {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  return gone.signal;
}
