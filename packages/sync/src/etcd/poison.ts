import { hash } from 'node:crypto';
import { BatonError, type ErrorRecord, toErrorRecord } from '@batondb/core/errors';
import { type EtcdClient, readPages, withPrefix } from '@batondb/etcd';
import { nameOf, type TableName } from '../table.ts';
import type { TxnLimits } from './group.ts';
import type { MetaKeys } from './records.ts';

/** Characters of a key that a person is shown. */
const keyShown = 200;

export type PoisonPolicy = {
  readonly onError: 'stop' | 'record';
  readonly keys: MetaKeys;
  readonly limits: TxnLimits;
  readonly onRecorded: (table: string, error: ErrorRecord) => void;
};

/** `bytes` undefined: nobody knows any more, since an update left the large part of it as it was. */
type LargeRow = { readonly key: string; readonly bytes: number | undefined };

/** Rows that are larger than a transaction of etcd may be. What is kept aside of one goes when its key has a row that fits, or none. */
export class PoisonRows {
  readonly #policy: PoisonPolicy;
  /** Keys of what is kept aside. */
  readonly #known: Set<string>;

  private constructor(policy: PoisonPolicy, known: Set<string>) {
    this.#policy = policy;
    this.#known = known;
  }

  /** With what was kept aside before. */
  static async read(client: EtcdClient, policy: PoisonPolicy): Promise<PoisonRows> {
    const known = new Set<string>();
    for await (const page of readPages(client, { ...withPrefix(policy.keys.errors), keysOnly: true })) {
      for (const { key } of page) known.add(key.toString());
    }
    return new PoisonRows(policy, known);
  }

  /**
   * What is to be written in the place of such a row, since the one that was there before must not stay as if it were the newest. Throws LIMIT, where that was not asked for.
   */
  setAside(table: TableName, row: LargeRow): ReadonlyMap<string, string | null> {
    const { onError, limits, onRecorded } = this.#policy;
    const shown = row.key.length > keyShown ? `${row.key.slice(0, keyShown)}…` : row.key;
    const size = row.bytes === undefined ? 'too many bytes' : `${row.bytes} bytes`;
    const error = new BatonError(
      'LIMIT',
      `a row of ${nameOf(table)} takes ${size}, and etcd takes ${limits.bytes} in a transaction: ${shown}`,
      {
        hint: 'leave the large column out (--columns), let etcd take more (--max-request-bytes, and txnBytes here), or keep such rows aside (--on-error record)',
      },
    );
    if (onError === 'stop') throw error;
    const record = toErrorRecord(error);
    onRecorded(nameOf(table), record);
    const aside = this.#keyOf(table, row.key);
    this.#known.add(aside);
    const values = new Map<string, string | null>();
    values.set(aside, JSON.stringify({ table: nameOf(table), key: shown, ...record }));
    // A key that is too long itself was never written.
    if (Buffer.byteLength(row.key) < limits.bytes) values.set(row.key, null);
    return values;
  }

  /** The key of what is kept aside of a row, which goes now. Undefined: nothing is. */
  settle(table: TableName, key: string): string | undefined {
    // Nearly always, and for every row.
    if (this.#known.size === 0) return undefined;
    const aside = this.#keyOf(table, key);
    return this.#known.delete(aside) ? aside : undefined;
  }

  /** The row of this key is kept aside. */
  has(table: TableName, key: string): boolean {
    return this.#known.size > 0 && this.#known.has(this.#keyOf(table, key));
  }

  /** Keys of all that is kept aside of a table. */
  of(table: TableName): readonly string[] {
    const prefix = this.#policy.keys.error(table, '');
    return [...this.#known].filter((key) => key.startsWith(prefix));
  }

  /** Those are gone. */
  forget(keys: Iterable<string>): void {
    for (const key of keys) this.#known.delete(key);
  }

  #keyOf(table: TableName, key: string): string {
    return this.#policy.keys.error(table, hash('sha256', key, 'hex').slice(0, 32));
  }
}
