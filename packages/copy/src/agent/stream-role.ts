import { BatonError, toErrorRecord } from '@batondb/core/errors';
import type { Manifest } from '@batondb/core/protocol/manifest';
import { treeDigest } from '@batondb/core/protocol/tree-digest';
import { Layout } from '@batondb/core/transfer/layout';
import { streamManifest } from '@batondb/core/transfer/stream-manifest';
import { StreamSupply } from '@batondb/core/transfer/stream-supply';
import type { WorkerPool } from '@batondb/core/transfer/worker-pool';
import { fromBase64, toHex } from '../bytes.ts';
import type { RequestParams, RequestResult } from '../control/messages.ts';
import type { Compression } from '../options.ts';
import type { Report } from './agent.ts';
import { type FoundInput, findInput } from './stream-input.ts';

const reportMs = 100;

type StreamContext = { readonly input: FoundInput; readonly report: Report; readonly ended: AbortController };

/** An agent as the source of a stream: opened when the first target is to be fed, read once, told how much is safe. */
export class StreamRole implements AsyncDisposable {
  readonly supply: StreamSupply;
  readonly summary: RequestResult<'stream'>;
  readonly #input: FoundInput;
  readonly #report: Report;
  readonly #ended: AbortController;
  #running: Promise<void> | undefined;

  private constructor(pool: WorkerPool, manifest: Manifest, { input, report, ended }: StreamContext) {
    this.#input = input;
    this.#report = report;
    this.#ended = ended;
    this.supply = new StreamSupply(pool, manifest, Layout.of(manifest));
    const manifestBytes = manifest.sections.reduce((bytes, section) => bytes + section.byteLength, 0);
    const { open: _, ...known } = input;
    this.summary = { manifestDigest: toHex(manifest.digest), manifestBytes, ...known };
  }

  /** Looks at what makes the stream; it is begun later. Throws what preflight reports. */
  static async open(pool: WorkerPool, params: RequestParams<'stream'>, report: Report): Promise<StreamRole> {
    const ended = new AbortController();
    const input = await findInput(params.input, report, ended.signal);
    return new StreamRole(pool, streamManifest(fromBase64(params.name)), { input, report, ended });
  }

  /** Opens the stream, the first time it is called, and reads it to its end. */
  start(compression: Compression): void {
    this.#running ??= this.#run(compression);
  }

  /** The digest over what was read; none before the end. */
  digest(): RequestResult<'sourceDigest'> {
    const { known, manifest } = this.supply;
    if (!known.isFull) return {};
    return { treeDigest: toHex(treeDigest(manifest.digest, known.allDigests(), known.allChanges())) };
  }

  /** What was read cannot be read again: its digests are what there is to compare with. */
  async verify(): Promise<RequestResult<'verifySource'>> {
    const { treeDigest: digest } = this.digest();
    if (digest === undefined) throw new BatonError('PROTOCOL', 'a stream has no digest before its end');
    return { treeDigest: digest };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort(new Error('the job is over'));
    await this.#running;
    this.supply[Symbol.dispose]();
  }

  async #run(compression: Compression): Promise<void> {
    const { supply } = this;
    let isEnded = false;
    const tell = () => {
      const { contentBytes: bytes, reach: units, isWaiting } = supply;
      this.#report({ type: 'produced', bytes, units, isWaiting, isEnded });
    };
    const timer = setInterval(tell, reportMs);
    try {
      await using input = await this.#input.open(this.#ended.signal);
      await supply.send(input.content, compression, this.#ended.signal);
      // Not before everything that made it has ended well: a receiver takes the end for completeness.
      await input.finished();
      supply.end();
      isEnded = true;
      tell();
    } catch (error) {
      if (!this.#ended.signal.aborted) this.#report({ type: 'stream-failed', error: toErrorRecord(error) });
    } finally {
      clearInterval(timer);
    }
  }
}
