import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { BatonError, fromErrorRecord } from '@batondb/core/errors';
import { limits } from '../limits.ts';
import { formatPosition, type Position } from '../machine/position.ts';
import type { FollowOptions } from '../node/options.ts';
import { connectPeer } from './connect.ts';
import { Lag } from './lag.ts';
import { Link } from './link.ts';
import { type Answer, decodeMessage, expectType, leaderOf, type Message, versions } from './messages.ts';

/** What a follower is in its own node. */
export type FollowerPlace = {
  /** Of the running process. */
  readonly nodeId: string;
  /** What the directory is, now. */
  readonly identity: () => Promise<Identity>;
  /** The directory belongs to that log from now on. */
  readonly beginFollowing: (logId: string) => Promise<void>;
  /** Applies a message with entries, whose memory is handed over. */
  readonly apply: (message: Buffer<ArrayBuffer>) => Promise<Position>;
  /** Puts a snapshot of the leader, which has to be of that log, in the place of everything that is here, which can be read until then. */
  readonly join: (logId: string, reason: JoinReason, signal: AbortSignal) => Promise<void>;
};

/** `isOwn`: it has led its log itself, and what is in it may be nowhere else. */
export type Identity = {
  readonly logId: string;
  readonly position: Position;
  /** As `stateDigest` has it. */
  readonly state: string;
  readonly isNew: boolean;
  readonly isOwn: boolean;
};

/** Why a snapshot is taken: the log does not reach back, or what is here is not what the leader has. */
export type JoinReason = 'lost' | 'diverged';

/** What a follower is doing. */
export type FollowerState = 'connecting' | 'streaming' | 'snapshot' | 'stopped';

/** How a follower stands to its leader, as status shows it. */
export type LeaderStatus = {
  readonly url: string;
  readonly state: FollowerState;
  /** Where the leader was when it said so last. */
  readonly position?: Position;
  readonly entriesBehind: number;
  /** The state here is no older than the leader's was so long ago; undefined: nobody knows. */
  readonly lagMs?: number;
  /** Why it is not streaming. */
  readonly failure?: string;
};

export type FollowerOptions = FollowOptions & {
  /** How often the leader has to say where it is when it has nothing new. */
  readonly pingMs: number;
};

/**
 * Follows a leader's log for as long as the node lives: connects, streams, and connects again; takes a snapshot when the log does not reach back or
 * is not the one that was followed (R4).
 */
export class Follower {
  readonly #options: FollowerOptions;
  readonly #place: FollowerPlace;
  readonly #ended = new AbortController();
  readonly #first = Promise.withResolvers<void>();
  #running: Promise<void> | undefined;
  #state: FollowerState = 'connecting';
  #failure: BatonError | undefined;
  #upstream: readonly string[] = [];
  #leader: Position | undefined;
  #lag: Lag = new Lag(0);

  constructor(options: FollowerOptions, place: FollowerPlace) {
    this.#options = options;
    this.#place = place;
  }

  /** Begins. Resolves when the leader has answered, or could not be reached; throws when it refuses this node for good. */
  async start(): Promise<void> {
    this.#running = this.#run();
    await this.#first.promise;
  }

  /** The nodes before this one, the leader last, as far as is known. */
  get upstream(): readonly string[] {
    return this.#upstream;
  }

  get isStreaming(): boolean {
    return this.#state === 'streaming';
  }

  /** The state here is no older than the leader's was so long ago; undefined: it never was the leader's. */
  get lagMs(): number | undefined {
    return this.#lag.ageMs(performance.now());
  }

  status(): LeaderStatus {
    const { lagMs } = this;
    return {
      url: this.#options.url,
      state: this.#state,
      ...(this.#leader === undefined ? {} : { position: this.#leader }),
      entriesBehind: this.#lag.entries,
      ...(lagMs === undefined ? {} : { lagMs: Math.round(lagMs) }),
      ...(this.#failure === undefined ? {} : { failure: this.#failure.message }),
    };
  }

  /** Ends it. Resolves when nothing is applied any more. */
  async stop(): Promise<void> {
    this.#ended.abort();
    await this.#running;
    this.#state = 'stopped';
  }

  async #run(): Promise<void> {
    const { signal } = this.#ended;
    for (let pauseMs: number = limits.reconnectMsMin; !signal.aborted; ) {
      try {
        await this.#connect(signal);
        pauseMs = limits.reconnectMsMin;
      } catch (error) {
        if (signal.aborted) break;
        if (this.#state === 'streaming') pauseMs = limits.reconnectMsMin;
        this.#fail(error);
        // Not all at once, when a leader comes back that many follow.
        await delay(pauseMs * (0.5 + Math.random()), undefined, { signal }).catch(() => undefined);
        pauseMs = Math.min(pauseMs * 2, limits.reconnectMsMax);
      }
    }
    this.#first.resolve();
  }

  #fail(error: unknown): void {
    this.#state = 'connecting';
    this.#failure =
      error instanceof BatonError
        ? error
        : new BatonError('BUG', `following failed: ${String(error)}`, { cause: error });
    if (this.#failure.retryable) this.#first.resolve();
    else this.#first.reject(this.#failure);
  }

  /** One connection, from its begin to its end. Returns after a snapshot, and throws otherwise. */
  async #connect(signal: AbortSignal): Promise<void> {
    const identity = await this.#place.identity();
    using link = new Link(await connectPeer(this.#options, 'log', signal));
    let reason: JoinReason = 'lost';
    let { logId } = identity;
    const end = (): void => link[Symbol.dispose]();
    signal.addEventListener('abort', end);
    try {
      const answer = await this.#ask(link, identity);
      this.#upstream = answer.upstream;
      this.#leader = answer.position;
      logId = answer.logId;
      if (answer.verdict === 'continue') {
        await this.#place.beginFollowing(answer.logId);
        await this.#stream(link, identity.position);
      }
      if (answer.verdict !== 'snapshot' && answer.verdict !== 'diverged') throw refusalOf(this.#options.url, answer);
      expectReplaceable(identity, answer.reason);
      if (answer.verdict === 'diverged') reason = 'diverged';
    } catch (error) {
      if (!(error instanceof BatonError) || error.code !== 'DIVERGED' || identity.isOwn) throw error;
      reason = 'diverged';
    } finally {
      signal.removeEventListener('abort', end);
    }
    link[Symbol.dispose]();
    await this.#join(logId, reason, signal);
  }

  async #ask(link: Link, { logId, position, state, isNew }: Identity): Promise<Answer> {
    await link.send({
      type: 'hello',
      versions,
      nodeId: this.#place.nodeId,
      logId: isNew ? '' : logId,
      position,
      state,
      name: hostname(),
      pingMs: this.#options.pingMs,
    });
    const answer = await link.receive();
    if (answer.type !== 'answer') throw new BatonError('PROTOCOL', `a leader answered hello with ${answer.type}`);
    return answer;
  }

  async #join(logId: string, reason: JoinReason, signal: AbortSignal): Promise<void> {
    this.#state = 'snapshot';
    this.#failure = undefined;
    this.#first.resolve();
    await this.#place.join(logId, reason, signal);
    this.#state = 'connecting';
  }

  /** Applies what comes. One message is received while the one before it is applied. Never returns. */
  async #stream(link: Link, from: Position): Promise<never> {
    this.#lag = new Lag(from.index);
    this.#state = 'streaming';
    this.#failure = undefined;
    this.#first.resolve();
    let applied = from;
    let applying: Promise<void> = Promise.resolve();
    const tell = (): void => void link.send({ type: 'ack', position: applied }).catch(() => undefined);
    const alive = setInterval(tell, this.#options.pingMs);
    try {
      for (;;) {
        const message = await link.receiveBytes();
        const type = expectType(message, 'entries', 'ping', 'end');
        this.#leader = leaderOf(message);
        this.#lag.tell(this.#leader.index, performance.now());
        await applying;
        if (type !== 'entries') {
          await this.#compare(decodeMessage(message));
          continue;
        }
        applying = this.#place.apply(message).then((position) => {
          applied = position;
          this.#lag.reach(position.index);
          tell();
        });
        applying.catch((error: unknown) => link.end(error));
      }
    } finally {
      clearInterval(alive);
      await applying;
    }
  }

  /** Throws what the leader ends with, and DIVERGED when both are at one position and not in one state (R2). */
  async #compare(message: Message): Promise<void> {
    if (message.type === 'end') throw fromErrorRecord(message.error);
    const { position, state } = await this.#place.identity();
    if (message.type !== 'ping' || message.leader.index !== position.index || message.state === state) return;
    throw new BatonError(
      'DIVERGED',
      `leader and follower are at ${formatPosition(position)}, and their states differ`,
      {
        hint: 'begin again with a snapshot',
      },
    );
  }
}

function refusalOf(url: string, { verdict, reason }: Answer): BatonError {
  switch (verdict) {
    case 'version':
      return new BatonError('VERSION_MISMATCH', `${url}: ${reason}`, { hint: 'update the older of both' });
    case 'loop':
      return new BatonError('REFUSED', `${url}: ${reason}`, { hint: 'follow a node that leads' });
    case 'other-log':
      return new BatonError('REFUSED', `${url}: ${reason}`, {
        hint: 'follow with an empty directory, or give the URL of the node that this one followed',
      });
    default:
      return new BatonError('UNREACHABLE', `${url}: ${reason}`, { retryable: true });
  }
}

/** Throws DIVERGED for a directory that has led: its transactions may be nowhere else (R7). */
function expectReplaceable({ isOwn }: Identity, reason: string): void {
  if (!isOwn) return;
  throw new BatonError('DIVERGED', `this directory has led, and cannot go on from the leader's log: ${reason}`, {
    hint: 'move it away and follow with an empty one; what it has and the leader has not is in its databases',
  });
}
