import type { TargetState } from './target-state.ts';

// Whether a target gets on, judged once a second from what it and its sender say. Pure.

/** What the coordinator has to do about a target. */
export type Verdict = 'fine' | 'stalled' | 'lagging' | 'given-up';

const stallMsMax = 10_000;
const stallsMax = 4;
/** A target this far behind its sender, and this much slower, for this long, is a laggard. */
const lagBytesMin = 64 * 1024 * 1024;
const lagRate = 0.7;
const lagSecondsMax = 5;

/** Judges one target. `upstream` is its sender's state; undefined when the source itself feeds it. */
export function judge(
  state: TargetState,
  upstream: TargetState | undefined,
  hasChildren: boolean,
  nowMs: number,
): Verdict {
  if (!state.isReceiving || state.progress.phase !== 'receiving') return checkedLong(state, upstream, nowMs);
  const aheadBytes = (upstream?.progress.doneBytes ?? state.progress.totalBytes) - state.progress.doneBytes;
  if (aheadBytes > 0 && nowMs - state.movedAtMs > stallMsMax)
    return state.stalls + 1 >= stallsMax ? 'given-up' : 'stalled';
  const isSlow = upstream !== undefined && state.rate.bytesPerSecond() < upstream.rate.bytesPerSecond() * lagRate;
  state.laggingSeconds = hasChildren && aheadBytes > lagBytesMin && isSlow ? state.laggingSeconds + 1 : 0;
  return state.laggingSeconds > lagSecondsMax ? 'lagging' : 'fine';
}

/** A target waits for the manifest, or checks what an earlier run left, which may take as long as it takes. */
function checkedLong(state: TargetState, upstream: TargetState | undefined, nowMs: number): Verdict {
  const isWaiting = state.isReceiving && state.progress.doneBytes === 0 && state.progress.resumedBytes === 0;
  const hasSender = upstream === undefined || upstream.progress.phase !== 'checking';
  if (!isWaiting || !hasSender || nowMs - state.movedAtMs <= 6 * stallMsMax) return 'fine';
  return state.stalls + 1 >= stallsMax ? 'given-up' : 'fine';
}
