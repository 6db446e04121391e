import { BatonError } from '@batondb/core/errors';
import type { LogEntry } from '../log/log.ts';

// What is answered for a transaction that the log did not take, or may not have taken.

export function refused(): BatonError {
  return new BatonError('REFUSED', 'this node does not lead the log any more, and the transaction is not in it', {
    retryable: true,
    hint: 'try again, where another node leads now',
  });
}

export function unknown({ epoch, index }: LogEntry, cause?: unknown): BatonError {
  return new BatonError(
    'OUTCOME_UNKNOWN',
    `nobody can say yet whether the log has entry ${epoch}.${index}, and the transaction with it`,
    {
      hint: 'ask for its receipt, if it had an idempotency key; else look for what it wrote before you write it again',
      ...(cause === undefined ? {} : { cause }),
    },
  );
}

/** A log that cannot be written to any more: what became of the append, nobody knows. */
export function broken(error: unknown): BatonError {
  return new BatonError('OUTCOME_UNKNOWN', `${describe(error)}; nothing more is written by this process`, {
    hint: 'look at the disk, then start again: what was acknowledged is there',
    cause: error,
  });
}

export function followed(url: string): BatonError {
  return new BatonError('REFUSED', `this node follows ${url}, and writes nothing of its own`, {
    hint: `write to ${url}`,
  });
}

/** An error as one that everybody can be told. */
export function answerOf(error: unknown): BatonError {
  return error instanceof BatonError ? error : new BatonError('BUG', describe(error), { cause: error });
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
