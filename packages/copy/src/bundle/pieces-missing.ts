import { BatonError } from '@batondb/core/errors';
import type { Processor } from '@batondb/core/program/node-binary';

/** The error of a machine that has not all pieces for a processor. */
export function piecesMissing(processor: Processor, names: readonly string[]): BatonError {
  return new BatonError(
    'UNSUPPORTED',
    `baton cannot be carried there: of an agent for linux-${processor}, ${names.join(', ')} ${names.length === 1 ? 'is' : 'are'} not installed on this machine`,
    {
      hint: `install what is missing here: npm install --prefix ~/.cache/baton/pieces --force ${names.join(' ')}; or install baton there, and name it with --agent`,
    },
  );
}
