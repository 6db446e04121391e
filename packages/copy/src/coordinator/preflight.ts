import { randomBytes } from 'node:crypto';
import { BatonError, type ErrorRecord, toErrorRecord } from '@batondb/core/errors';
import { formatCount } from '@batondb/core/text/format';
import { toBase64 } from '../bytes.ts';
import type { RequestResult } from '../control/messages.ts';
import { formatEndpoint, formatHost } from '../endpoint.ts';
import type { Finding } from '../events.ts';
import type { CopyOptions } from '../options.ts';
import type { ResolvedPlan } from '../plan.ts';
import type { CarryListener } from '../remote/carry.ts';
import { candidateAddresses } from './addresses.ts';
import type { FirewallAdmission } from './admission.ts';
import { Bases } from './bases.ts';
import { checkControlVersion } from './control-version.ts';
import { type Scan, type ScannedBackup, scanStream } from './scan.ts';
import { AgentSession } from './session.ts';
import { checkSpace, type Inspected } from './space-check.ts';
import { checkExisting, checkSource, checkType, spaceScan, typeAsked } from './type-check.ts';

// Everything that can be known before a byte moves, on all hosts at once. No finding hides another.

export type Inspection = RequestResult<'inspect'>;

/** A target whose host answered. */
export type ReadyTarget = {
  /** Member number, from 1. */
  readonly number: number;
  readonly name: string;
  readonly directory: Uint8Array;
  readonly session: AgentSession;
  readonly inspection: Inspection;
  readonly listening: RequestResult<'listen'>;
};

/** What preflight leaves for the copy itself; only when no finding stops it. */
export type Ready = {
  readonly source: AgentSession;
  readonly scan: Scan;
  /** In the order in which the chain runs. */
  readonly targets: readonly ReadyTarget[];
  /** Hops of the plan: the address at which the sender reached each target, by target number. */
  readonly reached: ReadonlyMap<number, string>;
  readonly admission: FirewallAdmission;
};

export type Preflight = {
  readonly findings: readonly Finding[];
  readonly ready: Ready | undefined;
  readonly scan: Scan | undefined;
};

/** Stands for a member whose host did not answer: no certificate has this fingerprint. */
const nobody = '0'.repeat(64);

/** Starts all agents, into `sessions`, and collects every finding. */
export class PreflightRun {
  readonly #plan: ResolvedPlan;
  readonly #options: CopyOptions;
  readonly #sessions: AgentSession[];
  readonly #admission: FirewallAdmission;
  readonly #signal: AbortSignal;
  readonly #listener: CarryListener;
  readonly #findings: Finding[] = [];
  /** Target directories that could be looked at, by number. */
  readonly #inspected = new Map<number, Inspected>();
  readonly #bases: Bases;

  constructor(
    plan: ResolvedPlan,
    options: CopyOptions,
    sessions: AgentSession[],
    admission: FirewallAdmission,
    signal: AbortSignal,
    listener: CarryListener,
  ) {
    this.#plan = plan;
    this.#options = options;
    this.#sessions = sessions;
    this.#admission = admission;
    this.#signal = signal;
    this.#listener = listener;
    this.#bases = new Bases(options.input);
  }

  async run(onSession: (session: AgentSession) => void, onScan: (scan: Scan) => void): Promise<Preflight> {
    const { source, targets } = this.#plan;
    const looking = targets.map((target, index) =>
      this.#onHost(formatHost(target), () => this.#lookAt(target, index + 1, onSession)),
    );
    const scanning = this.#onHost(formatHost(source), async () => {
      const session = await this.#start(source, onSession, this.#options.input.kind === 'stdin');
      // What an incremental backup is taken from, the targets know.
      if (this.#bases.path !== undefined) await Promise.all(looking);
      const scan = await this.#scan(session);
      onScan(scan);
      return { session, scan };
    });
    const [scanned, ...looked] = await Promise.all([scanning, ...looking]);
    const present = looked.filter((target) => target !== undefined);
    if (scanned !== undefined) {
      // In the order of the plan, so that the same plan gives the same words.
      const inspected = [...this.#inspected].sort(([a], [b]) => a - b).map(([, target]) => target);
      const { scan, session } = scanned;
      for (const error of checkSource(this.#options.type, scan, this.#plan)) this.#find(formatHost(source), error);
      for (const { host, inspection } of inspected)
        for (const error of checkExisting(scan, inspection)) this.#find(host, error);
      const needed = spaceScan(this.#options, scan, targets.length);
      for (const { host, error } of checkSpace(needed, inspected)) this.#find(host, error);
      if (scan.backup !== undefined) await this.#checkBackup(scan.backup, session, present);
    }
    const { ordered, reached } = await this.#connect(scanned?.session, present);
    if (scanned === undefined || this.#hasError())
      return { findings: this.#findings, ready: undefined, scan: scanned?.scan };
    const { session, scan } = scanned;
    return {
      findings: this.#findings,
      ready: { source: session, scan, targets: ordered, reached, admission: this.#admission },
      scan,
    };
  }

  async #start(
    endpoint: ResolvedPlan['source'],
    onSession: (session: AgentSession) => void,
    readsInput: boolean = false,
  ): Promise<AgentSession> {
    const session = await AgentSession.start(endpoint, this.#options, this.#signal, {
      readsInput,
      listener: this.#listener,
    });
    this.#sessions.push(session);
    checkControlVersion(session.greeting);
    onSession(session);
    return session;
  }

  async #scan(session: AgentSession): Promise<Scan> {
    const { exclude, oneFileSystem, input } = this.#options;
    if (input.kind !== 'tree') return await scanStream(session, input, this.#plan, this.#bases.commonLsn());
    const path = toBase64(this.#plan.source.path);
    const scan = await session.request('scan', { path, exclude, oneFileSystem });
    const { unreadable } = scan;
    if (unreadable.total > 0) {
      throw new BatonError(
        'NO_PERMISSION',
        `${formatCount(unreadable.total, 'file')} of the source cannot be read, the first is ${unreadable.first[0] ?? ''}`,
        { hint: 'copy as a user who may read them, with --sudo, or leave them out with --exclude' },
      );
    }
    return { ...scan, isStream: false, backup: undefined };
  }

  /** What a backup needs on the targets: a tool that fits the server, the users that its files are to belong to, a base that fits. */
  async #checkBackup(backup: ScannedBackup, source: AgentSession, targets: readonly ReadyTarget[]): Promise<void> {
    const { input } = this.#options;
    const { server } = backup;
    for (const { host, error } of this.#bases.check(backup, source)) this.#find(host, error);
    const owner = input.kind === 'mariadb' && input.owner !== undefined ? { owner: input.owner } : {};
    await Promise.all(
      targets.map(({ session }) =>
        this.#onHost(formatHost(session.endpoint), () => session.request('checkBackup', { server, ...owner })),
      ),
    );
  }

  async #lookAt(
    target: ResolvedPlan['targets'][number],
    number: number,
    onSession: (session: AgentSession) => void,
  ): Promise<ReadyTarget | undefined> {
    const session = await this.#start(target, onSession);
    const host = formatHost(target);
    const { port, bind } = this.#options;
    const { kind } = this.#options.input;
    const what = { ...(kind === 'tree' ? {} : { isStream: true }), ...(kind === 'mariadb' ? { isBackup: true } : {}) };
    const copy = { name: toBase64(this.#plan.name), source: this.#plan.sourceText, ...what };
    const asked = { directory: toBase64(target.path), ...copy, ...typeAsked(this.#options) };
    const [inspection, listening, baseBytes = 0] = await Promise.all([
      this.#onHost(host, () => session.request('inspect', asked)),
      this.#onHost(host, () => session.request('listen', { port, ...(bind === undefined ? {} : { bind }) })),
      this.#onHost(host, () => this.#bases.inspect(session, number)),
    ]);
    for (const error of inspection?.findings ?? []) this.#find(host, error);
    for (const error of checkType(this.#options.type, inspection, session.greeting)) this.#find(host, error);
    const { bootId } = session.greeting;
    if (inspection !== undefined) this.#inspected.set(number, { bootId, host, inspection, baseBytes });
    if (inspection === undefined || listening === undefined) return undefined;
    return { number, name: formatEndpoint(target), directory: target.path, session, inspection, listening };
  }

  /** Makes the hosts that are there members of one job and tries every hop of the plan between two of them. */
  async #connect(
    source: AgentSession | undefined,
    targets: readonly ReadyTarget[],
  ): Promise<{ ordered: readonly ReadyTarget[]; reached: Map<number, string> }> {
    const reached = new Map<number, string>();
    const byNumber = new Map(source === undefined ? [] : [[0, source]]);
    for (const { number, session } of targets) byNumber.set(number, session);
    const sessions = [...byNumber.values()];
    if (sessions.length === 0) return { ordered: targets, reached };
    const dataVersion = this.#chooseDataVersion(sessions);
    if (dataVersion === undefined) return { ordered: targets, reached };
    const { priority } = this.#options;
    const jobId = toBase64(randomBytes(16));
    const length = this.#plan.targets.length + 1;
    const members = Array.from({ length }, (_, number) => byNumber.get(number)?.greeting.fingerprint ?? nobody);
    await Promise.all(
      Array.from(byNumber, ([member, session]) =>
        session.request('join', { jobId, member, members, dataVersion, priority }),
      ),
    );
    const isReordered = this.#options.order === 'near' && source !== undefined;
    const ordered = isReordered ? await this.#nearestFirst(source, targets) : targets;
    await Promise.all(
      ordered.map(async (target, index) => {
        // Where a host is missing, the order of the others is not that of the plan: only what is a hop in both is tried.
        const before = isReordered ? (ordered[index - 1]?.number ?? 0) : target.number - 1;
        const from = byNumber.get(this.#options.topology === 'chain' ? before : 0);
        const address = from === undefined ? undefined : await this.#probe(from, target);
        if (address !== undefined) reached.set(target.number, address);
      }),
    );
    return { ordered, reached };
  }

  #chooseDataVersion(sessions: readonly AgentSession[]): number | undefined {
    const min = Math.max(...sessions.map(({ greeting }) => greeting.data.min));
    const max = Math.min(...sessions.map(({ greeting }) => greeting.data.max));
    if (min <= max) return max;
    const spoken = sessions.map(({ endpoint, greeting }) => {
      return `${formatHost(endpoint)} (baton ${greeting.software}) ${greeting.data.min} to ${greeting.data.max}`;
    });
    this.#find(formatHost(this.#plan.source), {
      code: 'VERSION_MISMATCH',
      message: `the hosts have no data version in common: ${spoken.join(', ')}`,
      retryable: false,
      hint: 'install releases that are at most one apart on all hosts',
    });
    return undefined;
  }

  async #nearestFirst(source: AgentSession, targets: readonly ReadyTarget[]): Promise<readonly ReadyTarget[]> {
    const timed = await Promise.all(
      targets.map(async (target) => {
        if (!(await this.#admit(source, target))) return { target, tookMs: Number.POSITIVE_INFINITY };
        const startMs = performance.now();
        const address = await this.#tryProbe(source, target).catch(() => undefined);
        return { target, tookMs: address === undefined ? Number.POSITIVE_INFINITY : performance.now() - startMs };
      }),
    );
    return timed.sort((a, b) => a.tookMs - b.tookMs).map(({ target }) => target);
  }

  async #probe(from: AgentSession, target: ReadyTarget): Promise<string | undefined> {
    const sender = formatHost(from.endpoint);
    const receiver = formatHost(target.session.endpoint);
    if (!(await this.#admit(from, target))) return undefined;
    try {
      return await this.#tryProbe(from, target);
    } catch (error) {
      this.#signal.throwIfAborted();
      const record = toErrorRecord(error);
      this.#find(sender, {
        ...record,
        message: `${sender} cannot reach ${receiver} on its data port ${target.listening.port}: ${record.message}`,
      });
      return undefined;
    }
  }

  /** Has the target's firewall let the sender in. A firewall that was named and cannot be opened is a finding. */
  async #admit(from: AgentSession, target: ReadyTarget): Promise<boolean> {
    const host = formatHost(target.session.endpoint);
    return (await this.#onHost(host, async () => (await this.#admission.admit(from, target), true))) ?? false;
  }

  async #tryProbe(from: AgentSession, target: ReadyTarget): Promise<string> {
    const { listening, number } = target;
    const addresses = candidateAddresses(from, target.session, listening, this.#options.bind);
    return (await from.request('probe', { to: number, addresses, port: listening.port })).address;
  }

  /** Runs something about one host; its failure becomes a finding, so that the other hosts are looked at too. */
  async #onHost<T>(host: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      this.#signal.throwIfAborted();
      this.#find(host, toErrorRecord(error));
      return undefined;
    }
  }

  #find(host: string, error: ErrorRecord): void {
    this.#findings.push({ severity: 'error', host, error: { ...error, host } });
  }

  #hasError(): boolean {
    return this.#findings.some(({ severity }) => severity === 'error');
  }
}
