import { BatonError } from '@batondb/core/errors';
import { toBatonError } from '@batondb/core/files/system-error';
import type { Journal } from './journal.ts';
import type { Places } from './places.ts';
import type { Staging } from './staging.ts';
import { goBack } from './steps.ts';

/**
 * Does the steps of a journal that is on the disk, and takes them back when one fails. Throws the failure's code with a sentence that says where the data
 * is now.
 */
export function carryOut(
  journal: Journal,
  places: Places,
  staging: Staging,
  steps: (journal: Journal, places: Places) => void,
): void {
  try {
    steps(journal, places);
  } catch (error) {
    const cause = toBatonError(error, { path: staging.dataDirectory });
    try {
      goBack(journal, places);
    } catch (second) {
      const { message } = toBatonError(second);
      throw new BatonError(
        cause.code,
        `the swap stopped in the middle (${cause.message}) and could not be undone (${message}); no server starts on ${staging.dataDirectory} as it is, and nothing is lost`,
        { hint: 'mend the cause, then run: baton galera recover', cause: error },
      );
    }
    throw new BatonError(cause.code, `the swap failed and was undone, the old data is in place: ${cause.message}`, {
      ...(cause.hint === undefined ? {} : { hint: cause.hint }),
      cause: error,
    });
  }
}
