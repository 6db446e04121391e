import { join } from 'node:path';
import { formatDuration } from '@batondb/core/text/format';
import { dataFileBytes } from '@batondb/mariadb/data-bytes';
import { checkTables, factsOf } from '../compatibility.ts';
import type { TransferContext } from '../context.ts';
import { flushAnswerFiles } from '../contract/lines.ts';
import { formatPosition, type GaleraPosition } from '../contract/position.ts';
import { domainOf } from '../position-words.ts';
import { StallGuard } from '../stall-guard.ts';
import type { DonorSession } from '../wire/donor-session.ts';
import { sendTree } from '../wire/send-tree.ts';
import { flushTables, letGoOn } from './flush-tables.ts';
import { checkOnePlace, notSent } from './own-files.ts';
import { sendOptionsOf } from './send-options.ts';

/** Copies our server's files while the cluster waits: for engines that no hot backup takes, and where there is no backup tool. Returns the position that they are at. */
export async function sendFiles(
  { call, settings, server, log, progress, leftovers, say }: TransferContext,
  session: DonorSession,
  signal: AbortSignal,
): Promise<GaleraPosition> {
  const { dataDirectory } = call;
  checkOnePlace(server);
  checkTables(dataDirectory);
  const places = {
    dataDirectory,
    moreDirectories: [],
    logBasenames: server.binlog === undefined ? [] : [server.binlog],
  };
  const estimatedBytes = await dataFileBytes(places, signal);
  await session.offer({ method: 'files', estimatedBytes, about: factsOf(server) }, signal);
  leftovers.add(join(dataDirectory, flushAnswerFiles.done));
  const beganMs = performance.now();
  const position = await flushTables(dataDirectory, say, settings.silenceMsMax, signal);
  try {
    // The whole cluster waits for these bytes.
    using guard = new StallGuard('neither could files be read nor has the joiner taken any', settings.silenceMsMax);
    let sentBytes = 0;
    progress.begin({
      name: 'sending files while the cluster waits',
      doneBytes: () => sentBytes,
      totalBytes: estimatedBytes,
    });
    const options = {
      ...sendOptionsOf(settings),
      onProgress: (bytes: number): void => {
        if (bytes !== sentBytes) guard.alive();
        sentBytes = bytes;
      },
    };
    const either = AbortSignal.any([signal, guard.signal]);
    await sendTree(session, { directory: dataDirectory, exclude: notSent(server) }, options, either);
  } finally {
    letGoOn(dataDirectory, say);
  }
  log.info(`the cluster waited for ${formatDuration(performance.now() - beganMs)}`);
  await session.finish(formatPosition(position), domainOf(position), signal);
  return position;
}
