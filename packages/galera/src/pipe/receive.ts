import { writeSync } from 'node:fs';
import { portOf } from '../contract/address.ts';
import { formatReady } from '../contract/ready.ts';
import { listenForDonor } from '../wire/joiner-session.ts';
import { receiveStream } from '../wire/receive-stream.ts';
import type { PipeCall } from './pipe-call.ts';
import type { PipeLog } from './pipe-log.ts';
import { endedWell, give, startProgram } from './program.ts';

/** What has come. */
export type Received = {
  /** `UUID:SEQNO`, with the domain behind it where there is one. */
  readonly position: string;
  /** The donor gives an incremental transfer, and no program was started. */
  readonly isBypass: boolean;
};

/**
 * Gives a joiner's program what a donor's writes, byte for byte, and tells the donor that all is well when the program has ended well. The `ready` line goes to
 * `serverDescriptor` as soon as a donor may come. Throws what the session ends with, and CHILD_FAILED.
 */
export async function receiveInto(
  { call, settings, key, certified, command }: PipeCall,
  { info, progress }: PipeLog,
  serverDescriptor: number,
  signal: AbortSignal,
): Promise<Received> {
  const port = portOf(call.address);
  const ports = { first: port, last: port, excluded: [] };
  await using session = await listenForDonor({ ports, key, certified, onNote: info }, signal);
  try {
    const { secret, fingerprint } = session;
    const ready = formatReady({ host: call.address.host, port: session.port, secret, fingerprint });
    writeSync(serverDescriptor, `${ready}\n`);
    const { method } = await session.offer(AbortSignal.any([signal, AbortSignal.timeout(settings.firstWordMsMax)]));
    session.accept();
    if (method !== 'bypass') {
      await using child = await startProgram(command, AbortSignal.any([signal, session.signal]));
      child.stdout.pipe(process.stderr, { end: false });
      let bytes = 0;
      progress.begin({ name: `receiving for ${command[0]}`, doneBytes: () => bytes });
      for await (const chunk of receiveStream(session, {}, signal)) {
        bytes += chunk.byteLength;
        await give(child.stdin, chunk, signal);
      }
      child.stdin.end();
      await endedWell(child, command, signal);
    }
    const { position } = await session.finish(signal);
    await session.verified();
    return { position, isBypass: method === 'bypass' };
  } catch (error) {
    session.fail(error);
    throw error;
  }
}
