import type { TargetState } from './target-state.ts';

// Whether a target gets on, judged once a second from what it and its sender say. Pure.

/** What the coordinator has to do about a target. */
export type Verdict = 'fine' | 'stalled' | 'lagging' | 'given-up';

/** Nothing arrives although there is something to send: no link and no disk pauses that long. */
const stallMsMax = 10_000;
/** The same before the first unit: a long manifest travels, and is read, before anything moves. */
const checkingMsMax = 60_000;
/** Senders that are tried, each for that long, before a target is given up. */
const stallsMax = 4;
/** A target this far behind its sender, and this much slower, for this long, is a laggard. */
const lagBytesMin = 64 * 1024 * 1024;
const lagRate = 0.7;
const lagSecondsMax = 5;

/**
 * Judges one target. `upstream` is its sender's state; undefined when the source itself feeds it. `unitMs` is how long a limit
 * of the bandwidth makes a unit take.
 */
export function judge(
  state: TargetState,
  upstream: TargetState | undefined,
  hasChildren: boolean,
  { nowMs, unitMs }: { readonly nowMs: number; readonly unitMs: number },
): Verdict {
  if (!state.isReceiving || upstream?.progress.phase === 'checking') return 'fine';
  const isChecking = state.progress.phase === 'checking';
  const aheadBytes = isChecking ? 0 : availableBytes(state, upstream) - state.progress.doneBytes;
  // A sender that says that it cannot reach the target need not be waited for.
  const patienceMs = isChecking && state.lastHopError === undefined ? checkingMsMax : stallMsMax + 2 * unitMs;
  if ((isChecking || aheadBytes > 0) && nowMs - state.movedAtMs > patienceMs)
    return state.stalls + 1 >= stallsMax ? 'given-up' : 'stalled';
  const isSlow = upstream !== undefined && state.receivingRate < upstream.receivingRate * lagRate;
  // Once: when it is its sender that is slow at sending, every other place in the chain would only look the same.
  const holdsUp = hasChildren && !state.hasLagged && aheadBytes > lagBytesMin && isSlow;
  state.laggingSeconds = holdsUp ? state.laggingSeconds + 1 : 0;
  return state.laggingSeconds > lagSecondsMax ? 'lagging' : 'fine';
}

/** What a target's sender has to give. After its last unit, its progress speaks of other things. */
function availableBytes(state: TargetState, upstream: TargetState | undefined): number {
  return upstream?.progress.phase === 'receiving' ? upstream.progress.doneBytes : state.sourceBytes;
}
