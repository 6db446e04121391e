import type { TargetResult } from '../events.ts';
import type { CopyOptions } from '../options.ts';
import type { AgentSession } from './session.ts';

/**
 * The source's own word for what the targets should have. With `wire` that is the digest over what it sent, which costs
 * nothing; with `disk` it reads everything again, beside the targets, which then do the same.
 *
 * R4: a target whose digest is not the source's, without the source having changed, is not trusted: a relay may have altered
 * what it passed on.
 */
export class SourceCheck {
  readonly #source: AgentSession;
  readonly #verify: CopyOptions['verify'];
  #digest: Promise<string | undefined> | undefined;

  constructor(source: AgentSession, verify: CopyOptions['verify']) {
    this.#source = source;
    this.#verify = verify;
  }

  /** No target needs data any more: a source that reads again may begin. */
  begin(): void {
    if (this.#verify === 'disk') void this.digest();
  }

  /** The tree digest the source stands for; undefined when it is gone, or did not send everything in this run. */
  digest(): Promise<string | undefined> {
    const asked =
      this.#digest ??
      this.#source.request(this.#verify === 'disk' ? 'verifySource' : 'sourceDigest', {}).then(
        ({ treeDigest }) => treeDigest,
        // A source that is gone fails its targets where its conversation ends.
        () => undefined,
      );
    this.#digest = asked;
    return asked;
  }

  /** The result as it stands after the comparison. */
  compare(result: TargetResult, digest: string | undefined): TargetResult {
    const isUnknown = digest === undefined && this.#verify === 'wire';
    if (result.state === 'failed' || isUnknown || result.treeDigest === digest) return result;
    const message = `it has tree digest ${result.treeDigest ?? '?'}, and the source ${digest ?? 'could not be read again'}`;
    const hint = `what is at ${result.finalPath} is not the source: remove it, and find out which host altered it`;
    return { ...result, state: 'failed', error: { code: 'DIGEST_MISMATCH', message, retryable: false, hint } };
  }
}
