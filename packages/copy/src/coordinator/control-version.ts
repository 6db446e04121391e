import { BatonError } from '@batondb/core/errors';
import { chooseVersion } from '@batondb/core/protocol/versions';
import { controlVersions, type Greeting } from '../control/messages.ts';

/** Throws VERSION_MISMATCH for an agent that no version of the control channel is in common with. */
export function checkControlVersion({ software, control }: Greeting): void {
  if (chooseVersion(controlVersions, control) !== undefined) return;
  throw new BatonError(
    'VERSION_MISMATCH',
    `baton ${software} there speaks control versions ${control.min} to ${control.max}, ` +
      `this one ${controlVersions.min} to ${controlVersions.max}`,
    { hint: 'install releases that are at most one apart on all hosts' },
  );
}
