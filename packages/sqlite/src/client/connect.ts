import type { ServerAccess } from '@batondb/service/client';
import type { Session } from '../databases.ts';
import { Link } from './link.ts';
import { type Location, parseLocation } from './location.ts';
import { RemoteSession } from './session.ts';

/** A connection to one database of a server. Disposing closes it. */
export interface RemoteDatabase extends AsyncDisposable {
  readonly location: Location;
  /** False once the connection is broken or closed: a new one has to be made. */
  readonly isOpen: boolean;
  /** Opens a session; many can be open, and each runs one call at a time. Throws NOT_FOUND, ACCESS_DENIED, LIMIT, CONNECTION_LOST. */
  session(signal: AbortSignal): Promise<Session>;
  /** Ends all sessions; what they have open is rolled back. May be called again. */
  close(): Promise<void>;
}

/**
 * Connects to a database by its address: `ws://HOST:PORT`, `wss://…`, `unix:PATH`, with `/db/NAME` behind it for another than `main`. Throws
 * USAGE for what is no address, UNREACHABLE, NOT_TRUSTED, ACCESS_DENIED for a token that is not good, PROTOCOL.
 */
export async function connect(
  address: string | Location,
  access: ServerAccess,
  signal: AbortSignal,
): Promise<RemoteDatabase> {
  const location = typeof address === 'string' ? parseLocation(address) : address;
  const link = await Link.open(location, access, signal);
  return {
    location,
    get isOpen() {
      return link.isOpen;
    },
    session: (ended) => RemoteSession.open(link, ended),
    close: () => link.close(),
    [Symbol.asyncDispose]: () => link.close(),
  };
}
