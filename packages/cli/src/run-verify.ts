import { verify } from '@batondb/copy';
import type { VerifyEvent, VerifyResult } from '@batondb/copy/verify/events';
import { BatonError, toErrorRecord } from '@batondb/core/errors';
import { exitCodeOf, exitCodes } from './exit-codes.ts';
import { bugLines } from './failure.ts';
import { makeVerifyRenderer } from './render/verify.ts';
import type { Context } from './run.ts';
import type { VerifyRequest } from './verify-command.ts';

/** Compares, shows what differs, and returns the exit code. */
export async function runVerify(request: VerifyRequest, context: Context): Promise<number> {
  const { stdout, stderr, interruption, environment } = context;
  const renderer = makeVerifyRenderer(request, stdout, stderr, environment);
  let exitCode: number = exitCodes.ok;
  let isFinished = false;
  try {
    for await (const event of verify(request.plan, request.options, interruption.signal)) {
      exitCode = Math.max(exitCode, exitCodeOfEvent(event));
      isFinished = event.type === 'verify-summary';
      await renderer.event(event);
    }
  } catch (error) {
    exitCode = Math.max(exitCode, exitCodeOf(toErrorRecord(error).code, false));
    if (interruption.exitCode() === undefined) {
      await renderer.failure(toErrorRecord(error), exitCode);
      if (error instanceof Error && !(error instanceof BatonError) && !('errno' in error)) {
        await stderr.writeLines(bugLines(error));
      }
    }
  }
  const ended = interruption.exitCode();
  if (ended !== undefined && (!isFinished || ended === exitCodes.pipeClosed)) {
    exitCode = ended;
    await renderer.failure(toErrorRecord(interruption.signal.reason), exitCode);
  }
  await renderer.close();
  return exitCode;
}

/** What one event alone would end the command with. */
export function exitCodeOfEvent(event: VerifyEvent): number {
  switch (event.type) {
    case 'findings':
      return Math.max(...event.findings.map(({ error }) => exitCodeOf(error.code, false)));
    case 'target-compared':
      return exitCodeOfResult(event.result);
    case 'verify-summary':
      return Math.max(exitCodes.ok, ...event.summary.targets.map(exitCodeOfResult));
    default:
      return exitCodes.ok;
  }
}

function exitCodeOfResult({ state, error }: VerifyResult): number {
  switch (state) {
    case 'same':
      return exitCodes.ok;
    case 'incomplete':
      return exitCodes.sourceChanged;
    case 'different':
      return exitCodes.different;
    case 'failed':
      return exitCodeOf(error?.code ?? 'BUG', true);
    default:
      return state satisfies never;
  }
}
