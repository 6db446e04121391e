import { type ForgetResult, forget } from '@batondb/copy';
import type { Request } from './command-line.ts';
import { exitCodeOf, exitCodes } from './exit-codes.ts';
import { forgetLines } from './render/forget.ts';
import { jsonLine } from './render/json.ts';
import { printableValue } from './render/style.ts';
import type { Context } from './run.ts';

/** Removes carried agents, says what, and returns the exit code: the gravest of all hosts. */
export async function runForget(
  request: Request & { kind: 'forget' },
  { stdout, stderr, interruption }: Pick<Context, 'stdout' | 'stderr' | 'interruption'>,
): Promise<number> {
  const results = await forget(request.hosts, request.options, interruption.signal);
  const { form, volume } = request.view;
  if (form === 'json') {
    const nowMs = Date.now();
    await stdout.writeLines(results.map((result) => jsonLine({ type: 'forgotten', ...result }, nowMs)));
  } else {
    for (const result of printableValue(results)) {
      const isBad = exitCodeOfHost(result) !== exitCodes.ok;
      if (isBad || volume !== 'quiet') await (isBad ? stderr : stdout).writeLines(forgetLines(result));
    }
  }
  return interruption.exitCode() ?? Math.max(...results.map(exitCodeOfHost));
}

function exitCodeOfHost({ error, agents }: ForgetResult): number {
  if (error !== undefined) return exitCodeOf(error.code, false);
  return agents.every(({ removed }) => removed) ? exitCodes.ok : exitCodes.targetFailed;
}
