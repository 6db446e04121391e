import { randomUUID } from 'node:crypto';
import { BatonError, type ErrorRecord } from '@batondb/core/errors';
import {
  EtcdBudget,
  EtcdClient,
  EtcdUpkeep,
  expectNoTenants,
  type KeyValue,
  type OperationResult,
  Seat,
  type SeatClaim,
  type Tenure,
  UpkeepClock,
  withPrefix,
} from '@batondb/etcd';
import type { OwnedSink, Sink } from '../sink.ts';
import { nameOf } from '../table.ts';
import type { TxnLimits } from './group.ts';
import { type Layout, layoutOf } from './layout.ts';
import { OwnedEtcdSink } from './owned-sink.ts';
import { PoisonRows } from './poison.ts';
import { findTxnOperations } from './probe.ts';
import { decodeFormat, decodePlace, decodeRecord, encodeFormat, MetaKeys } from './records.ts';
import type { EtcdSinkPlan } from './settings.ts';
import { Writer } from './writer.ts';

/** A sink in etcd: rows below a prefix, and what is remembered of them beside. */
export class EtcdSink implements Sink {
  readonly address: string;
  readonly #plan: EtcdSinkPlan;
  readonly #layout: Layout;
  readonly #keys: MetaKeys;
  /** The same for every time of owning: what this process has left behind it may take away at once. */
  readonly #session: string = randomUUID();
  readonly #upkeepClock: UpkeepClock = new UpkeepClock();

  /** Throws USAGE for a template of keys that cannot tell rows apart. */
  constructor(plan: EtcdSinkPlan) {
    this.address = plan.address;
    this.#plan = plan;
    this.#layout = layoutOf(plan.layout, plan.prefix);
    this.#keys = new MetaKeys(this.#layout.metaPrefix);
  }

  /** Throws USAGE, EXISTS, UNREACHABLE, ACCESS_DENIED, VERSION_MISMATCH. */
  async own(
    signal: AbortSignal,
    onWait: (owner: string) => void,
    onRecorded: (table: string, error: ErrorRecord) => void,
  ): Promise<OwnedSink> {
    const { access, leaseSeconds, sharedEtcd } = this.#plan;
    await using stack = new AsyncDisposableStack();
    const client = stack.adopt(new EtcdClient(access), (one) => one[Symbol.dispose]());
    if (!sharedEtcd) await expectNoTenants(client, this.address);
    const limits = await this.#limits(client);
    const { owner: key, prefix } = this.#keys;
    const seat = stack.use(new Seat(client, { access, key, prefix, leaseSeconds, session: this.#session }));
    const tenure = await seat.take(this.#claim(), signal, onceToldOf(onWait));
    const policy = { onError: this.#plan.onError, keys: this.#keys, limits, onRecorded };
    const owned = this.#owned(client, { seat, tenure, limits, poison: await PoisonRows.read(client, policy) });
    stack.move();
    return owned;
  }

  #owned(
    client: EtcdClient,
    parts: {
      readonly seat: Seat;
      readonly tenure: Tenure;
      readonly limits: TxnLimits;
      readonly poison: PoisonRows;
    },
  ): OwnedSink {
    const { tenure } = parts;
    const [pos, tables] = tenure.results.slice(-2);
    const found = pos?.kvs[0];
    const budget = new EtcdBudget(client, this.#plan);
    const upkeep = new EtcdUpkeep(client, this.#plan, budget, this.#upkeepClock);
    const writer = new Writer(
      { ...parts, client, budget, upkeep, keys: this.#keys },
      found === undefined ? undefined : decodePlace(found.value, this.#keys.pos),
      found?.modRevision ?? 0,
    );
    const records = new Map(
      (tables?.kvs ?? []).map(({ key, value }) => {
        const record = decodeRecord(value, key.toString());
        return [nameOf(record), record];
      }),
    );
    return new OwnedEtcdSink({
      ...parts,
      plan: this.#plan,
      client,
      writer,
      layout: this.#layout,
      keys: this.#keys,
      records,
    });
  }

  /** A place that is new becomes ours with the seat; one that is ours is read with it, so that nobody else's step is between. */
  #claim(): SeatClaim {
    const { format, pos, tables } = this.#keys;
    const read = [{ range: { key: pos } }, { range: withPrefix(tables) }];
    return {
      look: [{ range: { key: format } }, { range: { ...withPrefix(this.#plan.prefix), limit: 8, keysOnly: true } }],
      claim: ([known, some]: readonly OperationResult[]) => {
        const found = known?.kvs[0];
        if (found !== undefined) this.#expectFormat(found);
        else this.#expectNothing(some?.kvs ?? []);
        const made = { put: format, value: encodeFormat(this.#format) };
        return {
          when: [{ key: format, modRevision: found?.modRevision ?? 0 }],
          do: found === undefined ? [made, ...read] : read,
        };
      },
    };
  }

  get #format(): { readonly layout: string; readonly envelope: boolean } {
    return { layout: this.#layout.name, envelope: this.#plan.envelope };
  }

  #expectFormat({ value }: KeyValue): void {
    const { layout, envelope } = decodeFormat(value, this.#keys.format);
    const wanted = this.#format;
    if (layout === wanted.layout && envelope === wanted.envelope) return;
    const name = (one: typeof wanted): string => `${one.layout}${one.envelope ? ' with envelopes' : ''}`;
    throw new BatonError(
      'USAGE',
      `${this.address} has the layout ${name({ layout, envelope })}, and ${name(wanted)} is asked for`,
      { hint: 'ask for the layout that is there, or choose another prefix' },
    );
  }

  #expectNothing(some: readonly KeyValue[]): void {
    const stranger = some.map(({ key }) => key.toString()).find((key) => !key.startsWith(this.#keys.prefix));
    if (stranger === undefined || this.#plan.adopt) return;
    throw new BatonError('USAGE', `${this.address} holds keys that are not Baton's: ${stranger}`, {
      hint: "choose a prefix below which nothing is, or take over what is there (adopt): what the source's tables have not goes",
    });
  }

  async #limits(client: EtcdClient): Promise<TxnLimits> {
    const { txnOperations, txnBytes } = this.#plan;
    const operations = txnOperations ?? (await findTxnOperations(client, this.#keys.pos));
    // One is the position's.
    return { operations: operations - 1, bytes: txnBytes };
  }
}

function onceToldOf(onWait: (owner: string) => void): (holder: string | undefined) => void {
  let isTold = false;
  return (holder) => {
    if (isTold || holder === undefined) return;
    isTold = true;
    onWait(holder);
  };
}
