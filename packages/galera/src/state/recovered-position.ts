import { BatonError } from '@batondb/core/errors';
import { describeExit } from '@batondb/core/process/child';
import { spawnTethered } from '@batondb/core/process/tethered';
import { limits } from './limits.ts';

/** How InnoDB is asked for its position. */
export type RecoverCommand = {
  /** The server's program with what says which data and options are its own: `mariadbd --defaults-file=… --datadir=… --user=mysql`. */
  readonly argv: readonly string[];
};

/** A position as Galera writes it. */
export type RecoveredPosition = { readonly uuid: string; readonly seqno: bigint };

/** The last position that a server's log names, as `--wsrep-recover` prints it. Pure. */
export function parseRecovered(log: string): RecoveredPosition | undefined {
  const matches = [...log.matchAll(/WSREP: Recovered position:?\s*([0-9a-f-]{36}):(-?\d{1,19})/g)];
  const [, uuid, seqno] = matches.at(-1) ?? [];
  return uuid === undefined || seqno === undefined ? undefined : { uuid, seqno: BigInt(seqno) };
}

/**
 * The position that InnoDB recovers, as galera_recovery asks for it; undefined when the server has Galera switched off. The server applies its redo log to
 * the data directory meanwhile, and ends. Throws CHILD_FAILED with its last words, LIMIT, and the signal's reason.
 */
export async function recoverPosition(
  { argv }: RecoverCommand,
  signal: AbortSignal,
): Promise<RecoveredPosition | undefined> {
  // It changes the data, so it ends with us. To stderr, whatever log the options name: that is where the position is read.
  const command = [...argv, '--wsrep-recover', '--disable-log-error'];
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const onStderr = (chunk: Uint8Array): void => {
    bytes += chunk.length;
    if (bytes <= limits.recoverOutputBytesMax) chunks.push(chunk);
  };
  signal.throwIfAborted();
  await using child = await spawnTethered(command, { onStderr });
  child.stdin.end();
  child.stdout.resume();
  const end = (): void => void child.terminate(0);
  signal.addEventListener('abort', end, { once: true });
  const exit = await child.exited;
  signal.removeEventListener('abort', end);
  signal.throwIfAborted();
  if (exit.code !== 0) {
    throw new BatonError('CHILD_FAILED', describeExit(command, exit), {
      hint: 'the server tells in its own words why it does not start on this data',
    });
  }
  if (bytes > limits.recoverOutputBytesMax) {
    throw new BatonError(
      'LIMIT',
      `${command[0]} wrote ${bytes} bytes, and at most ${limits.recoverOutputBytesMax} are read`,
    );
  }
  return parseRecovered(Buffer.concat(chunks).toString());
}
