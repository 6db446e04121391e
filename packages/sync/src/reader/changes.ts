import type { WatchEvent } from '@batondb/etcd';
import { decodeRecord, type MetaKeys } from '../etcd/records.ts';
import type { TableIndex } from '../etcd/table-index.ts';
import { rowOfValue } from '../etcd/values.ts';
import type { TableRecord } from '../sink.ts';
import { nameOf, type Row } from '../table.ts';

/** A row as it stands in etcd. */
export type ReadRow = {
  /** `schema.name`. */
  readonly table: string;
  /** The fields of its key, as the source writes them. */
  readonly key: Row;
  /** As it is stored: numbers in it have all their digits. */
  readonly json: string;
  readonly row: Readonly<Record<string, unknown>>;
};

export type ReadChange =
  | ({ readonly kind: 'put' } & ReadRow)
  | { readonly kind: 'delete'; readonly table: string; readonly key: Row }
  /** A table is new, or its columns are others. */
  | { readonly kind: 'table'; readonly table: string; readonly record: TableRecord }
  /** A table is no more. */
  | { readonly kind: 'drop'; readonly table: string };

export function readRow(table: string, key: Row, value: Buffer, envelope: boolean): ReadRow {
  const json = rowOfValue(value.toString(), envelope);
  return { table, key, json, row: JSON.parse(json) as Record<string, unknown> };
}

/** What an event is for a reader. Undefined: nothing. */
export function changeOf(
  { type, kv }: WatchEvent,
  tables: TableIndex,
  { keys, envelope }: { readonly keys: MetaKeys; readonly envelope: boolean },
): ReadChange | undefined {
  const key = kv.key.toString();
  if (key.startsWith(keys.tables)) {
    if (type === 'put') {
      const record = decodeRecord(kv.value, key);
      return { kind: 'table', table: nameOf(record), record };
    }
    const gone = tables.names.find((name) => keys.table(tables.named(name)!.record) === key);
    return gone === undefined ? undefined : { kind: 'drop', table: gone };
  }
  const found = tables.find(key);
  const fields = found?.place.fields(key);
  if (found === undefined || fields === undefined) return undefined;
  const table = nameOf(found.record);
  return type === 'put'
    ? { kind: 'put', ...readRow(table, fields, kv.value, envelope) }
    : { kind: 'delete', table, key: fields };
}
