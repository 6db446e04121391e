import { setTimeout as delay } from 'node:timers/promises';
import { BatonError } from '@batondb/core/errors';
import type { SinkView } from '../sink.ts';
import type { Observation } from '../source.ts';
import type { Position } from '../stream.ts';
import { verifyLimits } from './limits.ts';

/** Looks at a sink as it is now. Throws UNAVAILABLE (retryable) while its tables are not at one position, and NOT_FOUND where there is none. */
export type OpenView = (signal: AbortSignal) => Promise<SinkView>;

/**
 * The sink as soon as it has all that the source's state has, by its own position: an idle source tells of its place, too. It is waited for as long as it moves. Throws
 * UNAVAILABLE when it stands still.
 */
export async function awaitView(
  openView: OpenView,
  observation: Observation,
  signal: AbortSignal,
  stallMs: number = verifyLimits.stallMs,
): Promise<SinkView> {
  let last: Position | undefined;
  let movedAtMs = Date.now();
  for (;;) {
    signal.throwIfAborted();
    const found = await look(openView, signal);
    if ('view' in found) {
      const { position } = found.view.state;
      if (observation.isReachedBy(position)) return found.view;
      await found.view[Symbol.asyncDispose]();
      if (position !== last) movedAtMs = Date.now();
      last = position;
    }
    if (Date.now() - movedAtMs > stallMs) {
      if ('closed' in found) throw found.closed;
      const { position } = observation;
      throw new BatonError(
        'UNAVAILABLE',
        `the sink has been at ${last} for ${stallMs / 1000} s, and the source is at ${position}: nothing feeds it`,
        {
          retryable: true,
          hint: 'start its sync, or look what it waits for (baton sync status); a sink of --dump-only cannot be compared, since its source has moved on',
        },
      );
    }
    await delay(verifyLimits.lookMs, undefined, { signal }).catch(() => undefined);
  }
}

/** `closed`: why there is no state that could be looked at just now. */
async function look(
  openView: OpenView,
  signal: AbortSignal,
): Promise<{ readonly view: SinkView } | { readonly closed: BatonError }> {
  try {
    return { view: await openView(signal) };
  } catch (error) {
    if (error instanceof BatonError && error.code === 'UNAVAILABLE') return { closed: error };
    throw error;
  }
}
