import { BatonError } from '@batondb/core/errors';
import type { LocalCopy } from '../log/local-copy.ts';
import type { AppendOutcome, LogEntry, LogIndex, ReplicatedLog } from '../log/log.ts';

/** The log of another node, as far as a follower's machine has to do with it: it is never led here, and nothing is appended. */
export class FollowedLog implements ReplicatedLog {
  readonly #copy: LocalCopy;

  constructor(copy: LocalCopy) {
    this.#copy = copy;
  }

  get head(): LogIndex {
    return this.#copy.head;
  }

  lead(): Promise<never> {
    return Promise.reject(new BatonError('REFUSED', 'this node follows another one, and does not lead'));
  }

  append(): Promise<AppendOutcome> {
    return Promise.resolve('refused');
  }

  /** Entries come by the stream from the leader, and not from here. */
  async *entries(): AsyncGenerator<LogEntry, void, undefined> {}

  trim(): Promise<void> {
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#copy.close();
    return Promise.resolve();
  }
}
