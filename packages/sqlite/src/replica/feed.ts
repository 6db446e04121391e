import { BatonError } from '@batondb/core/errors';
import { limits } from '../limits.ts';
import type { Position } from '../machine/position.ts';
import { Lag } from './lag.ts';
import type { Link } from './link.ts';
import { LogTail, type TailPlace } from './log-tail.ts';
import type { Answer, Hello } from './messages.ts';
import { type Asked, commonVersion, judgeHello } from './verdict.ts';

/** What a follower is told of and what is known of it, as status shows it. */
export type FollowerStatus = {
  readonly address: string;
  readonly name: string;
  readonly position: Position;
  readonly entriesBehind: number;
  readonly lagMs: number;
  readonly state: 'streaming';
};

export type FeedOptions = {
  readonly place: TailPlace;
  readonly asked: () => Promise<Asked>;
  /** Where the follower connects from. */
  readonly address: string;
  /** Throws when the follower may not be served any more. */
  readonly recheck: () => void;
};

/** The leader's side of one follower: what it is answered, the log from there on, and how far it is. */
export class Feed {
  readonly #link: Link;
  readonly #options: FeedOptions;
  #hello: Hello | undefined;
  #lag: Lag = new Lag(0);
  #applied: Position = { epoch: 0, index: 0 };

  constructor(link: Link, options: FeedOptions) {
    this.#link = link;
    this.#options = options;
  }

  /** What is known of the follower; undefined: it is not served yet. */
  status(nowMs: number): FollowerStatus | undefined {
    if (this.#hello === undefined) return undefined;
    const entriesBehind = Math.max(0, this.#published.index - this.#applied.index);
    return {
      address: this.#options.address,
      name: this.#hello.name,
      position: this.#applied,
      entriesBehind,
      lagMs: Math.round(this.#lag.behindMs(nowMs)),
      state: 'streaming',
    };
  }

  /** Answers the follower and serves it until one of both ends. Throws what ended it. */
  async run(): Promise<void> {
    const hello = await this.#link.receive();
    if (hello.type !== 'hello')
      throw new BatonError('PROTOCOL', `a follower began with ${hello.type} and not with hello`);
    using tail = await this.#answer(hello);
    if (tail === undefined) return;
    this.#applied = hello.position;
    this.#lag = new Lag(hello.position.index);
    this.#hello = hello;
    const both = [this.#listen(), this.#speak(tail, pingMsOf(hello))];
    try {
      await Promise.race(both);
    } catch (error) {
      this.#link.end(error);
      throw error;
    } finally {
      await Promise.allSettled(both);
    }
  }

  get #published(): Position {
    return this.#options.place.index.published().position;
  }

  async #answer(hello: Hello): Promise<LogTail | undefined> {
    const asked = await this.#options.asked();
    const answer = (verdict: Answer['verdict'], reason: string): Promise<void> =>
      this.#link.send({
        type: 'answer',
        verdict,
        version: commonVersion(hello.versions) ?? 0,
        logId: asked.logId,
        position: asked.position,
        upstream: [asked.nodeId, ...asked.upstream].slice(0, limits.upstreamMax),
        reason,
      });
    const judged = judgeHello(hello, asked);
    if (judged !== undefined) {
      await answer(judged.verdict, judged.reason);
      return undefined;
    }
    try {
      const tail = LogTail.open(this.#options.place, hello.position);
      await answer('continue', '');
      return tail;
    } catch (error) {
      if (!(error instanceof BatonError) || (error.code !== 'HISTORY_LOST' && error.code !== 'DIVERGED')) throw error;
      await answer(error.code === 'DIVERGED' ? 'diverged' : 'snapshot', error.message);
      return undefined;
    }
  }

  /** Sends what is published as soon as it is, and where we are when nothing is. */
  async #speak(tail: LogTail, pingMs: number): Promise<never> {
    for (;;) {
      this.#link.expectOpen();
      this.#options.recheck();
      const entries = tail.read();
      const leader = this.#published;
      this.#lag.tell(leader.index, performance.now());
      if (entries.length > 0) await this.#link.send({ type: 'entries', leader, entries });
      else if (!(await tail.wait(pingMs))) await this.#ping();
    }
  }

  async #ping(): Promise<void> {
    const { position, state } = await this.#options.asked();
    await this.#link.send({ type: 'ping', leader: position, state });
  }

  async #listen(): Promise<never> {
    for (;;) {
      const message = await this.#link.receive();
      if (message.type !== 'ack')
        throw new BatonError('PROTOCOL', `a follower sent ${message.type} where only ack is due`);
      this.#applied = message.position;
      this.#lag.reach(message.position.index);
    }
  }
}

function pingMsOf({ pingMs }: Hello): number {
  return Math.min(limits.replicaPingMs, Math.max(limits.replicaPingMsMin, pingMs));
}
