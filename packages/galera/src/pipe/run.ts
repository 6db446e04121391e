import { BatonError, fromErrorRecord, toErrorRecord } from '@batondb/core/errors';
import { errnoOf } from '../contract/exit-codes.ts';
import { readPipeCall } from './pipe-call.ts';
import { openPipeLog, sayOfPipe } from './pipe-log.ts';
import { receiveInto } from './receive.ts';
import { sendFrom } from './send.ts';

/** Where the shell library has put the way to the server. */
const serverDescriptor = 3;

/**
 * `baton galera send|receive WORDS -- COMMAND …`, as baton-sst.sh calls them. `receive` says on standard output what has come: `full` or `bypass`, and
 * the position. Returns 0, or an errno for the script to end with; the cause is in the error log then.
 */
export async function runPipe(
  kind: 'send' | 'receive',
  words: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  const ended = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.once(name, () => ended.abort(new BatonError('INTERRUPTED', `${name} ended the transfer`)));
  }
  try {
    const pipe = await readPipeCall(words, environment, ended.signal);
    using log = openPipeLog(kind, pipe.call.dialect);
    if (kind === 'send') await sendFrom(pipe, log, ended.signal);
    else {
      const { position, isBypass } = await receiveInto(pipe, log, serverDescriptor, ended.signal);
      process.stdout.write(`${isBypass ? 'bypass' : 'full'} ${position}\n`);
    }
    return 0;
  } catch (error) {
    const record = toErrorRecord(error);
    const more = record.hint === undefined ? '' : `; next step: ${record.hint}`;
    sayOfPipe(kind, 'mariadb', 'error', `${record.message} (${record.code})${more}`);
    return errnoOf(error instanceof BatonError ? error : fromErrorRecord(record));
  }
}
