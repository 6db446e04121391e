import { BatonError } from '@batondb/core/errors';
import type { EtcdBudget, EtcdClient, EtcdUpkeep, Seat, Tenure, WriteOperation } from '@batondb/etcd';
import type { Group, TxnLimits } from './group.ts';
import { encodePlace, type MetaKeys, type Place } from './records.ts';

export type WriterParts = {
  readonly client: EtcdClient;
  readonly seat: Seat;
  readonly tenure: Tenure;
  readonly budget: EtcdBudget;
  readonly upkeep: EtcdUpkeep;
  readonly keys: MetaKeys;
  readonly limits: TxnLimits;
};

/** What is written, as etcd's keys; null deletes. */
export type Values = ReadonlyMap<string, string | null>;

/** Before anything is begun; whoever begins puts another position in its place. */
const nowhere: Place = { position: '', open: true };

/**
 * Writes for as long as we own the sink. Every transaction compares the owner's create revision, and those that move the position compare its revision, too (Y2).
 * After an error nothing more is written by it: what was sent and not answered is known when the sink is owned anew, since by then it is refused or done.
 */
export class Writer {
  readonly #parts: WriterParts;
  #place: Place | undefined;
  /** When the place was put; 0: never. */
  #revision: number;
  #turn: Promise<void> = Promise.resolve();

  constructor(parts: WriterParts, place: Place | undefined, revision: number) {
    this.#parts = parts;
    this.#place = place;
    this.#revision = revision;
  }

  get place(): Place | undefined {
    return this.#place;
  }

  /** When the place was put last. */
  get revision(): number {
    return this.#revision;
  }

  get limits(): TxnLimits {
    return this.#parts.limits;
  }

  /** The newest revision at which all tables are at one position. */
  get closedRevision(): number | undefined {
    return this.#place === undefined || this.#place.open ? this.#place?.closedRevision : this.#revision;
  }

  /** Writes a group and what was reached with it: one step (Y1). */
  async send({ values, end }: Group): Promise<void> {
    if (end === undefined) return await this.advancePart(values);
    const { position, isOpen: open } = end;
    await this.advance(() => ({ position, open, closedRevision: open ? this.closedRevision : undefined }), values);
  }

  /** Writes a part of what is behind the position: readers do not see it yet. */
  async advancePart(values: Values, deletes: readonly WriteOperation[] = []): Promise<void> {
    const part = ({ position, partAfter = this.#revision }: Place): Place => ({
      position,
      open: true,
      closedRevision: this.closedRevision,
      partAfter,
    });
    await this.advance(part, values, deletes);
  }

  /** Writes what belongs to no position: the tables leave their common one, if they are at one. */
  async advanceOpen(values: Values, deletes: readonly WriteOperation[] = []): Promise<void> {
    const opened = (place: Place): Place => ({ ...place, open: true, closedRevision: this.closedRevision });
    await this.advance(opened, values, deletes);
  }

  /**
   * Writes values and the place in one step, of which there is one at a time. The place goes in last: who watches knows by it that the step is whole. `next` makes the
   * place of the one before.
   */
  async advance(
    next: (before: Place) => Place,
    values: Values,
    deletes: readonly WriteOperation[] = [],
  ): Promise<void> {
    const before = this.#turn;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#turn = promise;
    await before;
    try {
      const { pos } = this.#parts.keys;
      const place = next(this.#place ?? nowhere);
      this.#revision = await this.#commit(
        [...deletes, ...operationsOf(values), { put: pos, value: encodePlace(place) }],
        this.#revision === 0 ? { key: pos, version: 0 } : { key: pos, modRevision: this.#revision },
      );
      this.#place = place;
    } finally {
      resolve();
    }
  }

  /** Writes values while the sink is open, in no order with others. */
  async scatter(operations: readonly WriteOperation[]): Promise<void> {
    await this.#commit(operations);
  }

  /** Returns the revision of what was done. */
  async #commit(
    operations: readonly WriteOperation[],
    where?: { readonly key: string; readonly version: number } | { readonly key: string; readonly modRevision: number },
  ): Promise<number> {
    const { client, budget, seat, tenure, keys } = this.#parts;
    const owner = { key: keys.owner, createRevision: tenure.createRevision };
    try {
      await budget.expectRoom(bytesOf(operations));
      const { succeeded, revision } = await client.write({
        when: where === undefined ? [owner] : [owner, where],
        do: operations,
      });
      if (succeeded) {
        void this.#parts.upkeep.run(this.#neededRevision);
        return revision;
      }
    } catch (error) {
      throw await this.#failed(error);
    }
    seat.end(tenure);
    throw new BatonError('REFUSED', `etcd refused what was written below ${keys.prefix}: another process owns it`, {
      retryable: true,
      hint: 'one process at a time writes below a prefix; the other one waits',
    });
  }

  /** Readers, and a part that has to be undone, need everything since. */
  get #neededRevision(): number {
    return Math.min(
      this.closedRevision ?? Number.POSITIVE_INFINITY,
      this.#place?.partAfter ?? Number.POSITIVE_INFINITY,
    );
  }

  async #failed(error: unknown): Promise<unknown> {
    if (!(error instanceof BatonError)) return error;
    const { code, message } = error;
    if (code === 'NO_SPACE') {
      this.#parts.budget.refuse(error);
      await this.#parts.upkeep.run(this.#neededRevision);
    }
    // Owned anew, the position says what became of it.
    if (code === 'OUTCOME_UNKNOWN') return new BatonError(code, message, { retryable: true, cause: error });
    return error;
  }
}

export function operationsOf(values: Values): WriteOperation[] {
  const operations: WriteOperation[] = [];
  for (const [key, value] of values) operations.push(value === null ? { delete: key } : { put: key, value });
  return operations;
}

function bytesOf(operations: readonly WriteOperation[]): number {
  let bytes = 0;
  for (const operation of operations) if ('put' in operation) bytes += operation.put.length + operation.value.length;
  return bytes;
}
