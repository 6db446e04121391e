import type { Settings } from '../settings/settings.ts';
import type { SendOptions } from '../wire/hop.ts';

/** How a donor sends, by what its operator has set. */
export function sendOptionsOf({ streams, compression, bytesPerSecondMax }: Settings): SendOptions {
  return {
    streams,
    compression: { mode: compression === 'none' ? 'none' : 'auto' },
    bytesPerSecond: bytesPerSecondMax,
  };
}
