import { BatonError, toErrorRecord } from '@batondb/core/errors';
import { toBase64 } from '../bytes.ts';
import { checkControlVersion } from '../coordinator/control-version.ts';
import { AgentSession } from '../coordinator/session.ts';
import { type Endpoint, formatEndpoint, formatHost } from '../endpoint.ts';
import type { Finding } from '../events.ts';
import { defaultOptions } from '../options.ts';
import type { ResolvedPlan } from '../plan.ts';
import type { VerifyEvent } from './events.ts';
import type { VerifyOptions } from './options.ts';
import { Side } from './side.ts';

/** A target whose copy is being read. */
export type ReadyCopy = { readonly target: string; readonly path: string; readonly side: Side };

/** All sides, each reading already. */
export type ReadyComparison = { readonly source: Side; readonly targets: readonly ReadyCopy[] };

/** Starts an agent for every side and has it begin, all at once. No finding hides another. */
export class VerifyPreflight {
  readonly #plan: ResolvedPlan;
  readonly #options: VerifyOptions;
  readonly #sessions: AgentSession[];
  readonly #signal: AbortSignal;
  readonly #findings: Finding[] = [];

  constructor(plan: ResolvedPlan, options: VerifyOptions, sessions: AgentSession[], signal: AbortSignal) {
    this.#plan = plan;
    this.#options = options;
    this.#sessions = sessions;
    this.#signal = signal;
  }

  /** `ready` is there only when nothing was found. */
  async run(
    emit: (event: VerifyEvent) => Promise<void>,
  ): Promise<{ readonly findings: readonly Finding[]; readonly ready: ReadyComparison | undefined }> {
    const { source, targets, name } = this.#plan;
    const [sourceSide, ...targetSides] = await Promise.all([
      this.#onHost(source, (endpoint) => this.#begin(endpoint, true, emit)),
      ...targets.map((target) =>
        this.#onHost(target, () => this.#begin({ ...target, path: below(target.path, name) }, false, emit)),
      ),
    ]);
    const ready = targets.flatMap((target, index): ReadyCopy[] => {
      const side = targetSides[index];
      const path = formatEndpoint({ ...target, path: below(target.path, name) });
      return side === undefined ? [] : [{ target: formatEndpoint(target), path, side }];
    });
    const isReady = sourceSide !== undefined && ready.length === targets.length;
    return { findings: this.#findings, ready: isReady ? { source: sourceSide, targets: ready } : undefined };
  }

  /** Why nothing was compared. */
  refusal(): BatonError {
    const [first, ...more] = this.#findings;
    if (first === undefined) return new BatonError('BUG', 'a comparison was refused without a finding');
    const { code, message, retryable } = first.error;
    const hosts = [...new Set(this.#findings.map(({ host }) => host))].join(', ');
    const what =
      more.length === 0 ? `${first.host}: ${message}` : `${more.length + 1} problems were found, on ${hosts}`;
    return new BatonError(code, `nothing was compared: ${what}`, { retryable });
  }

  async #begin(endpoint: Endpoint, isSource: boolean, emit: (event: VerifyEvent) => Promise<void>): Promise<Side> {
    const { exclude, oneFileSystem, priority, quick, ignore } = this.#options;
    const session = await AgentSession.start(endpoint, { ...defaultOptions, ...this.#options }, this.#signal);
    this.#sessions.push(session);
    checkControlVersion(session.greeting);
    await emit({ type: 'host', host: formatHost(endpoint), version: session.greeting.software });
    const side = new Side(session);
    const hardlinks = !ignore.includes('hardlinks');
    const path = toBase64(endpoint.path);
    const totals = isSource && !quick;
    try {
      await side.begin({ path, exclude, oneFileSystem, hardlinks, content: !quick, totals, priority });
    } catch (error) {
      throw isSource ? error : explainMissing(error);
    }
    return side;
  }

  async #onHost<T>(endpoint: Endpoint, work: (endpoint: Endpoint) => Promise<T>): Promise<T | undefined> {
    try {
      return await work(endpoint);
    } catch (error) {
      this.#signal.throwIfAborted();
      this.#findings.push({ severity: 'error', host: formatHost(endpoint), error: toErrorRecord(error) });
      return undefined;
    }
  }
}

function explainMissing(error: unknown): unknown {
  if (!(error instanceof BatonError) || error.code !== 'NOT_FOUND') return error;
  const hint = 'a target is the directory that the copy lies in; if it has another name there, say so with --as';
  return new BatonError(error.code, error.message, { hint, ...(error.host === undefined ? {} : { host: error.host }) });
}

const slash = 0x2f;

function below(directory: Uint8Array, name: Uint8Array): Uint8Array {
  const isRoot = directory.length === 1 && directory[0] === slash;
  return Buffer.concat(isRoot ? [directory, name] : [directory, Uint8Array.of(slash), name]);
}
