import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Page } from './page.ts';

// How a request is answered over HTTP: always whole, never kept by anybody, and not waited for without end.

/** Answers with a text. */
export function sendText(response: ServerResponse, status: number, type: string, text: string): void {
  // A page that is shown with the person's own rights must not keep what it was told.
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  response.end(text);
}

export function sendJson(response: ServerResponse, value: unknown, status: number = 200): void {
  sendText(response, status, 'application/json', `${JSON.stringify(value)}\n`);
}

export function sendPage(response: ServerResponse, { html, headers }: Page): void {
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  sendText(response, 200, 'text/html; charset=utf-8', html);
}

/** Says at /ready whether there is a reason not to be. */
export function sendReadiness(response: ServerResponse, reason: string | undefined): void {
  if (reason === undefined) sendText(response, 200, 'text/plain', 'ready\n');
  else sendText(response, 503, 'text/plain', `not ready: ${reason}\n`);
}

/** Answers with an error, whose JSON is `body`; an answer that has begun can only be broken off. */
export function sendRefusal(response: ServerResponse, status: number, body: string): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  if (status === 401) response.setHeader('www-authenticate', 'Bearer');
  // Node reads and drops what is left of the body, for as long as a request may take to arrive: a client that is still
  // sending would see a broken connection in place of this answer.
  sendText(response, status, 'application/json', body);
}

/** A client that does not come to the end of its request is cut off: it holds a connection, and what it has sent so far. */
export function watchArrival(request: IncomingMessage, response: ServerResponse, arrivalMsMax: number): NodeJS.Timeout {
  const timer = setTimeout(() => {
    if (request.complete) return;
    if (!response.headersSent) request.socket.write('HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n');
    request.destroy();
  }, arrivalMsMax);
  request.once('close', () => clearTimeout(timer));
  return timer;
}

/** A client that takes nothing of its answer for too long is cut off: it holds the answer in our memory. */
export function watchStall(response: ServerResponse, stallMsMax: number): void {
  // Node counts a write that advances as activity. Without one the client is waiting for us.
  response.setTimeout(stallMsMax, () => {
    if ((response.socket?.writableLength ?? 0) > 0) response.destroy();
  });
}

/** The token of an Authorization header (RFC 6750, 2.1), or undefined for none. */
export function bearerToken(authorization: string | undefined): string | undefined {
  return /^bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
}
