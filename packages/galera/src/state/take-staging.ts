import { toBatonError } from '@batondb/core/files/system-error';
import { type Settled, settle } from './settle.ts';
import { openStaging, type Staging, savedStateName } from './staging.ts';

/** A staging directory for a new transfer. */
export type TakenStaging = {
  readonly staging: Staging;
  /** What an earlier transfer had left of a swap. */
  readonly settled: Settled;
};

/**
 * Takes the staging directory of a data directory for a new transfer: makes it (0700) or takes that of a dead process over, ends a swap that was cut short,
 * empties it but for the saved position, and makes an empty `new`. The server that asks for the transfer must not have opened InnoDB yet. Throws BUSY
 * (another transfer is at work), and as settle does.
 */
export function takeStaging(dataDirectory: string): TakenStaging {
  const staging = openStaging(dataDirectory, { make: true });
  try {
    const settled = settle(staging);
    staging.empty([savedStateName]);
    staging.makeNew();
    return { staging, settled };
  } catch (error) {
    staging[Symbol.dispose]();
    throw toBatonError(error, { path: staging.path });
  }
}
