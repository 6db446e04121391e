import { mkdirSync, readdirSync } from 'node:fs';
import { BatonError } from '@batondb/core/errors';
import { toBatonError } from '@batondb/core/files/system-error';
import { describeExit } from '@batondb/core/process/child';
import { spawnTethered } from '@batondb/core/process/tethered';
import { readPosition, writePosition } from '@batondb/mariadb';
import { directoryBytes } from '@batondb/mariadb/data-bytes';
import type { TransferContext } from '../context.ts';
import { parseCall } from '../contract/call.ts';
import { formatPosition } from '../contract/position.ts';
import { receiveBackup } from '../joiner/receive-backup.ts';
import { checkRoom } from '../joiner/room.ts';
import { Leftovers } from '../leftovers.ts';
import { ServerLog } from '../report/log.ts';
import { Progress } from '../report/progress.ts';
import { readServerOptions } from '../settings/server-options.ts';
import { parseSettings } from '../settings/settings.ts';
import { type JoinerSession, listenForDonor } from '../wire/joiner-session.ts';
import { encodeRequest } from './request.ts';

export type RehearseOptions = {
  /** Starts the donor's part, `baton galera donate`, on its host: program and arguments. It reads the request on its standard input. */
  readonly remote: readonly string[];
  /** Where the backup is made: an empty directory, or a name that is free. */
  readonly directory: string;
  readonly port: number;
  /** Where the donor reaches this machine. Default: where its login comes from. */
  readonly host: string | undefined;
  readonly prepareMemoryBytes: number;
  /** Gets a line without its end. */
  readonly write: (line: string) => void;
};

/** What a transfer from this donor takes. */
export type RehearsalReport = {
  /** `UUID:SEQNO`, where the backup stands. */
  readonly position: string;
  /** From the login to a backup that a server can start on. */
  readonly durationMs: number;
  /** Of all files. */
  readonly bytes: number;
  /** How long tables of the donor could not be changed. */
  readonly donorLockedMs: number;
};

const silenceMsMax = 120_000;
const firstWordMsMax = 60_000;
const noStatus = { tell: (): void => undefined };

/**
 * A whole transfer from a live donor into a directory, prepared and checked as a joiner does it, without any node leaving its cluster. What it leaves is a backup that knows its
 * position. Throws EXISTS, NO_SPACE, CHILD_FAILED for the remote shell, and what a joiner throws.
 */
export async function rehearse(options: RehearseOptions, signal: AbortSignal): Promise<RehearsalReport> {
  const beganMs = performance.now();
  makeEmpty(options.directory);
  const log = new ServerLog('documented', 'joiner', options.write);
  using progress = new Progress(log, noStatus);
  using leftovers = new Leftovers();
  await using session = await listenForDonor(
    {
      ports: { first: options.port, last: options.port, excluded: [] },
      key: undefined,
      onNote: (note) => log.info(note),
    },
    signal,
  );
  const ended = new AbortController();
  await using donor = await startDonor(options, session, ended);
  const late = setTimeout(() => ended.abort(tooLate()), firstWordMsMax);
  const offer = await session
    .offer(AbortSignal.any([signal, session.signal, ended.signal]))
    .finally(() => clearTimeout(late));
  const running = AbortSignal.any([signal, session.signal]);
  checkRoom(options.directory, offer.estimatedBytes, 'double');
  const context = contextOf(options, { log, progress, leftovers });
  const { position, lockedMs } = await receiveBackup(
    context,
    session,
    offer,
    { directory: options.directory, olds: [] },
    running,
  );
  await writePosition(options.directory, await readPosition(options.directory));
  await donor.ended;
  return {
    position: formatPosition(position),
    durationMs: performance.now() - beganMs,
    bytes: await directoryBytes(options.directory, () => false, signal),
    donorLockedMs: lockedMs,
  };
}

function contextOf(
  { directory, prepareMemoryBytes }: RehearseOptions,
  parts: Pick<TransferContext, 'log' | 'progress' | 'leftovers'>,
): TransferContext {
  const call = parseCall(['--role', 'joiner', '--address', '127.0.0.1', '--datadir', directory], {});
  const server = readServerOptions(call, new Map());
  const settings = parseSettings(new Map(), new Map(), server, undefined);
  return {
    call,
    settings: { ...settings, prepareMemoryBytes, silenceMsMax },
    server,
    key: { bytes: undefined, origin: 'the secret that went by the login' },
    certified: undefined,
    ...parts,
    status: noStatus,
    say: () => undefined,
  };
}

function tooLate(): BatonError {
  return new BatonError('TIMED_OUT', `the donor has not connected within ${firstWordMsMax / 1000} s`, {
    hint: 'open the port (--port) in the firewall between the two, or name this machine by --address',
  });
}

function makeEmpty(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    if (readdirSync(directory).length === 0) return;
  } catch (error) {
    throw toBatonError(error, { path: directory });
  }
  throw new BatonError('EXISTS', `${directory} is not empty, and nothing existing is ever overwritten`, {
    hint: 'name another directory',
  });
}

/** Its words go to our log; that it ends before it has connected ends the waiting for it. */
async function startDonor(
  { remote, host, port, write }: RehearseOptions,
  { secret, fingerprint }: JoinerSession,
  ended: AbortController,
): Promise<AsyncDisposable & { readonly ended: Promise<void> }> {
  const decoder = new TextDecoder();
  const child = await spawnTethered(remote, {
    onStderr: (chunk) => {
      for (const line of decoder.decode(chunk, { stream: true }).split('\n')) if (line !== '') write(line);
    },
  });
  child.stdin.end(encodeRequest({ host, port, secret, fingerprint }));
  child.stdout.resume();
  const finished = child.exited.then((exit) => {
    if (exit.code === 0) return;
    const error = new BatonError('CHILD_FAILED', describeExit(remote, exit), {
      hint: 'log in there by hand; the donor needs the same release of baton, as root or as the user of its server',
    });
    ended.abort(error);
    throw error;
  });
  finished.catch(() => undefined);
  return { ended: finished, [Symbol.asyncDispose]: () => child.terminate(0) };
}
