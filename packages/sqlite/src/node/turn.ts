import type { Watch } from '../engine/connection.ts';
import type { Turn } from './request.ts';

/** When the work of a call has to end, beginning now. */
export function watchOf({ call, interrupted, timeoutMs }: Turn): Watch {
  return {
    deadlineMs: performance.now() + timeoutMs,
    isInterrupted: () => Atomics.load(interrupted, 0) >= call,
  };
}
