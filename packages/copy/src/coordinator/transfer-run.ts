import { type BatonError, type ErrorRecord, toErrorRecord } from '@batondb/core/errors';
import { limits } from '@batondb/core/limits';
import { toBase64 } from '../bytes.ts';
import type { AgentEvent, RequestParams } from '../control/messages.ts';
import { formatHost } from '../endpoint.ts';
import type { CopyEvent, CopySummary, SourceChange, TargetResult } from '../events.ts';
import type { CopyOptions } from '../options.ts';
import type { ResolvedPlan } from '../plan.ts';
import { compareWithSource, conclude } from './conclusion.ts';
import { HeadTrial } from './head-trial.ts';
import { Orders } from './orders.ts';
import type { Ready } from './preflight.ts';
import { Routing, source } from './routing.ts';
import { incrementalOf, type Scan } from './scan.ts';
import type { AgentSession } from './session.ts';
import { SourceCheck } from './source-check.ts';
import { StreamFlow } from './stream-flow.ts';
import { TargetState } from './target-state.ts';
import { typeAsked } from './type-check.ts';
import { judge } from './watch.ts';

const progressMs = 500;
const watchMs = 1_000;
/** Attempts of one sender before another one is tried. */
const hopFailuresMax = 3;
/** Changed files that the summary names. */
const changesNamedMax = 1_000;

/** The copy itself: starts it on all hosts, mends the chain when a host fails, and ends with a result for every target. */
export class TransferRun {
  readonly #plan: ResolvedPlan;
  readonly #options: CopyOptions;
  readonly #ready: Ready;
  readonly #emit: (event: CopyEvent) => void;
  readonly #routing: Routing;
  readonly #states = new Map<number, TargetState>();
  readonly #startMs = performance.now();
  readonly #changes: SourceChange[] = [];
  #changesTotal = 0;
  readonly #orders: Orders;
  readonly #headTrial = new HeadTrial();
  readonly #sourceCheck: SourceCheck;
  readonly #streamFlow = new StreamFlow();
  #contentBytes: number;
  #allOver: () => void = () => undefined;

  constructor(plan: ResolvedPlan, options: CopyOptions, ready: Ready, emit: (event: CopyEvent) => void) {
    this.#plan = plan;
    this.#options = options;
    this.#ready = ready;
    this.#emit = emit;
    this.#sourceCheck = new SourceCheck(ready.source, options.verify);
    const { scan, targets } = ready;
    this.#contentBytes = scan.isStream ? 0 : scan.contentBytes;
    this.#routing = new Routing(
      targets.map(({ number }) => number),
      options.topology,
    );
    for (const target of targets) {
      const sender = this.#routing.upstream(target.number);
      this.#states.set(target.number, new TargetState(target, sender, scan));
    }
    this.#orders = new Orders(ready, options, this.#routing, this.#states);
  }

  /** Takes a change of the source that was seen before the transfer began. */
  noteChange(change: SourceChange): void {
    this.#changesTotal++;
    if (this.#changes.length < changesNamedMax) this.#changes.push(change);
    this.#emit({ type: 'source-change', change });
  }

  /** Runs to the end. Rejects only when `signal` aborts. */
  async run(signal: AbortSignal): Promise<CopySummary> {
    const over = new Promise<void>((resolve) => {
      this.#allOver = resolve;
    });
    const aborted = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
    this.#ready.source.listen((event) => this.#onSourceEvent(event));
    void this.#ready.source.ended.then((reason) => this.#onSourceLost(reason));
    const timers = [
      setInterval(
        () => this.#emit({ type: 'progress', targets: this.#all().map((state) => state.show()) }),
        progressMs,
      ),
      setInterval(() => this.#watch(), watchMs),
    ];
    try {
      await Promise.race([Promise.all(this.#all().map((state) => this.#startTarget(state))), aborted]);
      this.#orders.begin();
      await Promise.race([over, aborted]);
      await Promise.race([this.#end(), aborted]);
      return this.#summary();
    } finally {
      for (const timer of timers) clearInterval(timer);
    }
  }

  async #end(): Promise<void> {
    const states = this.#all();
    for (const { result } of await compareWithSource(states, this.#sourceCheck, () => this.#changesTotal > 0))
      if (result !== undefined) this.#emit({ type: 'target-failed', result });
    await conclude(states);
  }

  async #startTarget(state: TargetState): Promise<void> {
    const { session, number, directory } = state.target;
    const { manifestDigest, manifestBytes } = this.#ready.scan;
    session.listen((event) => this.#onTargetEvent(state, event));
    void session.ended.then((reason) => this.#onTargetLost(state, reason));
    try {
      await session.request('receive', {
        directory: toBase64(directory),
        name: toBase64(this.#plan.name),
        source: this.#plan.sourceText,
        ...typeAsked(this.#options),
        manifestDigest,
        manifestBytes,
        verify: this.#options.verify,
        ...streamTask(this.#ready.scan, this.#options),
      });
      if (!state.isOpen) {
        // An earlier run had finished it: it has the copy, and nothing to give on.
        this.#reroute(this.#routing.lose(number), `${state.target.name} takes no part in this run`);
        return;
      }
      await this.#orders.tellReceiver(state);
      // Its sender was told before only if it was ready before.
      for (const member of [number, this.#routing.upstream(number)]) this.#orders.tellSender(member);
    } catch (error) {
      this.#fail(state, toErrorRecord(error));
    }
  }

  #onTargetEvent(state: TargetState, event: AgentEvent): void {
    const { name: target } = state.target;
    switch (event.type) {
      case 'progress':
        state.take(event);
        if (this.#ready.scan.isStream) this.#releaseStream();
        return;
      case 'resumed':
        this.#emit({ ...event, target });
        return;
      case 'unit-damaged':
        this.#emit({ ...event, target });
        return;
      case 'not-kept': {
        const { what, count, example, reason } = event;
        this.#emit({ type: 'not-kept', notKept: { target, what, count, example, reason } });
        return;
      }
      case 'done':
        this.#finish(state, event);
        return;
      case 'failed':
        this.#fail(state, event.error);
        return;
      default:
        this.#onHopEvent(event);
    }
  }

  #onSourceEvent(event: AgentEvent): void {
    switch (event.type) {
      case 'source-change':
        this.noteChange({ path: event.path, what: event.what });
        return;
      case 'produced':
        this.#contentBytes = event.bytes;
        for (const state of this.#all()) state.extend(event.bytes, event.isEnded);
        return;
      case 'replication':
        this.#emit(event);
        return;
      case 'stream-failed':
        for (const state of this.#all()) this.#fail(state, event.error, this.#ready.source);
        return;
      default:
        this.#onHopEvent(event);
    }
  }

  /** R5, R6: tells the source of a stream, and the targets of a backup, what they need not keep. */
  #releaseStream(): void {
    const live = this.#all().filter(({ result }) => result?.state !== 'failed');
    const heldUnits = live.map(({ progress }) => progress.heldUnits ?? 0);
    // Who is gone is noticed by the end of its conversation; a target of an earlier release keeps all.
    const release = (session: AgentSession, units: number): void =>
      void session.request('release', { units }).catch(() => undefined);
    const units = this.#streamFlow.observe(heldUnits, performance.now());
    if (units !== undefined) release(this.#ready.source, units);
    const heldByAll = this.#options.input.kind === 'mariadb' ? this.#streamFlow.observeAll(heldUnits) : undefined;
    if (heldByAll !== undefined) for (const { target } of live) release(target.session, heldByAll);
  }

  #onHopEvent(event: AgentEvent): void {
    if (event.type !== 'hop-failed' && event.type !== 'hop-done') return;
    const state = this.#states.get(event.to);
    if (state === undefined || event.epoch !== this.#routing.epoch(event.to)) return;
    if (event.type === 'hop-done') {
      this.#routing.finish(event.to);
      return;
    }
    if (!state.isOpen) return;
    state.hopFailures++;
    state.lastHopError = event.error;
    if (event.error.code === 'HISTORY_LOST' && this.#holdsMost(state)) {
      this.#fail(state, event.error);
      return;
    }
    const isForged = event.error.code === 'DIGEST_MISMATCH' && this.#routing.upstream(event.to) !== source;
    const isHopeless = isForged || event.error.code === 'HISTORY_LOST';
    if (isHopeless || state.hopFailures >= hopFailuresMax) this.#avoidSender(state, event.error.message);
  }

  /** Nobody has more of a stream than this target, so nobody can give it what the source has no more. */
  #holdsMost(state: TargetState): boolean {
    const held = state.progress.heldUnits ?? 0;
    return this.#all().every(({ result, progress }) => result?.state === 'failed' || (progress.heldUnits ?? 0) <= held);
  }

  #watch(): void {
    if (!this.#all().some(({ isReceiving }) => isReceiving)) this.#sourceCheck.begin();
    for (const state of this.#all()) {
      const { number } = state.target;
      const upstream = this.#states.get(this.#routing.upstream(number));
      const { bandwidthBytesPerSecond } = this.#options;
      const unitMs = bandwidthBytesPerSecond === undefined ? 0 : (limits.unitBytes / bandwidthBytesPerSecond) * 1000;
      const verdict = judge(state, upstream, this.#routing.hasChildren(number), { nowMs: performance.now(), unitMs });
      if (verdict === 'stalled') {
        state.stalls++;
        state.movedAtMs = performance.now();
        this.#reroute(this.#routing.demote(number), `${state.target.name} stands still`);
        this.#avoidSender(state, 'no data arrived for 10 s');
      } else if (verdict === 'lagging') {
        state.hasLagged = true;
        this.#reroute(this.#routing.demote(number), `${state.target.name} is slower than its sender`);
      } else if (verdict === 'given-up') {
        const message = `it received nothing from any sender for too long${lastWords(state)}`;
        this.#fail(state, {
          code: 'STALLED',
          message,
          retryable: true,
          hint: 'look at the disk and the network of that host, and run the same command again: it continues',
        });
      }
    }
    this.#tryOtherHead();
  }

  #tryOtherHead(): void {
    const heads = this.#routing.fedBy(source).flatMap(({ to }) => this.#states.get(to) ?? []);
    const [head] = heads.length === 1 ? heads : [];
    const waited = head !== undefined && this.#routing.hasChildren(head.target.number) ? head : undefined;
    const { bandwidthBytesPerSecond } = this.#options;
    if (!this.#headTrial.shouldStepBack(waited, bandwidthBytesPerSecond, performance.now()) || head === undefined)
      return;
    this.#reroute(this.#routing.demote(head.target.number), `${head.target.name} may be slower than those behind it`);
  }

  #avoidSender(state: TargetState, reason: string): void {
    const { number } = state.target;
    state.hopFailures = 0;
    if (this.#routing.avoid(number)) this.#announce(number, reason);
  }

  #reroute(targets: readonly number[], reason: string): void {
    for (const number of targets) this.#announce(number, reason);
  }

  #announce(number: number, reason: string): void {
    const state = this.#states.get(number);
    if (state === undefined) return;
    const { name: target } = state.target;
    const from = this.#memberName(state.sender);
    state.sender = this.#routing.upstream(number);
    this.#emit({ type: 'rerouted', target, from, to: this.#memberName(state.sender), reason });
    state.movedAtMs = performance.now();
    state.laggingSeconds = 0;
    this.#orders.announce(state);
  }

  #finish(state: TargetState, { treeDigest, unpacked, backup }: Extract<AgentEvent, { type: 'done' }>): void {
    if (!state.isOpen) return;
    state.treeDigest = treeDigest;
    this.#routing.finish(state.target.number);
    const made = { ...(unpacked === undefined ? {} : { unpacked }), ...(backup === undefined ? {} : { backup }) };
    this.#settle(state, { state: 'done', treeDigest, ...made });
  }

  /** `at`: on whose host it happened. */
  #fail(state: TargetState, error: ErrorRecord, at: AgentSession = state.target.session): void {
    if (!state.isOpen) return;
    this.#settle(state, { state: 'failed', error: { ...error, host: formatHost(at.endpoint) } });
    const { number, name } = state.target;
    this.#reroute(this.#routing.lose(number), `${name} failed`);
    // Or it would be tried again and again.
    this.#orders.tellSender(this.#routing.upstream(number));
  }

  /** Also a target that has everything may have been feeding others. */
  #onTargetLost(state: TargetState, reason: BatonError): void {
    if (state.isOpen) this.#fail(state, toErrorRecord(reason));
    else this.#reroute(this.#routing.lose(state.target.number), `${state.target.name} is gone`);
  }

  #onSourceLost(reason: BatonError): void {
    for (const state of this.#all()) this.#fail(state, toErrorRecord(reason));
  }

  #settle(state: TargetState, end: Pick<TargetResult, 'state' | 'error' | 'treeDigest' | 'unpacked' | 'backup'>): void {
    const { target, progress } = state;
    // What an earlier run published was not read again: its agent has counted nothing.
    const { published, finalPath } = target.inspection;
    const wasDone = published && end.state === 'done';
    const contentBytes = this.#contentBytes;
    state.result = {
      target: target.name,
      finalPath,
      contentBytes: wasDone ? contentBytes : progress.doneBytes,
      resumedBytes: wasDone ? contentBytes : progress.resumedBytes,
      wireBytes: progress.wireBytes,
      durationMs: performance.now() - this.#startMs,
      ...end,
    };
    this.#emit({ type: end.state === 'done' ? 'target-done' : 'target-failed', result: state.result });
    if (this.#all().every(({ isOpen }) => !isOpen)) this.#allOver();
  }

  #summary(): CopySummary {
    const { scan } = this.#ready;
    const targets = this.#all().flatMap(({ result }) => (result === undefined ? [] : [result]));
    return {
      source: this.#plan.sourceText,
      manifestDigest: scan.manifestDigest,
      entries: scan.entries,
      files: scan.files,
      contentBytes: this.#contentBytes,
      wireBytes: targets.reduce((sum, { wireBytes }) => sum + wireBytes, 0),
      durationMs: performance.now() - this.#startMs,
      targets,
      changes: this.#changes,
      changesTotal: this.#changesTotal,
      skippedSockets: scan.sockets.total,
    };
  }

  #all(): TargetState[] {
    return [...this.#states.values()];
  }

  #memberName(member: number): string {
    return this.#states.get(member)?.target.name ?? this.#plan.sourceText;
  }
}

/** What a target is told of a stream. */
function streamTask(scan: Scan, { input }: CopyOptions): Pick<RequestParams<'receive'>, 'isStream' | 'backup'> {
  const { isStream, backup } = scan;
  if (!isStream) return {};
  if (backup === undefined || input.kind !== 'mariadb') return { isStream };
  const { prepare, prepareMemoryBytes, owner } = input;
  const incremental = incrementalOf(scan, input);
  const task = { server: backup.server, prepare, prepareMemoryBytes };
  const more = { ...(owner === undefined ? {} : { owner }), ...(incremental === undefined ? {} : { incremental }) };
  return { isStream, backup: { ...task, ...more } };
}

function lastWords({ lastHopError }: TargetState): string {
  return lastHopError === undefined ? '' : `; the last attempt ended with: ${lastHopError.message}`;
}
