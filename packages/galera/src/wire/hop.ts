import { BatonError } from '@batondb/core/errors';
import { dataVersions } from '@batondb/core/protocol/versions';
import { sendToHop } from '@batondb/core/transfer/hop-sender';
import type { UnitCompression } from '@batondb/core/transfer/jobs';
import { RateLimit } from '@batondb/core/transfer/rate-limit';
import type { UnitSupply } from '@batondb/core/transfer/supply';
import { pause } from '../pause.ts';
import type { DonorSession } from './donor-session.ts';
import { wireLimits } from './limits.ts';
import { jobIdOf } from './proof.ts';

// The data of a session travels as a hop of core's transfer engine with two members and one route.

/** Numbers of the two members. */
export const members = { joiner: 0, donor: 1 } as const;
/** There is one route, and it is never changed. */
export const onlyEpoch = 1;

/** How data is sent. */
export type SendOptions = {
  /** Data connections. Default: 4. */
  readonly streams?: number;
  /** Default: `auto`, which is zstd level 1 for units that it shrinks, while it pays. */
  readonly compression?: UnitCompression;
  /** Default: no limit. */
  readonly bytesPerSecond?: number | undefined;
  /** Threads that read, hash and compress. Default: 2. */
  readonly workers?: number;
};

export const sendDefaults = { streams: 4, compression: { mode: 'auto' }, workers: 2 } as const;

/**
 * Feeds a transfer to the joiner until it has all of it; returns its tree digest. A connection that breaks is opened again for as long as
 * the session lasts: that notices when the joiner does not come back. Throws what the joiner refuses with, and what the session or
 * `signal` ends with.
 */
export async function feed(
  session: DonorSession,
  transfer: number,
  supply: UnitSupply,
  options: SendOptions,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const { streams = sendDefaults.streams, compression = sendDefaults.compression, bytesPerSecond } = options;
  const { workers = sendDefaults.workers } = options;
  const hop = {
    hello: {
      version: dataVersions.max,
      jobId: jobIdOf(session.ids.secret, transfer),
      from: members.donor,
      to: members.joiner,
      epoch: onlyEpoch,
    },
    streams,
    compression,
    rateLimit: bytesPerSecond === undefined ? undefined : new RateLimit(bytesPerSecond),
    // One more than there are workers, so that none waits while its result is taken.
    readsMax: workers + 1,
    connect: (either: AbortSignal) => session.connectData(transfer, either),
  };
  for (let delayMs: number = wireLimits.retryMsMin; ; delayMs = Math.min(delayMs * 2, wireLimits.retryMsMax)) {
    const beganMs = performance.now();
    try {
      return await sendToHop(supply, hop, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof BatonError) || !error.retryable) {
        // The conversation tells more of the cause than the end of a data connection does.
        await pause(wireLimits.causeMsMax, signal);
        throw error;
      }
      session.tellBreak(error);
      // What worked for a moment is tried again at once.
      if (performance.now() - beganMs > wireLimits.retryMsMin) delayMs = wireLimits.retryMsMin;
      await pause(delayMs, signal);
    }
  }
}
