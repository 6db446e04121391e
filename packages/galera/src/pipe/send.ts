import { BatonError } from '@batondb/core/errors';
import { formatPosition } from '../contract/position.ts';
import { parseReady } from '../contract/ready.ts';
import { connectToJoiner } from '../wire/donor-session.ts';
import { sendStream } from '../wire/send-stream.ts';
import type { PipeCall } from './pipe-call.ts';
import type { PipeLog } from './pipe-log.ts';
import { endedWell, outputOf, startProgram } from './program.ts';

/**
 * Sends what a donor's program writes, and resolves when the joiner has all of it and its program has ended well. For an incremental transfer only the
 * position is told, and no program is started. Throws what the session ends with, CHILD_FAILED, and USAGE without a position.
 */
export async function sendFrom(
  { call, settings, key, certified, command }: PipeCall,
  { info, progress }: PipeLog,
  signal: AbortSignal,
): Promise<void> {
  if (call.position === undefined) throw new BatonError('USAGE', 'the server has not said --gtid');
  const { domainId } = call.position;
  const position = `${formatPosition(call.position)}${domainId === undefined ? '' : ` ${domainId}`}`;
  await using session = await connectToJoiner({ ...parseReady(call), key, certified, onNote: info }, signal);
  try {
    await session.offer({ method: call.isBypass ? 'bypass' : 'files', estimatedBytes: 0, about: {} }, signal);
    if (!call.isBypass) {
      await using child = await startProgram(command, AbortSignal.any([signal, session.signal]));
      child.stdin.end();
      const source = {
        content: outputOf(child.stdout),
        finished: async () => await endedWell(child, command, signal),
      };
      let bytes = 0;
      progress.begin({ name: `sending what ${command[0]} writes`, doneBytes: () => bytes });
      const onProgress = (sent: number): void => void (bytes = sent);
      const { streams, bytesPerSecondMax: bytesPerSecond } = settings;
      ({ bytes } = await sendStream(session, source, { streams, bytesPerSecond, onProgress }, signal));
    }
    await session.finish(position, {}, signal);
  } catch (error) {
    session.fail(error);
    throw error;
  }
}
