import { randomUUID } from 'node:crypto';
import { BatonError } from '@batondb/core/errors';
import { limits } from '../limits.ts';
import { nodeFileLayer } from '../log/file-layer.ts';
import { Paths } from '../machine/paths.ts';
import type { Position } from '../machine/position.ts';
import type { FollowerStatus } from '../replica/feed.ts';
import { Feeds } from '../replica/feeds.ts';
import { Follower, type Identity, type LeaderStatus } from '../replica/follower.ts';
import type { Asked } from '../replica/verdict.ts';
import type { FollowOptions, NodeSettings } from './options.ts';
import type { NodeRole } from './role.ts';
import type { Threads } from './threads.ts';

// How a node stands to other nodes: whom it follows, and who follows it.

/** What replication has to do with in its node. */
export type ReplicationPlace = {
  /** The threads as they are now. */
  readonly threads: () => Threads;
  readonly settings: NodeSettings;
  readonly role: NodeRole;
};

/** What status tells of it. */
export type ReplicationStatus = {
  readonly leader?: LeaderStatus;
  readonly followers: readonly FollowerStatus[];
};

/** How many times a follower hears of its leader within the lag it may have. */
const pingsPerLag = 4;

export class Replication {
  readonly feeds: Feeds;
  readonly #place: ReplicationPlace;
  readonly #nodeId: string = randomUUID();
  #follower: Follower | undefined;

  constructor(place: ReplicationPlace) {
    this.#place = place;
    this.feeds = new Feeds({
      tail: () => {
        const { data, index } = place.threads();
        return { layer: nodeFileLayer, directory: new Paths(data.directory).log, index };
      },
      asked: () => this.#asked(),
    });
  }

  /** Begins to follow. Throws what the leader refuses this node with for good. */
  async follow(options: FollowOptions): Promise<void> {
    const pingMs = Math.max(
      limits.replicaPingMsMin,
      Math.min(limits.replicaPingMs, this.#place.settings.maxLagMs / pingsPerLag),
    );
    const follower = new Follower(
      { ...options, pingMs },
      {
        nodeId: this.#nodeId,
        identity: () => this.#identity(),
        beginFollowing: (logId) => this.#beginFollowing(logId),
        apply: (message) => this.#apply(message),
        join: () => Promise.reject(new BatonError('UNSUPPORTED', 'no snapshots yet')),
      },
    );
    this.#follower = follower;
    await follower.start();
  }

  /** Throws UNAVAILABLE when what is here may be older than it may be. */
  expectFresh(): void {
    const { maxLagMs } = this.#place.settings;
    if (this.#follower === undefined || maxLagMs === Number.POSITIVE_INFINITY) return;
    const { lagMs } = this.#follower;
    if (lagMs !== undefined && lagMs <= maxLagMs) return;
    const age = lagMs === undefined ? 'of unknown age' : `${Math.round(lagMs)} ms behind its leader`;
    throw new BatonError('UNAVAILABLE', `this replica is ${age}, and at most ${maxLagMs} ms are allowed`, {
      retryable: true,
      hint: 'read elsewhere, or raise maxLagMs',
    });
  }

  status(): ReplicationStatus {
    const leader = this.#follower?.status();
    return { ...(leader === undefined ? {} : { leader }), followers: this.feeds.status() };
  }

  /** Ends both sides. */
  async stop(): Promise<void> {
    this.feeds.endAll('the node is closed');
    await this.#follower?.stop();
  }

  async #asked(): Promise<Asked> {
    const { logId } = await this.#identity();
    const follower = this.#follower;
    return {
      nodeId: this.#nodeId,
      logId,
      position: this.#place.threads().index.published().position,
      upstream: follower?.upstream ?? [],
      isConnected: follower?.isStreaming ?? true,
      isLeader: follower === undefined,
    };
  }

  async #identity(): Promise<Identity> {
    const { logId, follows, position, databases } = await this.#place.threads().writer.call('status', null);
    const isNew = position.index === 0 && databases.length === 0;
    return { logId, position, isNew, isOwn: !isNew && follows === undefined };
  }

  async #beginFollowing(logId: string): Promise<void> {
    const { role } = this.#place;
    const follows = role.kind === 'follow' ? role.url : '';
    await this.#place.threads().writer.call('beginFollowing', { logId, follows });
  }

  #apply(message: Buffer<ArrayBuffer>): Promise<Position> {
    return this.#place.threads().writer.call('follow', message, [message.buffer]);
  }
}
