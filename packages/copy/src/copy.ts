import { BatonError } from '@batondb/core/errors';
import { FirewallAdmission } from './coordinator/admission.ts';
import { EventQueue } from './coordinator/event-queue.ts';
import { PreflightRun, type Ready } from './coordinator/preflight.ts';
import { incrementalOf } from './coordinator/scan.ts';
import type { AgentSession } from './coordinator/session.ts';
import { TransferRun } from './coordinator/transfer-run.ts';
import { formatHost } from './endpoint.ts';
import type { CopyEvent, Finding, Hop, PlanSummary } from './events.ts';
import { type CopyOptions, defaultOptions } from './options.ts';
import { type CopyPlan, checkOptions, checkPlan, type ResolvedPlan, resolvePlan } from './plan.ts';

/**
 * Copies a file or directory tree from one host to one or many, and tells how it goes.
 *
 * Yields events as they happen; the last one is `summary`, with a result for every target: a target that failed is told there
 * and in a `target-failed` event, not thrown. Throws a BatonError when the copy is refused before a byte has moved (after
 * a `findings` event with every reason), and the reason of `signal` when it aborts; by then no process of the copy is left
 * on any host, and what was received stays for the same call to continue.
 */
export async function* copy(
  plan: CopyPlan,
  options: Partial<CopyOptions> = {},
  signal: AbortSignal = new AbortController().signal,
): AsyncGenerator<CopyEvent, void> {
  const queue = new EventQueue<CopyEvent>(isNewer);
  const ended = new AbortController();
  const either = AbortSignal.any([signal, ended.signal]);
  const work = run(plan, { ...defaultOptions, ...options }, queue, either).then(
    () => queue.close(),
    (error: unknown) => queue.close(error instanceof Error ? error : new Error(String(error))),
  );
  try {
    yield* queue.read();
  } finally {
    // Also when the caller stops listening: then nobody wants the copy any more.
    ended.abort(new BatonError('INTERRUPTED', 'the caller has ended the copy'));
    await work;
  }
}

async function run(
  plan: CopyPlan,
  options: CopyOptions,
  queue: EventQueue<CopyEvent>,
  signal: AbortSignal,
): Promise<void> {
  checkPlan(plan);
  checkOptions(options);
  const resolved = resolvePlan(plan, options);
  const emit = (event: CopyEvent) => queue.push(event);
  const sessions: AgentSession[] = [];
  await using _goodbye = { [Symbol.asyncDispose]: () => endAll(sessions) };
  const early: Extract<CopyEvent, { type: 'source-change' }>['change'][] = [];
  const admission = new FirewallAdmission(options.firewall, emit);
  const preflight = new PreflightRun(resolved, options, sessions, admission, signal, {
    carrying: (carrying) => emit({ type: 'carrying', ...carrying }),
    carried: (carried) => emit({ type: 'carried', ...carried }),
  });
  const { findings, ready } = await preflight.run(
    (session) => {
      emit({ type: 'host', host: formatHost(session.endpoint), version: session.greeting.software });
      session.listen((event) => {
        if (event.type === 'source-change') early.push({ path: event.path, what: event.what });
      });
    },
    ({ entries, files, contentBytes, sockets }) =>
      emit({
        type: 'scanned',
        entries,
        files,
        contentBytes,
        skippedSockets: sockets.first,
        skippedSocketsTotal: sockets.total,
      }),
  );
  signal.throwIfAborted();
  if (findings.length > 0) emit({ type: 'findings', findings });
  if (ready === undefined) throw refusal(findings);
  emit({ type: 'plan', plan: summarise(resolved, options, ready), dryRun: options.dryRun });
  if (options.dryRun) return;
  const transfer = new TransferRun(resolved, options, ready, emit);
  for (const change of early) transfer.noteChange(change);
  emit({ type: 'summary', summary: await transfer.run(signal) });
}

/** Whether nobody needs the earlier of two events. The first of a carried agent is the one that a log shows. */
function isNewer(later: CopyEvent, earlier: CopyEvent): boolean {
  if (later.type === 'carrying' && earlier.type === 'carrying')
    return later.host === earlier.host && earlier.sentBytes > 0;
  return later.type === 'progress' && earlier.type === 'progress';
}

/** All at once: one host that does not answer must not keep the others running. */
async function endAll(sessions: readonly AgentSession[]): Promise<void> {
  await Promise.all(sessions.map((session) => session[Symbol.asyncDispose]()));
}

function refusal(findings: readonly Finding[]): BatonError {
  const errors = findings.filter(({ severity }) => severity === 'error');
  const [first] = errors;
  if (first === undefined) return new BatonError('BUG', 'preflight ended without a finding and without a plan');
  const { code, message, retryable } = first.error;
  const what =
    errors.length === 1 ? `${first.host}: ${message}` : `${errors.length} problems were found, on ${hostsOf(errors)}`;
  return new BatonError(code, `nothing was copied: ${what}`, { retryable });
}

function hostsOf(findings: readonly Finding[]): string {
  return [...new Set(findings.map(({ host }) => host))].join(', ');
}

function summarise(plan: ResolvedPlan, options: CopyOptions, { scan, targets, reached }: Ready): PlanSummary {
  const hops: Hop[] = targets.map((target, index) => {
    const from = options.topology === 'chain' ? targets[index - 1]?.name : undefined;
    const address = reached.get(target.number) ?? '';
    return { from: from ?? plan.sourceText, to: target.name, address, port: target.listening.port };
  });
  const { entries, files, contentBytes, units, manifestDigest, isStream } = scan;
  const incremental = incrementalOf(scan, options.input);
  return {
    source: plan.sourceText,
    targets: targets.map(({ name, inspection }) => ({
      name,
      finalPath: inspection.finalPath,
      resumedBytes: inspection.resumedBytes,
      ...(inspection.existing === undefined ? {} : { updates: true as const }),
      ...(inspection.isAnew ? { isAnew: true as const } : {}),
    })),
    hops,
    entries,
    files,
    contentBytes,
    units,
    manifestDigest,
    isStream,
    ...(options.type === 'decompress' ? { unpacks: true as const } : {}),
    ...(incremental === undefined ? {} : { incremental }),
  };
}
