import { hash } from 'node:crypto';
import { BatonError, type ErrorRecord, toErrorRecord } from '@batondb/core/errors';
import { nameOf, type Table, type TableName } from '../table.ts';
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

/**
 * What becomes of a row that is larger than a transaction of etcd may be: an error; or what is to be written about it in its place, since the row that was there before
 * must not stay as if it were the newest. Throws LIMIT.
 */
export function setAside(
  { onError, keys, limits, onRecorded }: PoisonPolicy,
  table: Table | TableName,
  row: { readonly key: string; readonly bytes: number },
): ReadonlyMap<string, string | null> {
  const shown = row.key.length > keyShown ? `${row.key.slice(0, keyShown)}…` : row.key;
  const error = new BatonError(
    'LIMIT',
    `a row of ${nameOf(table)} takes ${row.bytes} bytes, and etcd takes ${limits.bytes} in a transaction: ${shown}`,
    {
      hint: 'leave the large column out (--columns), let etcd take more (--max-request-bytes, and txnBytes here), or keep such rows aside (--on-error record)',
    },
  );
  if (onError === 'stop') throw error;
  const record = toErrorRecord(error);
  onRecorded(nameOf(table), record);
  const values = new Map<string, string | null>();
  const digest = hash('sha256', row.key, 'hex').slice(0, 32);
  values.set(keys.error(table, digest), JSON.stringify({ table: nameOf(table), key: shown, ...record }));
  // A key that is too long itself was never written.
  if (Buffer.byteLength(row.key) < limits.bytes) values.set(row.key, null);
  return values;
}
