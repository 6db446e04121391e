import { randomBytes } from 'node:crypto';
import { BatonError, toErrorRecord } from '@batondb/core/errors';
import { limits } from '@batondb/core/limits';
import type { FileEntry } from '@batondb/core/protocol/entry';
import { type Manifest, ManifestBuilder } from '@batondb/core/protocol/manifest';
import { treeDigest } from '@batondb/core/protocol/tree-digest';
import { Layout } from '@batondb/core/transfer/layout';
import { StreamSupply } from '@batondb/core/transfer/stream-supply';
import type { WorkerPool } from '@batondb/core/transfer/worker-pool';
import { fromBase64, toHex } from '../bytes.ts';
import type { RequestParams, RequestResult } from '../control/messages.ts';
import type { Compression } from '../options.ts';
import type { Report } from './agent.ts';
import { type FoundInput, findInput } from './stream-input.ts';

const reportMs = 100;
/** A stream is whatever its maker wrote, which may be a whole database: its owner alone may read it. */
const streamMode = 0o600;

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
    const builder = new ManifestBuilder();
    builder.add(entryOf(fromBase64(params.name)));
    return new StreamRole(pool, builder.finish(), { input, report, ended });
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

/** What a stream becomes. Its identity is made up, so that no two streams are ever taken for one. */
function entryOf(name: Uint8Array): FileEntry {
  const nowNs = BigInt(Date.now()) * 1_000_000n;
  return {
    kind: 'file',
    parent: -1,
    name,
    mode: streamMode,
    uid: process.geteuid?.() ?? 0,
    gid: process.getegid?.() ?? 0,
    modifyTimeNs: nowNs,
    accessTimeNs: nowNs,
    xattrs: [],
    sizeBytes: limits.streamBytesMax,
    identity: { device: 0n, inode: randomBytes(8).readBigUInt64LE(), changeTimeNs: nowNs },
    extents: undefined,
    isStream: true,
  };
}
