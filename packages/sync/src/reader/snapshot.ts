import { BatonError } from '@batondb/core/errors';
import { type EtcdClient, readPages, withPrefix } from '@batondb/etcd';
import type { ClosedState, Found } from '../etcd/closed-state.ts';
import { type IndexedTable, TableIndex } from '../etcd/table-index.ts';
import type { TableRecord } from '../sink.ts';
import type { Position } from '../stream.ts';
import type { Row } from '../table.ts';
import { type ReadRow, readRow } from './changes.ts';

/** All tables at one position, for as long as etcd remembers. Its calls throw HISTORY_LOST when it does not any more: then another one is taken. */
export class Snapshot {
  readonly position: Position;
  /** Where a watch goes on from here. */
  readonly revision: number;
  readonly tables: readonly TableRecord[];
  readonly #client: EtcdClient;
  readonly #envelope: boolean;
  readonly #index: TableIndex;

  constructor(client: EtcdClient, { format, layout }: Found, { position, revision, records }: ClosedState) {
    this.position = position;
    this.revision = revision;
    this.tables = records;
    this.#client = client;
    this.#envelope = format.envelope;
    this.#index = new TableIndex(layout, records);
  }

  /** A row by its key, as the source writes it: `get('public.orders', ['17'])`. Undefined: there is none. Throws NOT_FOUND for a table that is not there. */
  async get(table: string, key: Row): Promise<ReadRow | undefined> {
    const { place } = this.#table(table);
    const { kvs } = await this.#client.range({ key: place.key(key), revision: this.revision });
    const [found] = kvs;
    return found === undefined ? undefined : readRow(table, key, found.value, this.#envelope);
  }

  /** All rows of a table, in pages, in the order of their keys in etcd. Throws NOT_FOUND for a table that is not there. */
  async *rows(table: string): AsyncGenerator<readonly ReadRow[], void, undefined> {
    const { place } = this.#table(table);
    const range = { ...withPrefix(place.prefix), revision: this.revision };
    for await (const page of readPages(this.#client, range)) {
      const rows: ReadRow[] = [];
      for (const { key, value } of page) {
        const fields = place.fields(key.toString());
        if (fields !== undefined) rows.push(readRow(table, fields, value, this.#envelope));
      }
      yield rows;
    }
  }

  #table(name: string): IndexedTable {
    const found = this.#index.named(name);
    if (found !== undefined) return found;
    throw new BatonError('NOT_FOUND', `no table ${name} is in this sink: there are ${this.#index.names.join(', ')}`);
  }
}
