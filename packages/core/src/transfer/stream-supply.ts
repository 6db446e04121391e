import { BatonError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Manifest } from '../protocol/manifest.ts';
import { freeBuffer, giveUnitBuffer, isUnitBuffer, SharedUnit, takeUnitBuffer } from '../transport/unit-buffers.ts';
import type { CompressionChoice } from './compression-choice.ts';
import { HaveSet } from './have.ts';
import type { UnitCompression } from './jobs.ts';
import type { Layout } from './layout.ts';
import { historyLost, type SupplyListener, type UnitSupply } from './supply.ts';
import type { WorkerPool } from './worker-pool.ts';

/**
 * A stream at its source: it is read once, cut into units, and only the last ones are kept (T11). A unit goes when it is
 * released; until then the stream waits, and with it whoever makes it.
 */
export class StreamSupply implements UnitSupply, Disposable {
  readonly manifest: Manifest;
  readonly layout: Layout;
  /** Digests of what was read. */
  readonly known: HaveSet;
  readonly #pool: WorkerPool;
  readonly #listeners = new Set<SupplyListener>();
  readonly #choices = new Set<CompressionChoice>();
  readonly #window = new Map<number, SharedUnit>();
  readonly #ended = Promise.withResolvers<number>();
  #oldest = 0;
  #begun = 0;
  #contentBytes = 0;
  #wake: () => void = () => undefined;
  #isWaiting = false;

  /** `manifest` has a stream as its only entry. */
  constructor(pool: WorkerPool, manifest: Manifest, layout: Layout) {
    this.#pool = pool;
    this.manifest = manifest;
    this.layout = layout;
    this.known = new HaveSet(layout.unitCount);
    // Whoever feeds a hop hears of a failure; so does the caller of send().
    this.#ended.promise.catch(() => undefined);
  }

  get reach(): number {
    return this.known.reach;
  }

  get oldest(): number {
    return this.#oldest;
  }

  get ended(): Promise<number> {
    return this.#ended.promise;
  }

  /** Bytes read from the stream so far. */
  get contentBytes(): number {
    return this.#contentBytes;
  }

  /** It has read as far ahead of its receivers as it may. */
  get isWaiting(): boolean {
    return this.#isWaiting;
  }

  has(unit: number): boolean {
    return this.#window.has(unit);
  }

  learn(): void {
    // What was read here counts.
  }

  /**
   * Reads `content` to its end and supplies it. Its chunks are ours: their memory is freed. Says nothing of the end yet: that it was a
   * good one may show later (`end`). Rejects when the stream breaks, is longer than the manifest allows (LIMIT), or `signal` aborts.
   */
  async send(content: AsyncIterable<Uint8Array>, compression: UnitCompression, signal: AbortSignal): Promise<void> {
    const failed = Promise.withResolvers<never>();
    failed.promise.catch(() => undefined);
    signal.addEventListener('abort', () => failed.reject(signal.reason as Error), { once: true });
    const encoding = new Set<Promise<void>>();
    const encode = async (piece: Uint8Array<ArrayBuffer>): Promise<void> => {
      const work = this.#encode(this.#begun++, piece, compression).finally(() => encoding.delete(work));
      work.catch(failed.reject);
      encoding.add(work);
      while (encoding.size > this.#pool.size) await Promise.race([...encoding, failed.promise]);
      await Promise.race([this.#room(), failed.promise]);
    };
    let filling = takeUnitBuffer(limits.unitBytes);
    let filledBytes = 0;
    for await (const chunk of content) {
      signal.throwIfAborted();
      if (filledBytes === 0 && isUnit(chunk)) {
        this.#contentBytes += chunk.byteLength;
        await encode(chunk);
        continue;
      }
      for (let at = 0; at < chunk.byteLength; ) {
        const part = chunk.subarray(at, at + limits.unitBytes - filledBytes);
        filling.set(part, filledBytes);
        at += part.byteLength;
        filledBytes += part.byteLength;
        this.#contentBytes += part.byteLength;
        if (filledBytes < limits.unitBytes) continue;
        await encode(filling);
        filling = takeUnitBuffer(limits.unitBytes);
        filledBytes = 0;
      }
      if (chunk.byteLength === chunk.buffer.byteLength) freeBuffer(chunk);
    }
    // An empty stream has one unit, too: that is what makes its file.
    if (filledBytes > 0 || this.#begun === 0) await encode(filling.subarray(0, filledBytes));
    await Promise.race([Promise.all(encoding), failed.promise]);
  }

  /** The stream was good to its end: only now can any receiver complete it. */
  end(): void {
    this.known.end(this.#begun);
    this.#ended.resolve(this.#begun);
  }

  /** Units below `units` need not be kept any more. */
  release(units: number): void {
    for (; this.#oldest < Math.min(units, this.known.prefix); this.#oldest++) {
      this.#window.get(this.#oldest)?.release();
      this.#window.delete(this.#oldest);
    }
    this.#wake();
  }

  async read(unit: number): Promise<Uint8Array<ArrayBuffer>> {
    const kept = this.#window.get(unit);
    if (kept === undefined) throw historyLost('the source', unit, this.#oldest);
    const copy = takeUnitBuffer(kept.payload.byteLength);
    copy.set(kept.payload);
    return copy;
  }

  watch(listener: SupplyListener, choice?: CompressionChoice): Disposable {
    this.#listeners.add(listener);
    if (choice !== undefined) this.#choices.add(choice);
    const unwatch = (): void => {
      this.#listeners.delete(listener);
      if (choice !== undefined) this.#choices.delete(choice);
    };
    return { [Symbol.dispose]: unwatch };
  }

  [Symbol.dispose](): void {
    for (const message of this.#window.values()) message.release();
    this.#window.clear();
  }

  async #encode(unit: number, content: Uint8Array<ArrayBuffer>, compression: UnitCompression): Promise<void> {
    if (unit >= this.layout.unitCount) {
      throw new BatonError('LIMIT', `the stream has more than ${this.layout.unitCount} units of 1 MiB`);
    }
    const into = takeUnitBuffer();
    const job = { kind: 'encode', unit, content, compression: this.#chosen(compression), into } as const;
    const encoded = await this.#pool.run(job, [content.buffer, into.buffer]);
    giveUnitBuffer(encoded.content);
    this.known.add(unit, encoded.digest);
    const message = new SharedUnit(encoded.payload);
    this.#window.set(unit, message);
    for (const listener of this.#listeners) listener(unit, message);
  }

  /** What was asked for, unless it helps none of the hops now. */
  #chosen(wanted: UnitCompression): UnitCompression {
    const chosen = [...this.#choices].map((choice) => choice.current());
    return chosen.length === 0 || chosen.some(({ mode }) => mode !== 'none') ? wanted : { mode: 'none' };
  }

  /** Waits while as many units are kept as may be. */
  async #room(): Promise<void> {
    while (this.#begun - this.#oldest >= limits.streamWindowUnits) {
      this.#isWaiting = true;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#isWaiting = false;
  }
}

/** It can go on as it is. */
function isUnit(chunk: Uint8Array): chunk is Uint8Array<ArrayBuffer> {
  return chunk.byteLength === limits.unitBytes && isUnitBuffer(chunk);
}
