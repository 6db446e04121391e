import type { Readable, Writable } from 'node:stream';
import { BatonError } from '@batondb/core/errors';
import { limitMalloc } from '@batondb/core/files/libc';
import { makeIdentity } from '@batondb/core/transport/certificate';
import { ControlChannel } from '../control/channel.ts';
import { readJsonFrames, writeJsonFrame } from '../control/frames.ts';
import { preamble, type RequestName } from '../control/messages.ts';
import { Agent } from './agent.ts';
import { makeGreeting } from './greeting.ts';

const mallocArenas = 2;
const mallocKeptBytes = 4 * 1024 * 1024;

/**
 * Serves one coordinator over a pair of streams, until the job ends or the coordinator is gone. The agent lives no longer
 * than its stdin: when the connection breaks, or the coordinator is killed, everything of it ends.
 */
export async function runAgent(stdin: Readable, stdout: Writable): Promise<void> {
  limitMalloc(mallocArenas, mallocKeptBytes);
  // A login's own could close a staged tree to its owner. What is made here has its mode given, and set again at the end.
  process.umask(0o022);
  const identity = makeIdentity();
  const ended = new AbortController();
  const agent = new Agent(identity, (event) => void channel.tell(event), ended.signal);
  const channel = new ControlChannel(stdout, {
    request: (name: RequestName, params: unknown) => agent.answer(name, params),
  });
  stdout.write(preamble);
  await writeJsonFrame(stdout, makeGreeting(identity));
  await channel.run(readJsonFrames(stdin, false), stdin);
  ended.abort(channel.endReason ?? new BatonError('INTERRUPTED', 'the coordinator is gone'));
  await agent[Symbol.asyncDispose]();
}
