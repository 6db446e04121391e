import { BatonError } from '@batondb/core/errors';
import { formatBytes } from '@batondb/core/text/format';
import { type BackupTool, chooseTool, prepare, readGaleraInfo, ShareBehind, unpackContent } from '@batondb/mariadb';
import { parseServerVersion } from '@batondb/mariadb/version';
import type { TransferContext } from '../context.ts';
import { joinerLines } from '../contract/lines.ts';
import { formatPosition, type GaleraPosition, parsePosition } from '../contract/position.ts';
import { positionOf } from '../position-words.ts';
import { StallGuard } from '../stall-guard.ts';
import type { JoinerSession } from '../wire/joiner-session.ts';
import type { Offer } from '../wire/messages.ts';
import { receiveStream } from '../wire/receive-stream.ts';

/** Recovery says how far it is every 15 s. */
const prepareSilenceMsMax = 600_000;

export type ReceivedBackup = {
  /** Where it ends: the donor's own position at that moment, as the tool has noted it. */
  readonly position: GaleraPosition;
  /** How long tables of the donor could not be changed; NaN where it has not said so. */
  readonly lockedMs: number;
};

/** Where new data comes: an empty directory, and the directories of an old state that it shares with what is equal; none: nothing is shared. */
export type NewData = { readonly directory: string; readonly olds: readonly string[] };

/** Unpacks a hot backup while it comes, and prepares it; the tool's own files stay beside the data. */
export async function receiveBackup(
  context: TransferContext,
  session: JoinerSession,
  offer: Offer,
  into: NewData,
  signal: AbortSignal,
): Promise<ReceivedBackup> {
  const { settings, log } = context;
  const { directory } = into;
  const version = parseServerVersion(offer.about['serverVersion'] ?? '', '');
  const tool = await chooseTool(version, signal);
  session.accept({ tool: tool.version.text });
  await unpack(context, session, offer, { into, tool }, signal);
  const finish = await session.finish(signal);
  const told = positionOf(finish);
  // From here on the donor is free.
  await session.verified();
  using guard = new StallGuard('the preparing of the backup has said nothing', prepareSilenceMsMax);
  context.progress.begin({ name: 'preparing the backup' });
  const options = {
    directory,
    tool,
    memoryBytes: settings.prepareMemoryBytes,
    moreArguments: settings.prepareArguments,
  };
  await prepare(options, () => guard.alive(), AbortSignal.any([signal, guard.signal]));
  const position = await positionIn(directory, told);
  log.info(`the backup is prepared, and ends at ${formatPosition(position)}`);
  return { position, lockedMs: Number(finish.about['lockedMs'] ?? Number.NaN) };
}

async function unpack(
  { call, settings, progress, say, log }: TransferContext,
  session: JoinerSession,
  { estimatedBytes }: Offer,
  { into: { directory, olds }, tool }: { readonly into: NewData; readonly tool: BackupTool },
  signal: AbortSignal,
): Promise<void> {
  using guard = new StallGuard('nothing of the backup has come or could be unpacked', settings.silenceMsMax);
  // A donor that waits for a lock sends nothing and is alive; that says nothing of an unpacker that has not taken what came before.
  let isUnpacking = false;
  using _alive = session.onPeerProgress(() => {
    if (!isUnpacking) guard.alive();
  });
  let receivedBytes = 0;
  progress.begin({ name: 'receiving a hot backup', doneBytes: () => receivedBytes, totalBytes: estimatedBytes });
  if (call.progress) say(joinerLines.total(estimatedBytes));
  const onProgress = (bytes: number): void => {
    receivedBytes = bytes;
    if (call.progress) say(joinerLines.complete(bytes));
  };
  const either = AbortSignal.any([signal, guard.signal]);
  const content = async function* (): AsyncGenerator<Uint8Array, void, void> {
    for await (const chunk of receiveStream(session, { onProgress }, either)) {
      guard.alive();
      isUnpacking = true;
      yield chunk;
      isUnpacking = false;
      guard.alive();
    }
    isUnpacking = true;
  };
  if (olds.length === 0) {
    await unpackContent(content(), directory, tool, either);
    return;
  }
  const sharing = new ShareBehind(directory, olds, either);
  const { contentBytes } = await unpackContent(content(), sharing, tool, either);
  log.info(`${formatBytes(sharing.sharedBytes)} of ${formatBytes(contentBytes)} share the blocks of the old data`);
}

/** The tool's word counts; it is of the donor's cluster, and no older than what was asked for. */
async function positionIn(directory: string, told: GaleraPosition): Promise<GaleraPosition> {
  const text = await readGaleraInfo(directory);
  if (text === undefined) {
    throw new BatonError('BACKUP_FAILED', 'the backup does not say at which position of the cluster it ends', {
      hint: "look at the donor's error log, and whether its server is a node of the cluster",
    });
  }
  const [words = ''] = text.split('\n');
  const noted = parsePosition(words);
  if (noted.uuid !== told.uuid || noted.seqno < told.seqno) {
    throw new BatonError(
      'BACKUP_FAILED',
      `the backup ends at ${formatPosition(noted)}, and the donor was at ${formatPosition(told)} when it was asked for`,
    );
  }
  return { ...noted, domainId: noted.domainId ?? told.domainId };
}
