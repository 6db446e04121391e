import type { ErrorRecord } from '@batondb/core/errors';
import { toBase64 } from '../bytes.ts';
import { formatEndpoint, formatHost } from '../endpoint.ts';
import type { CopyInput } from '../options.ts';
import { checkBases, commonLsn, type FoundBase } from './base-check.ts';
import type { ScannedBackup } from './scan.ts';
import type { AgentSession } from './session.ts';

/** The bases of an incremental backup, as preflight learns of them: one on every target, all under one path. */
export class Bases {
  /** Undefined when the backup is a full one, or no backup. */
  readonly path: string | undefined;
  /** The backup is applied to copies of them. */
  readonly #isApplied: boolean;
  readonly #found = new Map<number, FoundBase>();

  constructor(input: CopyInput) {
    this.path = input.kind === 'mariadb' ? input.base : undefined;
    this.#isApplied = input.kind === 'mariadb' && input.prepare;
  }

  /** Looks at the base on a target, and returns how much of it will be copied there. Throws what preflight reports. */
  async inspect(session: AgentSession, number: number): Promise<number> {
    if (this.path === undefined) return 0;
    const { endpoint } = session;
    const asked = { base: this.path, directory: toBase64(endpoint.path), isApplied: this.#isApplied };
    const found = await session.request('inspectBase', asked);
    this.#found.set(number, { ...found, host: formatHost(endpoint), target: formatEndpoint(endpoint) });
    return this.#isApplied ? found.bytes : 0;
  }

  /** The position that one stream for all targets begins at; undefined where there is none. */
  commonLsn(): string | undefined {
    return commonLsn(this.#all());
  }

  /** What speaks against the bases that were found. */
  check(backup: ScannedBackup, source: AgentSession): { host: string; error: ErrorRecord }[] {
    if (this.path === undefined) return [];
    const host = formatHost(source.endpoint);
    const found = checkBases(this.path, this.#all(), backup, source.greeting);
    return found.map((one) => ({ host: one.host ?? host, error: one.error }));
  }

  /** In the order of the plan, so that the same plan gives the same words. */
  #all(): FoundBase[] {
    return [...this.#found].sort(([a], [b]) => a - b).map(([, found]) => found);
  }
}
