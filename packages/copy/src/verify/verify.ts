import { BatonError } from '@batondb/core/errors';
import type { AgentSession } from '../coordinator/session.ts';
import { defaultOptions } from '../options.ts';
import { type CopyPlan, checkPlan, resolvePlan } from '../plan.ts';
import { Comparison } from './comparison.ts';
import type { VerifyEvent } from './events.ts';
import { defaultVerifyOptions, type VerifyOptions } from './options.ts';
import { Outlet } from './outlet.ts';
import { VerifyPreflight } from './preflight.ts';

/**
 * Compares a file or directory tree with its copies, on any hosts, and changes nothing. `plan` and `options` are those of the
 * copy() that made them: a target is the directory its copy lies in.
 *
 * Yields events as they happen; the last one is `verify-summary`, with a result for every target (`comparison` with `dryRun`). A
 * target that could not be compared to the end is told there, not thrown. Throws a BatonError when nothing was compared (after a
 * `findings` event with every reason), and the reason of `signal` when it aborts.
 */
export async function* verify(
  plan: CopyPlan,
  options: Partial<VerifyOptions> = {},
  signal: AbortSignal = new AbortController().signal,
): AsyncGenerator<VerifyEvent, void> {
  const outlet = new Outlet<VerifyEvent>();
  const ended = new AbortController();
  const either = AbortSignal.any([signal, ended.signal]);
  // A caller that has stopped reading is not waited for: the hosts are to be left alone at once.
  either.addEventListener('abort', () => outlet.close(either.reason as Error), { once: true });
  const work = run(plan, { ...defaultVerifyOptions, ...options }, outlet, either).then(
    () => outlet.close(),
    (error: unknown) => outlet.close(error instanceof Error ? error : new Error(String(error))),
  );
  try {
    yield* outlet.read();
  } finally {
    ended.abort(new BatonError('INTERRUPTED', 'the caller has ended the comparison'));
    await work;
  }
}

async function run(
  plan: CopyPlan,
  options: VerifyOptions,
  outlet: Outlet<VerifyEvent>,
  signal: AbortSignal,
): Promise<void> {
  checkPlan(plan);
  const resolved = resolvePlan(plan, { ...options, input: defaultOptions.input });
  const sessions: AgentSession[] = [];
  const endAll = () => Promise.all(sessions.map((session) => session[Symbol.asyncDispose]()));
  // Requests that wait for a host end with its agent, and so does the comparison.
  const onAbort = () => void endAll();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    const preflight = new VerifyPreflight(resolved, options, sessions, signal);
    const { findings, ready } = await preflight.run((event) => outlet.put(event));
    signal.throwIfAborted();
    if (findings.length > 0) await outlet.put({ type: 'findings', findings });
    if (ready === undefined) throw preflight.refusal();
    const targets = ready.targets.map(({ target, path }) => ({ target, path }));
    await outlet.put({ type: 'comparison', source: resolved.sourceText, targets, dryRun: options.dryRun });
    if (options.dryRun) return;
    const comparison = new Comparison(resolved.sourceText, ready, options, outlet);
    const summary = await comparison.run();
    signal.throwIfAborted();
    await outlet.put({ type: 'verify-summary', summary });
  } finally {
    signal.removeEventListener('abort', onAbort);
    await endAll();
  }
}
