import { BatonError } from '@batondb/core/errors';
import { trustedPeer } from '@batondb/core/transfer/offering';
import { SocketConnection } from '@batondb/core/transport/socket-connection';
import type { Peer, Peers } from '../databases.ts';
import { limits } from '../limits.ts';
import type { SnapshotDesk } from '../snapshot/desk.ts';
import { sendSnapshot } from '../snapshot/transfer.ts';
import { Feed, type FollowerStatus } from './feed.ts';
import { Link } from './link.ts';
import type { TailPlace } from './log-tail.ts';
import type { Asked } from './verdict.ts';

/** What followers are served from, as it is now. */
export type FeedsPlace = {
  readonly tail: () => TailPlace;
  readonly asked: () => Promise<Asked>;
  readonly desk: SnapshotDesk;
};

/** All followers of a node. */
export class Feeds implements Peers {
  readonly #place: FeedsPlace;
  readonly #feeds = new Map<Feed, Link>();
  #ended = new AbortController();

  constructor(place: FeedsPlace) {
    this.#place = place;
  }

  async serveLog({ socket, address, recheck }: Peer): Promise<void> {
    using link = new Link(socket);
    if (this.#feeds.size >= limits.followersMax) {
      link.end(
        new BatonError('LIMIT', `this node has ${limits.followersMax} followers, and no more are served`, {
          hint: 'follow one of them',
        }),
      );
      return;
    }
    const feed = new Feed(link, { place: this.#place.tail(), asked: this.#place.asked, address, recheck });
    this.#feeds.set(feed, link);
    try {
      await feed.run();
    } catch (error) {
      // A follower that is gone, or was told why: only what is our own fault is anybody else's business.
      if (!(error instanceof BatonError)) throw error;
    } finally {
      this.#feeds.delete(feed);
    }
  }

  async serveSnapshot({ socket, address }: Peer): Promise<void> {
    await using connection = new SocketConnection(socket, trustedPeer(address));
    try {
      await sendSnapshot(this.#place.desk, connection, this.#ended.signal);
    } catch (error) {
      // Who joins hears of it, or is gone, and comes again.
      if (!(error instanceof BatonError)) throw error;
    }
  }

  /** Those that are served. */
  status(): FollowerStatus[] {
    const nowMs = performance.now();
    return [...this.#feeds.keys()].flatMap((feed) => feed.status(nowMs) ?? []);
  }

  /** Ends all of them, who may come again. */
  endAll(why: string): void {
    this.#ended.abort(new BatonError('INTERRUPTED', why, { retryable: true }));
    this.#ended = new AbortController();
    for (const link of this.#feeds.values()) link.end(new BatonError('INTERRUPTED', why, { retryable: true }));
  }
}
