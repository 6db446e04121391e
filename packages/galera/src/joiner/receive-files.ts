import { rmdirSync } from 'node:fs';
import type { TransferContext } from '../context.ts';
import type { GaleraPosition } from '../contract/position.ts';
import { positionOf } from '../position-words.ts';
import { partNames, type Staging } from '../state/staging.ts';
import type { JoinerSession } from '../wire/joiner-session.ts';
import type { Offer } from '../wire/messages.ts';
import { receiveTree } from '../wire/receive-tree.ts';

/** Receives the donor's files, which nobody changes meanwhile. Returns where they stand. */
export async function receiveFiles(
  { progress }: TransferContext,
  session: JoinerSession,
  { estimatedBytes }: Offer,
  staging: Staging,
  signal: AbortSignal,
): Promise<{ readonly position: GaleraPosition }> {
  session.accept();
  let receivedBytes = 0;
  progress.begin({ name: 'receiving files', doneBytes: () => receivedBytes, totalBytes: estimatedBytes });
  // It gets its name when all of it is there.
  rmdirSync(staging.newPath);
  const onProgress = (bytes: number): void => void (receivedBytes = bytes);
  await receiveTree(session, { directory: staging.path, name: partNames.new, onProgress }, signal);
  const position = positionOf(await session.finish(signal));
  await session.verified();
  return { position };
}
