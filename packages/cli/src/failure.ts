import { BatonError, type ErrorRecord, toErrorRecord } from '@batondb/core/errors';
import { exitCodeOf } from './exit-codes.ts';
import type { Output } from './output.ts';
import { printableText } from './render/style.ts';

/** An error for people: where, what happened, then the next step. */
export function failureLines(error: ErrorRecord): string[] {
  const hint = error.hint === undefined ? [] : [`  hint: ${printableText(error.hint)}`];
  const where = error.host === undefined ? '' : `${error.host}: `;
  return [`baton: ${printableText(where + error.message)}`, ...hint];
}

/** Says on stderr why nothing was started, and returns the exit code of it. */
export async function reportFailure(error: unknown, stderr: Output): Promise<number> {
  const record = toErrorRecord(error);
  await stderr.writeLines(failureLines(record));
  if (!(error instanceof BatonError) && error instanceof Error) await stderr.writeLines(bugLines(error));
  return exitCodeOf(record.code, false);
}

/** The stack of what is no error of the world. */
export function bugLines(error: Error): string[] {
  return [error.stack ?? error.message];
}
