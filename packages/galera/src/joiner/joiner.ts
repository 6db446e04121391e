import { BatonError } from '@batondb/core/errors';
import { checkEncryption, checkFacts } from '../compatibility.ts';
import { proofsOf, type TransferContext } from '../context.ts';
import { portOf } from '../contract/address.ts';
import { joinerLines } from '../contract/lines.ts';
import { parseOptionWords } from '../contract/option-words.ts';
import { formatPosition, type GaleraPosition } from '../contract/position.ts';
import { formatReady } from '../contract/ready.ts';
import { patienceOf } from '../patience.ts';
import { positionOf } from '../position-words.ts';
import { checkLayout } from '../state/check-layout.ts';
import { describeSettled } from '../state/describe.ts';
import { giveUpOld } from '../state/give-up.ts';
import { readJournal } from '../state/journal.ts';
import { resolveLayout } from '../state/layout.ts';
import { saveState } from '../state/saved-state.ts';
import { type Staging, savedStateName } from '../state/staging.ts';
import { removeReplaced, swap } from '../state/swap.ts';
import { takeStaging } from '../state/take-staging.ts';
import { type JoinerSession, listenForDonor } from '../wire/joiner-session.ts';
import type { Offer } from '../wire/messages.ts';
import { layoutOf } from './layout.ts';
import { receiveLogical } from './logical.ts';
import { checkMethod } from './method.ts';
import { ProgressMark } from './progress-mark.ts';
import { receiveBackup } from './receive-backup.ts';
import { receiveFiles } from './receive-files.ts';
import { checkRoom } from './room.ts';
import { checkSharedMethod, checkSharing, sharingSentence } from './sharing.ts';
import { removeToolFiles } from './tool-files.ts';

/**
 * The joiner's part of a transfer. Whatever can be wrong on this node is found before `ready`, for then the donor is not troubled; the old data stays until the new is
 * verified, prepared and on the disk (G1); the position is said last (G3). Throws what ended it; the donor has heard the cause then.
 */
export async function join(context: TransferContext, signal: AbortSignal): Promise<void> {
  const { call, settings, server, log } = context;
  await checkMethod(settings.method, signal);
  checkEncryption(server, settings.method);
  checkSharedMethod(settings.space, settings.method);
  const { staging: taken, settled } = takeStaging(call.dataDirectory);
  using staging = taken;
  const found = describeSettled(settled);
  if (found !== undefined) log.warn(found);
  checkLayout(staging, layoutOf(server));
  if (settings.space === 'reflink') checkSharing(staging);
  const startPosition = parseOptionWords(call.serverArguments).get('wsrep-start-position');
  const saved = saveState(staging, startPosition);
  if (saved !== undefined)
    log.info(`the old data is at ${saved.uuid}:${saved.seqno}, which is kept until the new is in place`);
  using _mark = new ProgressMark(call.dataDirectory, context.leftovers);
  try {
    await take(context, staging, signal);
  } catch (error) {
    // What was received is of no use; what a swap has begun is for `recover`.
    if (readJournal(staging.descriptor) === undefined) staging.empty([savedStateName]);
    throw error;
  }
}

async function take(context: TransferContext, staging: Staging, signal: AbortSignal): Promise<void> {
  const { call, key, certified, log, status, say, settings } = context;
  const { host } = call.address;
  const port = portOf(call.address);
  await using session = await listenForDonor(
    {
      ports: { first: port, last: port, excluded: [] },
      key: key.bytes,
      certified,
      patience: patienceOf(settings),
      onNote: (note) => log.info(note),
      onProgress: ({ stage, totalBytes, doneBytes }) => context.status.tell({ stage, totalBytes, doneBytes }),
    },
    signal,
  );
  log.info(`waiting for the donor at port ${port}; both sides are proven by ${proofsOf(context)}`);
  say(formatReady({ host, port: session.port, secret: session.secret, fingerprint: session.fingerprint }));
  const either = AbortSignal.any([signal, session.signal]);
  try {
    const offer = await firstOffer(session, settings.firstWordMsMax, either);
    status.tell({ method: offer.method });
    const position = await receive(context, session, offer, staging, either);
    say(joinerLines.position(position, call.dialect));
    log.info(`the new data is in place, at ${formatPosition(position)}`);
    clear(staging, context);
  } catch (error) {
    session.fail(error);
    throw error;
  }
}

/** A donor that never comes must not hold the server up for ever (G6). */
async function firstOffer(session: JoinerSession, msMax: number, signal: AbortSignal): Promise<Offer> {
  const late = AbortSignal.timeout(msMax);
  try {
    return await session.offer(AbortSignal.any([signal, late]));
  } catch (error) {
    if (!late.aborted || signal.aborted) throw error;
    throw new BatonError('TIMED_OUT', `no donor has come within ${msMax / 1000} s`, {
      hint: "look at the donor's error log, and whether the port is open; sst-initial-timeout in [sst] is the limit",
      cause: error,
    });
  }
}

/** Brings what is offered into place. Returns where it stands. */
async function receive(
  context: TransferContext,
  session: JoinerSession,
  offer: Offer,
  staging: Staging,
  signal: AbortSignal,
): Promise<GaleraPosition> {
  const { settings, server, log, progress } = context;
  if (offer.method === 'bypass') {
    session.accept();
    const position = positionOf(await session.finish(signal));
    await session.verified();
    log.info('the old data is good enough: Galera itself sends what it lacks');
    // G8: a server that gives its position up later has a reason.
    staging.remove();
    return position;
  }
  checkFacts(offer.about, server);
  checkSharedMethod(settings.space, offer.method);
  const layout = layoutOf(server);
  if (settings.space === 'in-place') {
    log.warn(
      'the old data is removed now, since space=in-place is set: until the new data is in place this node has none',
    );
    giveUpOld({ staging, layout }, signal);
  } else {
    const { freeBytes, neededBytes } = checkRoom(staging.path, offer.estimatedBytes, settings.space);
    if (settings.space === 'reflink') log.info(sharingSentence(offer.estimatedBytes, neededBytes, freeBytes));
  }
  const olds = settings.space === 'reflink' ? resolveLayout(layout).places.map(({ path }) => path) : [];
  const { position } =
    offer.method === 'backup'
      ? await receiveBackup(context, session, offer, { directory: staging.newPath, olds }, signal)
      : offer.method === 'logical'
        ? await receiveLogical(context, session, offer, staging, signal)
        : await receiveFiles(context, session, offer, staging, signal);
  await removeToolFiles(staging.newPath);
  progress.begin({ name: 'putting the new data in place' });
  const { out, in: incoming } = await swap({ staging, layout, position: formatPosition(position) }, signal);
  log.info(`${incoming} new entries have taken the place of ${out} old ones`);
  return position;
}

/** The server has what it asked for: a disk that fails now is no failure of the transfer. */
function clear(staging: Staging, { log }: TransferContext): void {
  try {
    if (readJournal(staging.descriptor) === undefined) return;
    removeReplaced(staging);
    staging.remove();
  } catch (error) {
    log.warn(`the old data in ${staging.path} could not be removed, and the next start will do it: ${String(error)}`);
  }
}
