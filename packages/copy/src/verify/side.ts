import { BatonError, toErrorRecord } from '@batondb/core/errors';
import type { InventoryBatch, InventoryCount, InventoryItem, InventoryParams } from '../control/inventory.ts';
import { RateMeter } from '../coordinator/rate-meter.ts';
import type { AgentSession } from '../coordinator/session.ts';
import { formatHost } from '../endpoint.ts';

/** Batches asked for in advance, so that no round trip is waited for. */
const askedMax = 2;
/** A host that answers pings but gives nothing of its tree for this long has a disk or network file system that hangs. */
const silenceMsMax = 300_000;

/** One tree as its agent reads it. */
export class Side {
  readonly session: AgentSession;
  readonly rate: RateMeter = new RateMeter();
  done: InventoryCount = { entries: 0, files: 0, bytes: 0 };
  totals: InventoryCount | undefined;
  state: 'reading' | 'done' | 'failed' = 'reading';
  readonly #asked: Promise<InventoryBatch>[] = [];

  constructor(session: AgentSession) {
    this.session = session;
  }

  /** Has the agent begin to read. Throws what preflight reports. */
  async begin(params: InventoryParams): Promise<void> {
    try {
      await this.session.request('inventory', params);
    } catch (error) {
      throw this.#explain(error);
    }
  }

  /** The next items; undefined after the last. Throws what ended the reading, with its host. */
  async pull(): Promise<readonly InventoryItem[] | undefined> {
    if (this.state === 'done') return undefined;
    while (this.#asked.length < askedMax) this.#ask();
    try {
      const { items, isLast, done, totals } = await this.#take();
      this.done = done;
      this.totals = totals ?? this.totals;
      this.rate.observe(done.bytes);
      if (isLast) this.state = 'done';
      return items;
    } catch (error) {
      this.state = 'failed';
      throw this.#explain(error);
    }
  }

  #ask(): void {
    const batch = this.session.request('inventoryBatch', {});
    // Whoever takes it is told; one that nobody takes any more has nobody to tell.
    batch.catch(() => undefined);
    this.#asked.push(batch);
  }

  async #take(): Promise<InventoryBatch> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const error = new BatonError('STALLED', `nothing was read for ${silenceMsMax / 60_000} minutes`, {
        hint: 'look at its disk, and for a network file system whose server is gone',
        retryable: true,
      });
      timer = setTimeout(() => reject(error), silenceMsMax);
    });
    try {
      return await Promise.race([this.#asked.shift() ?? late, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** With the host, which the agent does not know by the name the user gave it. */
  #explain(error: unknown): BatonError {
    const host = formatHost(this.session.endpoint);
    const { code, message, retryable, hint } = toErrorRecord(error);
    const isUnknown = code === 'PROTOCOL' && message.includes('is not known here');
    if (isUnknown) {
      return new BatonError('VERSION_MISMATCH', `baton ${this.session.greeting.software} there cannot compare yet`, {
        host,
        hint: 'install the same release on all hosts',
      });
    }
    return new BatonError(code, message, { host, retryable, ...(hint === undefined ? {} : { hint }), cause: error });
  }
}
