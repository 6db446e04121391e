import { BatonError } from '@batondb/core/errors';
import { proofsOf, type TransferContext } from '../context.ts';
import { donorLines } from '../contract/lines.ts';
import { formatPosition, type GaleraPosition } from '../contract/position.ts';
import { parseReady } from '../contract/ready.ts';
import { patienceOf } from '../patience.ts';
import { domainOf } from '../position-words.ts';
import { type ConnectOptions, connectToJoiner, type DonorSession } from '../wire/donor-session.ts';
import { sendBackup } from './backup.ts';
import { sendFiles } from './files.ts';
import { sendLogical } from './logical.ts';

/**
 * The donor's part of a transfer: finds the joiner by what it has said, proves itself, gives it the state, and tells the server that it is free again. Throws what ended
 * it; the joiner has heard the cause then.
 */
export async function donate(context: TransferContext, signal: AbortSignal): Promise<void> {
  const { call, settings, key, certified, log, status, say } = context;
  const { position } = call;
  if (position === undefined)
    throw new BatonError('USAGE', 'the server has not said --gtid, the position of the transfer');
  const ready = parseReady(call);
  const peer = `${ready.host}:${ready.port}`;
  log.info(`the joiner is at ${peer}; both sides are proven by ${proofsOf(context)}`);
  const options: ConnectOptions = {
    ...ready,
    key: key.bytes,
    certified,
    patience: patienceOf(settings),
    onNote: (note) => log.info(note),
    onProgress: ({ stage }) => log.info(`the joiner is at: ${stage}`),
  };
  await using session = await connectToJoiner(options, signal);
  status.tell({ peer, method: methodOf(context) });
  try {
    const reached = await give(context, session, position, AbortSignal.any([signal, session.signal]));
    say(donorLines.done(reached, call.dialect));
    log.info(`the joiner has all of it, at ${formatPosition(reached)}`);
  } catch (error) {
    session.fail(error);
    throw error;
  }
}

function methodOf({ call, settings }: TransferContext): 'bypass' | TransferContext['settings']['method'] {
  return call.isBypass ? 'bypass' : settings.method;
}

/** Returns the position that the joiner has then. */
async function give(
  context: TransferContext,
  session: DonorSession,
  position: GaleraPosition,
  signal: AbortSignal,
): Promise<GaleraPosition> {
  switch (methodOf(context)) {
    case 'bypass':
      return await passBy(context, session, position, signal);
    case 'backup':
      return await sendBackup(context, session, position, signal);
    case 'files':
      return await sendFiles(context, session, signal);
    case 'logical':
      return await sendLogical(context, session, signal);
  }
}

/** The joiner takes what it lacks from Galera itself, and needs nothing but the position that this begins at. */
async function passBy(
  { say, log }: TransferContext,
  session: DonorSession,
  position: GaleraPosition,
  signal: AbortSignal,
): Promise<GaleraPosition> {
  log.info('an incremental transfer: Galera itself sends what the joiner lacks');
  say(donorLines.continue);
  await session.offer({ method: 'bypass', estimatedBytes: 0, about: {} }, signal);
  await session.finish(formatPosition(position), domainOf(position), signal);
  return position;
}
