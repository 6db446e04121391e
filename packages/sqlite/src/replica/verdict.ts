import type { Position } from '../machine/position.ts';
import { formatPosition } from '../machine/position.ts';
import { type Hello, type Verdict, type VersionRange, versions } from './messages.ts';

/** The node that is asked for its log. */
export type Asked = {
  readonly nodeId: string;
  readonly logId: string;
  /** The logs that this one was restored from. */
  readonly origins: readonly string[];
  readonly position: Position;
  /** Of the state at this position. */
  readonly state: string;
  /** Of a node that follows another one: those before it as far as they are known, and whether it is connected to it. */
  readonly upstream: readonly string[];
  readonly isConnected: boolean;
  readonly isLeader: boolean;
};

/** What is answered at once, and why; undefined: the log has to be looked at. */
export type Judged = { readonly verdict: Verdict; readonly reason: string };

/** The highest version that both speak. */
export function commonVersion(other: VersionRange): number | undefined {
  const version = Math.min(versions.max, other.max);
  return version >= Math.max(versions.min, other.min) ? version : undefined;
}

/**
 * Judges a follower by what it says of itself (R3, R5, R6). Who follows serves others only while its own leader serves it: so a circle of followers
 * without a leader can never begin.
 */
export function judgeHello(hello: Hello, asked: Asked): Judged | undefined {
  if (commonVersion(hello.versions) === undefined) {
    const [theirs, ours] = [hello.versions, versions].map(({ min, max }) => `${min} to ${max}`);
    return { verdict: 'version', reason: `the follower speaks versions ${theirs}, and this node ${ours}` };
  }
  if (hello.nodeId === asked.nodeId || asked.upstream.includes(hello.nodeId))
    return { verdict: 'loop', reason: 'the node follows itself, or a node that follows it' };
  if (!asked.isLeader && !asked.isConnected)
    return { verdict: 'wait', reason: 'this node is not connected to the one it follows' };
  if (hello.logId === '') return undefined;
  if (hello.logId !== asked.logId) {
    const isOrigin = asked.origins.includes(hello.logId);
    return {
      verdict: isOrigin ? 'diverged' : 'other-log',
      reason: `the directory is of log ${hello.logId}, and this node's log is ${asked.logId}${isOrigin ? ', which was restored from that one' : ''}`,
    };
  }
  // A follower that was just started begins at its last checkpoint, and will be where its own followers are.
  if (!asked.isLeader && hello.position.index > asked.position.index) {
    const reason = `this node is at ${formatPosition(asked.position)}, and the follower is at ${formatPosition(hello.position)}`;
    return { verdict: 'wait', reason };
  }
  const isSamePlace = hello.position.index === asked.position.index && hello.position.epoch === asked.position.epoch;
  if (isSamePlace && hello.state !== asked.state) {
    const reason = `both are at ${formatPosition(asked.position)}, and their states differ: their histories are two`;
    return { verdict: 'diverged', reason };
  }
  return undefined;
}
