import { connect, type RemoteDatabase } from '../client/connect.ts';
import { parseLocation, withDatabase } from '../client/location.ts';
import type { Session } from '../databases.ts';
import type { FollowOptions } from '../node/options.ts';

/** Sessions of one connection: half of what a server allows, since those that are just being closed count there. */
const sessionsMax = 256;

/** A session at the leader. */
export type LeaderSession = {
  readonly session: Session;
  /** False when its connection broke: what it had open was rolled back. */
  readonly isOpen: () => boolean;
  readonly close: () => Promise<void>;
};

type Pooled = { readonly remote: Promise<RemoteDatabase>; isUsable: boolean; sessions: number };

/** Connections to the leader, each shared by many sessions. */
export class LeaderPool implements AsyncDisposable {
  readonly #leader: FollowOptions;
  readonly #pooled = new Map<string, Pooled[]>();

  constructor(leader: FollowOptions) {
    this.#leader = leader;
  }

  /** Opens a session of a database at the leader. Throws what connecting throws, and NOT_FOUND. */
  async open(database: string, signal: AbortSignal): Promise<LeaderSession> {
    for (;;) {
      const pooled = this.#find(database);
      const remote = await pooled.remote;
      if (!remote.isOpen) {
        pooled.isUsable = false;
        continue;
      }
      const session = await remote.session(signal);
      pooled.sessions += 1;
      const close = async (): Promise<void> => {
        pooled.sessions -= 1;
        await session.close();
      };
      return { session, isOpen: () => remote.isOpen, close };
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const all = [...this.#pooled.values()].flat();
    this.#pooled.clear();
    await Promise.all(all.map(async ({ remote }) => (await remote.catch(() => undefined))?.close()));
  }

  #find(database: string): Pooled {
    const usable = (this.#pooled.get(database) ?? []).filter(({ isUsable }) => isUsable);
    this.#pooled.set(database, usable);
    const free = usable.find(({ sessions }) => sessions < sessionsMax);
    if (free !== undefined) return free;
    const made = this.#connect(database);
    usable.push(made);
    return made;
  }

  #connect(database: string): Pooled {
    const { url, token, ca } = this.#leader;
    const access = { ...(token === undefined ? {} : { token }), ...(ca === undefined ? {} : { ca }) };
    // Whoever asked first may go; others wait for the same connection.
    const { signal } = new AbortController();
    const remote = connect(withDatabase(parseLocation(url), database), access, signal);
    const pooled: Pooled = { remote, isUsable: true, sessions: 0 };
    remote.catch(() => {
      pooled.isUsable = false;
    });
    return pooled;
  }
}
