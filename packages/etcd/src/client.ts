import { BatonError } from '@batondb/core/errors';
import { isCertain, toEtcdError } from './failures.ts';
import { limits } from './limits.ts';
import { type EtcdAccess, Members, NotSent } from './members.ts';
import type {
  Alarm,
  KeyRange,
  MemberStatus,
  RangeOptions,
  RangeResult,
  Transaction,
  TransactionResult,
  WatchBatch,
} from './messages.ts';
import {
  decodeRange,
  decodeTransaction,
  decodeWatch,
  encodeRange,
  encodeTransaction,
  number,
  toBytes,
  type WireRange,
  type WireTxn,
  type WireWatch,
} from './wire.ts';
import type { Write, WriteResult } from './write-codec.ts';

/** A lease as it was granted or kept alive. */
export type Lease = { readonly id: number; readonly ttlSeconds: number };

const alarmKinds: Readonly<Record<number, Alarm['kind']>> = { 1: 'no-space', 2: 'corrupt' };
const deactivate = 2;
/** Leases are named by us, below 2^53, so that their numbers are exact. */
const leaseIdMax = 2 ** 48;

/**
 * A client of one etcd. Reads are linearizable. Every call throws BatonError: UNREACHABLE, TIMED_OUT, ACCESS_DENIED, LIMIT, PROTOCOL, UNSUPPORTED; and what
 * stands with it.
 */
export class EtcdClient implements Disposable {
  readonly #members: Members;

  constructor(access: EtcdAccess) {
    this.#members = new Members(access);
  }

  async range(options: RangeOptions, signal?: AbortSignal): Promise<RangeResult> {
    return decodeRange(await this.#read<WireRange>('KV/Range', encodeRange(options), signal));
  }

  /** A transaction that only reads. */
  async look(transaction: Transaction, signal?: AbortSignal): Promise<TransactionResult> {
    return decodeTransaction(await this.#read<WireTxn>('KV/Txn', encodeTransaction(transaction), signal));
  }

  /**
   * A transaction that writes. It is sent once. Throws OUTCOME_UNKNOWN when it may have been executed or may yet be; with every other error it was not
   * and will not be (T2): NO_SPACE, UNREACHABLE when no member could be connected to, and those of all calls.
   */
  async txn(transaction: Transaction): Promise<TransactionResult> {
    return decodeTransaction(await this.#once<WireTxn>('KV/Txn', encodeTransaction(transaction)));
  }

  /** The same for puts and deletes only, by a faster codec; what became of each is not told. */
  async write(write: Write): Promise<WriteResult> {
    return await this.#once<WriteResult>('KV/Write', write);
  }

  /**
   * Events of keys from a revision on, or from now on. The first batch is without events: from then on nothing is missed. Ends with the signal.
   * Throws HISTORY_LOST when the revision was compacted, CONNECTION_LOST when the stream breaks: then the caller begins anew.
   */
  async *watch(
    { key, end, fromRevision }: KeyRange & { readonly fromRevision?: number },
    signal: AbortSignal,
  ): AsyncGenerator<WatchBatch, void, undefined> {
    const { stream, what, fail } = await this.#members.open<object, WireWatch>('Watch/Watch', signal);
    const stop = (): void => stream.cancel();
    signal.addEventListener('abort', stop, { once: true });
    try {
      stream.write({
        create_request: {
          key: toBytes(key),
          ...(end === undefined ? {} : { range_end: toBytes(end) }),
          ...(fromRevision === undefined ? {} : { start_revision: fromRevision }),
        },
      });
      for await (const response of stream as AsyncIterable<WireWatch>) {
        if (response.canceled) throw cancelled(what, response);
        yield decodeWatch(response);
      }
      throw new BatonError('CONNECTION_LOST', `${what}: the stream ended`, { retryable: true });
    } catch (error) {
      if (signal.aborted) return;
      fail();
      if (error instanceof BatonError) throw error;
      const { message } = toEtcdError(error, what);
      throw new BatonError('CONNECTION_LOST', message, { retryable: true, cause: error });
    } finally {
      signal.removeEventListener('abort', stop);
      stream.cancel();
    }
  }

  /** Grants a lease. etcd may give it more time than was asked for. Throws NO_SPACE. */
  async grantLease(ttlSeconds: number): Promise<Lease> {
    const id = 1 + Math.floor(Math.random() * leaseIdMax);
    const request = { TTL: ttlSeconds, ID: id };
    const granted = await this.#members.call<{ readonly TTL: string }>('Lease/LeaseGrant', request, {
      isRepeatable: false,
    });
    return { id, ttlSeconds: number(granted.TTL) };
  }

  /** Lets a lease begin anew; undefined when it has ended. */
  async keepAlive(id: number, timeoutMs: number): Promise<Lease | undefined> {
    const signal = AbortSignal.timeout(timeoutMs);
    const { stream, what, fail } = await this.#members.open<object, { readonly TTL: string }>(
      'Lease/LeaseKeepAlive',
      signal,
    );
    const stop = (): void => stream.cancel();
    signal.addEventListener('abort', stop, { once: true });
    try {
      stream.write({ ID: id });
      for await (const { TTL } of stream as AsyncIterable<{ readonly TTL: string }>) {
        const ttlSeconds = number(TTL);
        return ttlSeconds > 0 ? { id, ttlSeconds } : undefined;
      }
      throw new BatonError('CONNECTION_LOST', `${what}: the stream ended`, { retryable: true });
    } catch (error) {
      fail();
      throw toEtcdError(error, what);
    } finally {
      signal.removeEventListener('abort', stop);
      stream.cancel();
    }
  }

  /** Ends a lease, and deletes its keys. One that has ended before makes no difference. */
  async revokeLease(id: number): Promise<void> {
    try {
      await this.#read('Lease/LeaseRevoke', { ID: id });
    } catch (error) {
      if (!(error instanceof BatonError && error.code === 'NOT_FOUND')) throw error;
    }
  }

  /** What members say of themselves: those that answer. Throws UNREACHABLE when none does. */
  async statuses(): Promise<readonly MemberStatus[]> {
    type Wire = {
      readonly version: string;
      readonly dbSize: string;
      readonly dbSizeInUse: string;
      readonly dbSizeQuota: string;
    };
    const answers = await this.#members.callAll<Wire>('Maintenance/Status', {});
    const statuses = answers.flatMap((answer, position): readonly MemberStatus[] => {
      if (answer.status === 'rejected') return [];
      const { version, dbSize, dbSizeInUse, dbSizeQuota } = answer.value;
      const fileBytes = number(dbSize);
      const quota = number(dbSizeQuota);
      const endpoint = this.#members.endpoints[position]!;
      return [
        { endpoint, version, fileBytes, usedBytes: number(dbSizeInUse), quotaBytes: quota > 0 ? quota : undefined },
      ];
    });
    if (statuses.length > 0) return statuses;
    throw answers.find((answer) => answer.status === 'rejected')?.reason ?? new NotSent(this.#members.endpoints);
  }

  async alarms(): Promise<readonly Alarm[]> {
    type Wire = { readonly alarms: readonly { readonly memberID: string; readonly alarm: number }[] };
    const { alarms } = await this.#read<Wire>('Maintenance/Alarm', { action: 0 });
    return alarms.map(({ memberID, alarm }) => ({ memberId: memberID, kind: alarmKinds[alarm] ?? 'other' }));
  }

  /** Disarms the alarms for space of all members. Only for whoever looks after the etcd. */
  async disarmSpaceAlarms(): Promise<void> {
    const alarms = await this.alarms();
    for (const { memberId, kind } of alarms) {
      if (kind !== 'no-space') continue;
      await this.#read('Maintenance/Alarm', { action: deactivate, memberID: memberId, alarm: 1 });
    }
  }

  /** Forgets what keys were before a revision. Only for whoever looks after the etcd. */
  async compact(revision: number): Promise<void> {
    try {
      await this.#read('KV/Compact', { revision, physical: true });
    } catch (error) {
      if (!(error instanceof BatonError && error.code === 'HISTORY_LOST')) throw error;
    }
  }

  /** Gives back what members do not use, one member after the other; each stands still meanwhile. Only for whoever looks after the etcd. */
  async defragment(): Promise<void> {
    const answers = await this.#members.callAll('Maintenance/Defragment', {}, limits.defragmentMs);
    const failed = answers.find((answer) => answer.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  [Symbol.dispose](): void {
    this.#members[Symbol.dispose]();
  }

  async #once<R>(name: 'KV/Txn' | 'KV/Write', request: object): Promise<R> {
    try {
      return await this.#members.call<R>(name, request, { isRepeatable: false });
    } catch (error) {
      if (error instanceof NotSent || !(error instanceof BatonError) || isCertain(error.cause)) throw error;
      if (error.code === 'ACCESS_DENIED') throw error;
      throw new BatonError('OUTCOME_UNKNOWN', `${error.message}; whether it was executed is not known`, {
        retryable: false,
        cause: error,
      });
    }
  }

  async #read<R>(name: Parameters<Members['call']>[0], request: object, signal?: AbortSignal): Promise<R> {
    return await this.#members.call<R>(name, request, {
      isRepeatable: true,
      ...(signal === undefined ? {} : { signal }),
    });
  }
}

function cancelled(what: string, { compact_revision: compacted, cancel_reason: reason }: WireWatch): BatonError {
  const revision = number(compacted);
  if (revision > 0)
    return new BatonError('HISTORY_LOST', `${what}: everything before revision ${revision} is compacted`);
  return new BatonError('CONNECTION_LOST', `${what}: ${reason === '' ? 'cancelled' : reason}`, { retryable: true });
}
