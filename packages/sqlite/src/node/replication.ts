import { randomUUID } from 'node:crypto';
import { assert, BatonError } from '@batondb/core/errors';
import { trustedPeer } from '@batondb/core/transfer/offering';
import { SocketConnection } from '@batondb/core/transport/socket-connection';
import type { Databases } from '../databases.ts';
import { limits } from '../limits.ts';
import { nodeFileLayer } from '../log/file-layer.ts';
import { Paths } from '../machine/paths.ts';
import type { Position } from '../machine/position.ts';
import { connectPeer } from '../replica/connect.ts';
import type { FollowerStatus } from '../replica/feed.ts';
import { Feeds } from '../replica/feeds.ts';
import { Follower, type Identity, type JoinReason, type LeaderStatus } from '../replica/follower.ts';
import { LeaderPool } from '../replica/leader-pool.ts';
import { ReplicaDatabases } from '../replica/replica-databases.ts';
import { stateDigest } from '../replica/state-digest.ts';
import type { Asked } from '../replica/verdict.ts';
import type { SnapshotDesk } from '../snapshot/desk.ts';
import { receiveSnapshot, type SnapshotOffer } from '../snapshot/transfer.ts';
import type { ClientDatabases } from './client-databases.ts';
import { install } from './install.ts';
import type { FollowOptions, NodeSettings } from './options.ts';
import type { NodeStatus } from './request.ts';
import type { NodeRole } from './role.ts';
import type { Threads } from './threads.ts';

// How a node stands to other nodes: whom it follows, and who follows it.

/** What replication has to do with in its node. */
export type ReplicationPlace = {
  /** The threads as they are now. */
  readonly threads: () => Threads;
  readonly settings: NodeSettings;
  readonly role: NodeRole;
  readonly desk: SnapshotDesk;
  /** Stops everything that reads and writes, lets the directory be changed, and starts it again. */
  readonly replace: (change: () => void) => Promise<void>;
};

/** How much of a snapshot has come. */
export type JoinProgress = { readonly doneBytes: number; readonly totalBytes: number };

/** What status tells of it. */
export type ReplicationStatus = {
  /** The node that is followed. `snapshot`: how much of one has come. */
  readonly leader?: LeaderStatus & { readonly snapshot?: JoinProgress };
  readonly followers: readonly FollowerStatus[];
};

/** How many times a follower hears of its leader within the lag it may have. */
const pingsPerLag = 4;

export class Replication {
  readonly feeds: Feeds;
  readonly #place: ReplicationPlace;
  readonly #nodeId: string = randomUUID();
  #follower: Follower | undefined;
  #following: { readonly leader: FollowOptions; readonly pool: LeaderPool } | undefined;
  #joined: JoinProgress | undefined;
  #isReplacing = false;
  #soundFrom = 0;

  constructor(place: ReplicationPlace) {
    this.#place = place;
    this.feeds = new Feeds({
      tail: () => {
        const { data, index } = place.threads();
        return { layer: nodeFileLayer, directory: new Paths(data.directory).log, index };
      },
      asked: () => this.#asked(),
      desk: place.desk,
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
        join: (...join) => this.#join(options, ...join),
      },
    );
    this.#follower = follower;
    this.#following = { leader: options, pool: new LeaderPool(options) };
    await follower.start();
  }

  /** Throws UNAVAILABLE when there is nothing to read, or what there is may be older than it may be (R8). */
  expectReadable(): void {
    const why = this.whyUnreadable();
    if (why === undefined) return;
    throw new BatonError('UNAVAILABLE', `this replica ${why}`, {
      retryable: true,
      hint: 'read elsewhere, or try again in a moment',
    });
  }

  /** Why nothing can be read here, as the end of a sentence that begins with the replica. */
  whyUnreadable(): string | undefined {
    if (this.#follower === undefined) return undefined;
    if (this.#isReplacing) return 'takes over a snapshot of its leader';
    const { lagMs } = this.#follower;
    const { maxLagMs } = this.#place.settings;
    const { index } = this.#place.threads().index.published().position;
    if (index === 0) return 'has nothing of its leader yet';
    if (index < this.#soundFrom) return `has to come to entry ${this.#soundFrom} first, and is at ${index}`;
    if (maxLagMs === Number.POSITIVE_INFINITY || (lagMs !== undefined && lagMs <= maxLagMs)) return undefined;
    const age = lagMs === undefined ? 'does not know how old its state is' : `may be ${Math.round(lagMs)} ms behind`;
    return `${age}, and at most ${maxLagMs} ms are allowed`;
  }

  /** What a server's clients get: of a node that follows, with the leader behind it. */
  forward(local: ClientDatabases): Databases {
    if (this.#following === undefined) return local;
    return new ReplicaDatabases({
      local,
      ...this.#following,
      expectReadable: () => this.expectReadable(),
      whyUnreadable: () => this.whyUnreadable(),
    });
  }

  status(): ReplicationStatus {
    const leader = this.#follower?.status();
    const joined = this.#joined === undefined ? {} : { snapshot: this.#joined };
    return { ...(leader === undefined ? {} : { leader: { ...leader, ...joined } }), followers: this.feeds.status() };
  }

  /** Ends both sides. */
  async stop(): Promise<void> {
    this.feeds.endAll('the node is closed');
    await this.#follower?.stop();
    await this.#following?.pool[Symbol.asyncDispose]();
  }

  get #url(): string {
    const { role } = this.#place;
    assert(role.kind === 'follow', 'R7: who follows was opened to follow');
    return role.url;
  }

  async #asked(): Promise<Asked> {
    const { logId, origins, position, state, role } = await this.#identity();
    const follower = this.#follower;
    return {
      nodeId: this.#nodeId,
      logId,
      origins,
      position,
      state,
      upstream: follower?.upstream ?? [],
      isConnected: follower?.isStreaming ?? true,
      // A node that waits for a log's lead may be behind others, as a follower may.
      isLeader: role === 'leader',
    };
  }

  async #identity(): Promise<Identity & Pick<NodeStatus, 'role' | 'origins'>> {
    const status = await this.#place.threads().writer.call('status', null);
    const { logId, origins, role, follows, position, databases, soundFrom } = status;
    this.#soundFrom = soundFrom;
    const isNew = position.index === 0 && databases.length === 0;
    return {
      ...{ logId, origins, role, position, isNew },
      state: stateDigest(databases),
      isOwn: !isNew && follows === undefined,
    };
  }

  async #beginFollowing(logId: string): Promise<void> {
    await this.#place.threads().writer.call('beginFollowing', { logId, follows: this.#url });
  }

  /** What is here can be read until everything of the leader's is here and verified. */
  async #join(options: FollowOptions, logId: string, reason: JoinReason, signal: AbortSignal): Promise<void> {
    const { directory } = this.#place.threads().data;
    await using connection = new SocketConnection(
      await connectPeer(options, 'snapshot', signal),
      trustedPeer(options.url),
    );
    const accept = (offer: SnapshotOffer): void => {
      if (offer.logId !== logId) throw otherLog(options.url, logId, offer.logId);
    };
    const onProgress = (doneBytes: number, totalBytes: number): void => {
      this.#joined = { doneBytes, totalBytes };
    };
    const record = await receiveSnapshot(connection, directory, { accept, onProgress }, signal);
    this.#isReplacing = true;
    try {
      await this.#place.replace(() => install(directory, { ...record, follows: this.#url }, reason));
    } finally {
      this.#isReplacing = false;
      this.#joined = undefined;
    }
  }

  #apply(message: Buffer<ArrayBuffer>): Promise<Position> {
    return this.#place.threads().writer.call('follow', message, [message.buffer]);
  }
}

function otherLog(url: string, wanted: string, offered: string): BatonError {
  return new BatonError('REFUSED', `${url} said that its log is ${wanted}, and offers a snapshot of log ${offered}`, {
    retryable: true,
    hint: 'it was restarted with another directory, perhaps; this node asks it again',
  });
}
