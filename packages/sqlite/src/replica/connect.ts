import type { Duplex } from 'node:stream';
import { BatonError } from '@batondb/core/errors';
import { ask, askForUpgrade, readJson } from '../client/http.ts';
import { parseLocation } from '../client/location.ts';
import { limits } from '../limits.ts';
import type { FollowOptions } from '../node/options.ts';

// How a node reaches another one: as any client does, and for connections that only nodes have.

const silenceMs = limits.replicaSilenceMs;

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
 * Opens a connection of a kind to another node's server. Throws UNREACHABLE, NOT_TRUSTED, ACCESS_DENIED for a token without the right to join, and
 * what else the server refuses it with; aborted, the signal's reason.
 */
export async function connectPeer(to: FollowOptions, upgrade: Upgrade, signal: AbortSignal): Promise<Duplex> {
  const request = { method: 'GET', path: `/${upgrade}`, protocol: upgrades[upgrade], silenceMs } as const;
  return await askForUpgrade(parseLocation(to.url), request, to, signal);
}

/** Asks another node's server for what it says at a path, as JSON. Throws as `connectPeer` does. */
export async function askPeer(
  to: FollowOptions,
  path: string,
  signal: AbortSignal,
): Promise<Readonly<Record<string, unknown>>> {
  const location = parseLocation(to.url);
  return await readJson(await ask(location, { method: 'GET', path, silenceMs }, to, signal), location);
}
