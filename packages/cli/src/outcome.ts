import type { CopyEvent } from '@batondb/copy/events';
import { toErrorRecord } from '@batondb/core/errors';
import { canRerun, exitCodeOf, exitCodes } from './exit-codes.ts';

/** What the events of a copy come to: the exit code, and whether the same command continues. */
export type Outcome = {
  readonly exitCode: number;
  /** A plan was made and carried out: from here on bytes may have moved. */
  readonly hasMoved: boolean;
  readonly canRerun: boolean;
};

export const outcomeAtStart: Outcome = { exitCode: exitCodes.ok, hasMoved: false, canRerun: false };

/** The outcome after one more event. Pure. */
export function withEvent(outcome: Outcome, event: CopyEvent): Outcome {
  switch (event.type) {
    case 'findings':
      return event.findings
        .filter(({ severity }) => severity === 'error')
        .reduce((worst, { error }) => worsened(worst, exitCodeOf(error.code, false), false), outcome);
    case 'plan':
      return { ...outcome, hasMoved: !event.dryRun };
    case 'target-failed':
      return withError(outcome, event.result.error ?? { code: 'BUG' });
    case 'source-change':
      return worsened(outcome, exitCodes.sourceChanged, false);
    case 'summary': {
      const failed = event.summary.targets.filter(({ state }) => state === 'failed');
      const changed = event.summary.changesTotal > 0 ? worsened(outcome, exitCodes.sourceChanged, false) : outcome;
      return failed.reduce((worst, { error }) => withError(worst, error ?? { code: 'BUG' }), changed);
    }
    default:
      return outcome;
  }
}

/** The outcome after the copy threw. */
export function withThrown(outcome: Outcome, error: unknown): Outcome {
  return withError(outcome, toErrorRecord(error));
}

/** The outcome of a copy that something from outside ended. */
export function withInterruption(outcome: Outcome, exitCode: number): Outcome {
  return worsened(outcome, exitCode, outcome.hasMoved);
}

function withError(outcome: Outcome, error: { readonly code: Parameters<typeof canRerun>[0] }): Outcome {
  return worsened(outcome, exitCodeOf(error.code, outcome.hasMoved), outcome.hasMoved && canRerun(error.code));
}

function worsened(outcome: Outcome, exitCode: number, isContinued: boolean): Outcome {
  return { ...outcome, exitCode: Math.max(outcome.exitCode, exitCode), canRerun: outcome.canRerun || isContinued };
}
