import { request as requestHttp } from 'node:http';
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
  const url = parseLeaderUrl(to.url);
  const options: RequestOptions = {
    headers: {
      connection: 'Upgrade',
      upgrade: upgrades[upgrade],
      ...(to.token === undefined ? {} : { authorization: `Bearer ${to.token}` }),
    },
    agent: false,
    signal,
    timeout: limits.replicaSilenceMs,
    ...(to.ca === undefined ? {} : { ca: to.ca }),
  };
  const request = (url.protocol === 'https:' ? requestHttps : requestHttp)(new URL(`/${upgrade}`, url), options);
  return new Promise((resolve, reject) => {
    request.once('upgrade', (_response, socket, head) => {
      socket.setTimeout(0);
      socket.setNoDelay(true);
      if (head.length > 0) socket.unshift(head);
      resolve(socket);
    });
    request.once('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk.subarray(0, limits.replicaTextBytesMax)));
      response.on('error', reject);
      response.on('end', () => reject(refusalOf(to.url, response.statusCode ?? 0, Buffer.concat(chunks).toString())));
    });
    request.once('timeout', () => request.destroy(new Error(`no answer in ${limits.replicaSilenceMs} ms`)));
    request.once('error', (error) => reject(signal.aborted ? signal.reason : unreachable(to.url, error)));
    request.end();
  });
}

/** What a server that does not upgrade says, in the words of an error of this side. */
function refusalOf(url: string, status: number, body: string): BatonError {
  const said = wordsOf(body);
  if (status === 401 || status === 403) {
    return new BatonError('ACCESS_DENIED', `${url} did not let this node join: ${said}`, {
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
