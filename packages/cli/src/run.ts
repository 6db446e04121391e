import { type CleanResult, clean, copy } from '@batondb/copy';
import { BatonError, toErrorRecord } from '@batondb/core/errors';
import { quoteWord } from '@batondb/core/text/words';
import type { Request } from './command-line.ts';
import { effectiveLines } from './config/show.ts';
import { exitCodes } from './exit-codes.ts';
import { bugLines } from './failure.ts';
import type { Interruption } from './interruption.ts';
import { type Outcome, outcomeAtStart, withEvent, withInterruption, withThrown } from './outcome.ts';
import type { Output } from './output.ts';
import { cleanLines } from './render/clean.ts';
import { jsonLine } from './render/json.ts';
import { makeRenderer } from './render/renderer.ts';
import { printableText, printableValue } from './render/style.ts';

/** What a command runs with. */
export type Context = {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly interruption: Interruption;
  readonly environment: NodeJS.ProcessEnv;
  /** The words after `baton`, for the line that says how to continue. */
  readonly words: readonly string[];
};

/** Copies, shows what happens, and returns the exit code. */
export async function runCopy(request: Request & { kind: 'copy' }, context: Context): Promise<number> {
  const { stdout, stderr, interruption, environment } = context;
  const renderer = makeRenderer(request.view, stdout, stderr, environment);
  let outcome: Outcome = outcomeAtStart;
  let thrown: { readonly error: unknown } | undefined;
  try {
    for await (const event of copy(request.plan, request.options, interruption.signal)) {
      outcome = withEvent(outcome, event);
      await renderer.event(event);
    }
  } catch (error) {
    thrown = { error };
  }
  const ended = interruption.exitCode();
  // A signal that came after the last target was done has ended nothing. A lost output has: nobody saw the summary.
  const isFinished =
    thrown === undefined && outcome.exitCode <= exitCodes.sourceChanged && ended !== exitCodes.pipeClosed;
  if (ended !== undefined && !isFinished) {
    // Whatever the copy said of it: the reason why it ended is the person or signal that ended it.
    outcome = withInterruption(outcome, ended);
    await renderer.failure(toErrorRecord(interruption.signal.reason), outcome.exitCode);
  } else if (thrown !== undefined) {
    outcome = withThrown(outcome, thrown.error);
    await renderer.failure(toErrorRecord(thrown.error), outcome.exitCode);
    if (isBug(thrown.error)) await stderr.writeLines(bugLines(thrown.error));
  }
  // What came over standard input is gone.
  if (outcome.canRerun && request.options.input.kind !== 'stdin') {
    const commandLine = printableText(['baton', ...context.words.map(quoteWord)].join(' '));
    await renderer.rerun(commandLine, request.options.input.kind !== 'tree');
  }
  await renderer.close();
  return outcome.exitCode;
}

/** Removes what abandoned copies left, says what, and returns the exit code. */
export async function runClean(request: Request & { kind: 'clean' }, context: Context): Promise<number> {
  const { stdout, interruption, environment } = context;
  const results = await clean(request.directory, request.options, interruption.signal);
  const ended = interruption.exitCode();
  const { form, volume } = request.view;
  const nowMs = Date.now();
  const style = { hasColor: stdout.isTerminal && !environment['NO_COLOR'] };
  if (form === 'json')
    await stdout.writeLines(results.map((result) => jsonLine({ type: 'cleaned', ...result }, nowMs)));
  else if (volume !== 'quiet')
    await stdout.writeLines(cleanLines(printableValue(results), request.options.dryRun, nowMs, style));
  if (ended !== undefined) return ended;
  return !request.options.dryRun && results.some(isLeft) ? exitCodes.targetFailed : exitCodes.ok;
}

/** Shows the options in effect, and returns the exit code. */
export async function runConfig(request: Request & { kind: 'config' }, stdout: Output): Promise<number> {
  const { config, form } = request;
  await stdout.writeLines(
    form === 'json' ? [jsonLine({ type: 'config', ...config }, Date.now())] : effectiveLines(printableValue(config)),
  );
  return exitCodes.ok;
}

function isLeft(result: CleanResult): boolean {
  return !result.removed;
}

function isBug(error: unknown): error is Error {
  return error instanceof Error && !(error instanceof BatonError) && !('errno' in error);
}
