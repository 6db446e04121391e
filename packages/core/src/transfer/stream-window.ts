import { BatonError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Manifest } from '../protocol/manifest.ts';
import { decodeUnit } from '../protocol/unit.ts';
import { freeBuffer, giveUnitBuffer } from '../transport/unit-buffers.ts';
import { HaveSet } from './have.ts';
import type { Layout } from './layout.ts';
import type { UnitSink } from './receiver.ts';
import type { WorkerPool } from './worker-pool.ts';

type Opened = { readonly content: Uint8Array<ArrayBuffer>; readonly payload: Uint8Array<ArrayBuffer> };

/**
 * A stream at a receiver that hands it on at once and to nobody else: units are verified and wait in memory until all before them are taken.
 * Its source is told what was `taken` and keeps a window from there on, so no more than that window waits here either.
 */
export class StreamWindow implements UnitSink, Disposable {
  readonly manifest: Manifest;
  readonly have: HaveSet;
  /** Resolves when the last unit is here. */
  readonly full: Promise<void>;
  readonly #layout: Layout;
  readonly #pool: WorkerPool;
  readonly #opening = new Set<number>();
  readonly #waiting = new Map<number, Opened>();
  readonly #full = Promise.withResolvers<void>();
  #taken = 0;
  #receivedBytes = 0;
  #wake: () => void = () => undefined;

  constructor(pool: WorkerPool, manifest: Manifest, layout: Layout) {
    this.#pool = pool;
    this.#layout = layout;
    this.manifest = manifest;
    this.have = new HaveSet(layout.unitCount);
    this.full = this.#full.promise;
  }

  /** Units below it were given out, and their memory is somebody else's again. */
  get taken(): number {
    return this.#taken;
  }

  /** Bytes of content that are here or were. */
  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** As StagedTree.end. */
  end(units: number): void {
    this.have.end(units);
    this.#settle();
  }

  /** Verifies one UNIT message. Throws LIMIT for one so far ahead that its sender cannot have heard of what was taken. */
  async write(payload: Uint8Array<ArrayBuffer>): Promise<void> {
    const { unit } = decodeUnit(payload);
    // What was sent before a break may come again after it.
    if (this.have.has(unit) || this.#opening.has(unit)) return;
    if (unit >= this.#taken + limits.streamWindowUnits) {
      throw new BatonError('LIMIT', `unit ${unit} of the stream came, and ${this.#taken} units were taken`);
    }
    this.#opening.add(unit);
    try {
      const { digest, ...opened } = await this.#pool.run({ kind: 'unpack', payload }, [payload.buffer]);
      this.#layout.checkUnit(unit, opened.content.byteLength);
      this.#waiting.set(unit, opened);
      this.#receivedBytes += opened.content.byteLength;
      this.have.add(unit, digest);
    } finally {
      this.#opening.delete(unit);
    }
    this.#settle();
  }

  /**
   * The content in order, for one reader. A chunk is good until the next one is asked for. Ends when the stream is complete; throws the
   * signal's reason.
   */
  async *content(signal: AbortSignal): AsyncGenerator<Uint8Array, void, void> {
    const onAbort = (): void => this.#wake();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      while (this.#taken < this.have.unitCount) {
        signal.throwIfAborted();
        const opened = this.#waiting.get(this.#taken);
        if (opened === undefined) {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
          continue;
        }
        yield opened.content;
        this.#waiting.delete(this.#taken);
        this.#taken += 1;
        release(opened);
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  [Symbol.dispose](): void {
    this.#waiting.clear();
  }

  #settle(): void {
    if (this.have.isFull) this.#full.resolve();
    this.#wake();
  }
}

function release({ content, payload }: Opened): void {
  if (content.buffer !== payload.buffer) freeBuffer(content);
  giveUnitBuffer(payload);
}
