import type { Settings } from './settings/settings.ts';
import { wireLimits } from './wire/limits.ts';
import type { Patience } from './wire/session.ts';

/** How long a transfer waits for a node that went away: never longer than an operator lets it be silent. */
export function patienceOf({ silenceMsMax }: Pick<Settings, 'silenceMsMax'>): Patience {
  const { absenceMsMax, refusedMsMax } = wireLimits;
  return { absenceMsMax: Math.min(absenceMsMax, silenceMsMax), refusedMsMax: Math.min(refusedMsMax, silenceMsMax) };
}
