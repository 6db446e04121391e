import { BatonError } from '@batondb/core/errors';
import { formatDuration } from '@batondb/core/text/format';
import { type BackupEvent, chooseTool, startBackup } from '@batondb/mariadb';
import { checkEncryption, checkTables, factsOf } from '../compatibility.ts';
import type { TransferContext } from '../context.ts';
import { donorLines } from '../contract/lines.ts';
import { formatPosition, type GaleraPosition } from '../contract/position.ts';
import { domainOf } from '../position-words.ts';
import { StallGuard } from '../stall-guard.ts';
import type { DonorSession } from '../wire/donor-session.ts';
import { sendStream } from '../wire/send-stream.ts';
import { logIn } from './login.ts';
import { PrivateDirectory } from './private-directory.ts';
import { sendOptionsOf } from './send-options.ts';

/** Files that the tool reads at the same time, unless an operator says otherwise: one disk gives no more to more. */
const backupThreads = 4;
/** How often the other side hears of us at least: several times in what it takes for silence. */
const tellMsMax = 10_000;
const tellsPerSilence = 3;

/**
 * Streams a hot backup of our server to the joiner, while clients go on. Returns the position that the transfer was asked for: the joiner has that of the backup, which
 * is the same or later.
 */
export async function sendBackup(
  { call, settings, server: options, log, progress, leftovers, say }: TransferContext,
  session: DonorSession,
  position: GaleraPosition,
  signal: AbortSignal,
): Promise<GaleraPosition> {
  checkEncryption(options, 'backup');
  checkTables(call.dataDirectory);
  // The cluster need not wait for us: a backup takes what locks it needs by itself, and only at its end.
  say(donorLines.continue);
  await using directory = await PrivateDirectory.make(leftovers);
  const server = await logIn(call, settings.credentials, directory, signal);
  const tool = await chooseTool(server.version, signal);
  const estimatedBytes = await server.dataBytes(signal);
  const about = {
    serverVersion: server.version.text,
    tool: tool.version.text,
    ...factsOf(options),
    ...domainOf(position),
  };
  await session.offer({ method: 'backup', estimatedBytes, about }, signal);
  using guard = new StallGuard('neither the backup tool nor the joiner has gone on', settings.silenceMsMax);
  const either = AbortSignal.any([signal, guard.signal]);
  const locks = new LockClock();
  await using backup = await startBackup(
    {
      server,
      tool,
      parallel: settings.backupThreads ?? backupThreads,
      temporaryDirectory: directory.path,
      withGaleraInfo: true,
      moreArguments: settings.backupArguments,
      onEvent: (event) => {
        guard.alive();
        locks.hear(event);
      },
    },
    either,
  );
  let sentBytes = 0;
  progress.begin({ name: 'sending a hot backup', doneBytes: () => sentBytes, totalBytes: estimatedBytes });
  // A tool that waits for a lock sends nothing, and is alive.
  const tellMs = Math.min(tellMsMax, settings.silenceMsMax / tellsPerSilence);
  const telling = setInterval(() => session.progress('sending the backup', sentBytes, estimatedBytes), tellMs);
  try {
    const source = { content: backup.stdout, finished: async (): Promise<void> => void (await backup.done) };
    const sending = {
      ...sendOptionsOf(settings),
      onProgress: (bytes: number): void => {
        if (bytes !== sentBytes) guard.alive();
        sentBytes = bytes;
      },
    };
    await sendStream(session, source, sending, either);
  } catch (error) {
    // How the tool ended tells more than that its stream did.
    throw await toolError(backup.done, error);
  } finally {
    clearInterval(telling);
  }
  log.info(`tables could not be changed for ${formatDuration(locks.totalMs)} at the end of the backup`);
  await session.finish(
    formatPosition(position),
    { ...domainOf(position), lockedMs: String(Math.round(locks.totalMs)) },
    either,
  );
  return position;
}

/** The tool's own failure, if it has failed by now; else what was caught. */
async function toolError(done: Promise<unknown>, caught: unknown): Promise<unknown> {
  const soon = new Promise<undefined>((resolve) => setTimeout(resolve, 500, undefined).unref());
  const failed = done.then(
    () => undefined,
    (error: unknown) => error,
  );
  const isBroken = caught instanceof BatonError && caught.code === 'BACKUP_FAILED';
  return isBroken ? ((await Promise.race([failed, soon])) ?? caught) : caught;
}

/** How long the tool has held the server's tables. */
class LockClock {
  totalMs = 0;
  #sinceMs: number | undefined;

  hear({ type }: BackupEvent): void {
    if (type === 'locked') this.#sinceMs ??= performance.now();
    if (type !== 'unlocked' || this.#sinceMs === undefined) return;
    this.totalMs += performance.now() - this.#sinceMs;
    this.#sinceMs = undefined;
  }
}
