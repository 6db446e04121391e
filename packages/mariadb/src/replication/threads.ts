import { BatonError } from '@batondb/core/errors';
import { quoteString } from '../client-output.ts';
import { limits } from '../limits.ts';
import type { ReplicaStatus } from '../replica-status.ts';
import { isAtLeast, type ServerVersion } from '../version.ts';

/** The thread that fetches from the source, or the one that applies (with its workers). */
export type ThreadName = 'io' | 'sql';

/** One thread of one channel; the default channel is ''. */
export type Thread = { readonly channel: string; readonly thread: ThreadName };

/** The threads that run, channel by channel. The one that applies comes first: stopped first, it leaves nothing half fetched. */
export function runningThreads(channels: readonly ReplicaStatus[]): Thread[] {
  return channels.flatMap(({ channel, sqlRunning, ioRunning }) => [
    ...(sqlRunning ? [{ channel, thread: 'sql' } as const] : []),
    ...(ioRunning ? [{ channel, thread: 'io' } as const] : []),
  ]);
}

/** Those of `wanted` that do not run. */
export function missingThreads(wanted: readonly Thread[], channels: readonly ReplicaStatus[]): Thread[] {
  const running = new Set(runningThreads(channels).map(key));
  return wanted.filter((thread) => !running.has(key(thread)));
}

function key({ channel, thread }: Thread): string {
  return `${thread} ${channel}`;
}

/** The statement that stops or starts exactly one thread. Starting one that runs is a remark of the server, no error. */
export function threadStatement(verb: 'START' | 'STOP', { channel, thread }: Thread, version: ServerVersion): string {
  if (Buffer.byteLength(channel) > limits.channelNameBytesMax) {
    throw new BatonError('LIMIT', `the name of a channel has ${Buffer.byteLength(channel)} bytes`);
  }
  const kind = thread === 'io' ? 'IO_THREAD' : 'SQL_THREAD';
  const name = quoteString(channel);
  if (version.family === 'mariadb') return `${verb} SLAVE ${name} ${kind}`;
  const noun = isAtLeast(version, 8, 0, 22) ? 'REPLICA' : 'SLAVE';
  return `${verb} ${noun} ${kind} FOR CHANNEL ${name}`;
}

/** `the SQL thread of channel 'east'`. */
export function describeThread({ channel, thread }: Thread): string {
  const name = channel === '' ? 'the default channel' : `channel '${channel}'`;
  return `the ${thread === 'io' ? 'IO' : 'SQL'} thread of ${name}`;
}
