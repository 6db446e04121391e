import { type ClientRequest, type IncomingMessage, request as requestHttp } from 'node:http';
import { type RequestOptions, request as requestHttps } from 'node:https';
import type { Duplex } from 'node:stream';
import { BatonError, type ErrorCode } from '@batondb/core/errors';
import { limits } from '../limits.ts';
import type { FollowOptions } from '../node/options.ts';

/** The protocols that a connection to another node is upgraded to, each at a path of its own. */
export const upgrades = { log: 'baton-log', snapshot: 'baton-snapshot' } as const;
export type Upgrade = keyof typeof upgrades;

/** The base URL of a leader: `http:` or `https:`, without a slash at its end. Throws USAGE. */
export function parseLeaderUrl(url: string): URL {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (
    parsed === undefined ||
    !/^(?:https?|wss?):$/.test(parsed.protocol) ||
    parsed.pathname !== '/' ||
    parsed.search !== ''
  ) {
    throw new BatonError('USAGE', `${url} is no URL of a node to follow`, {
      hint: 'write http://HOST:PORT or https://HOST:PORT, without a path',
    });
  }
  parsed.protocol = parsed.protocol.replace('ws', 'http');
  return parsed;
}

/**
 * Opens a connection of a kind to another node's server. Throws UNREACHABLE, ACCESS_DENIED, NOT_TRUSTED, and what the server says; aborted, the
 * signal's reason.
 */
export function connectPeer(to: FollowOptions, upgrade: Upgrade, signal: AbortSignal): Promise<Duplex> {
  const request = requestOf(to, `/${upgrade}`, { connection: 'Upgrade', upgrade: upgrades[upgrade] }, signal);
  return new Promise((resolve, reject) => {
    request.once('upgrade', (_response, socket, head) => {
      socket.setTimeout(0);
      socket.setNoDelay(true);
      if (head.length > 0) socket.unshift(head);
      resolve(socket);
    });
    request.once('response', (response) => {
      readText(response).then((body) => reject(refusalOf(to.url, response.statusCode ?? 0, body)), reject);
    });
    request.once('error', (error) => reject(signal.aborted ? signal.reason : unreachable(to.url, error)));
    request.end();
  });
}

/** Asks another node's server for what it says at a path, as JSON. Throws as `connectPeer` does. */
export function askPeer(to: FollowOptions, path: string, signal: AbortSignal): Promise<unknown> {
  const request = requestOf(to, path, {}, signal);
  return new Promise((resolve, reject) => {
    request.once('response', (response) => {
      readText(response).then((body) => {
        if (response.statusCode === 200) resolve(JSON.parse(body));
        else reject(refusalOf(to.url, response.statusCode ?? 0, body));
      }, reject);
    });
    request.once('error', (error) => reject(signal.aborted ? signal.reason : unreachable(to.url, error)));
    request.end();
  });
}

function requestOf(
  { url, token, ca }: FollowOptions,
  path: string,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): ClientRequest {
  const base = parseLeaderUrl(url);
  const options: RequestOptions = {
    headers: { ...headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
    agent: false,
    signal,
    timeout: limits.replicaSilenceMs,
    ...(ca === undefined ? {} : { ca }),
  };
  const request = (base.protocol === 'https:' ? requestHttps : requestHttp)(new URL(path, base), options);
  request.once('timeout', () => request.destroy(new Error(`no answer in ${limits.replicaSilenceMs} ms`)));
  return request;
}

async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > limits.replicaTextBytesMax) break;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

/** What a server that does not upgrade says, in the words of an error of this side. */
function refusalOf(url: string, status: number, body: string): BatonError {
  const said = wordsOf(body);
  if (status === 401 || status === 403) {
    return new BatonError('ACCESS_DENIED', `${url} did not let this node in: ${said}`, {
      hint: 'give a token with the right to join',
    });
  }
  const code: ErrorCode = status === 404 || status === 426 ? 'UNSUPPORTED' : 'UNREACHABLE';
  return new BatonError(code, `${url} answered with status ${status}: ${said}`, {
    retryable: code === 'UNREACHABLE',
    ...(code === 'UNSUPPORTED' ? { hint: 'give the URL of a baton sqlite server' } : {}),
  });
}

function wordsOf(body: string): string {
  try {
    const { message } = JSON.parse(body) as { readonly message?: unknown };
    if (typeof message === 'string') return message.slice(0, 300);
  } catch {
    // What is no JSON is not of our server.
  }
  return body.slice(0, 100);
}

function unreachable(url: string, error: Error): BatonError {
  const { code = '' } = error as NodeJS.ErrnoException;
  const isTrust = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ERR_TLS/.test(code);
  return new BatonError(isTrust ? 'NOT_TRUSTED' : 'UNREACHABLE', `${url} cannot be reached: ${error.message}`, {
    retryable: !isTrust,
    ...(isTrust ? { hint: 'give the certificate that signed the one of the server as ca' } : {}),
    cause: error,
  });
}
