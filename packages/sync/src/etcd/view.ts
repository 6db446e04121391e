import { BatonError } from '@batondb/core/errors';
import { EtcdClient, readPages, withPrefix } from '@batondb/etcd';
import type { HeldRow, SinkState, SinkView } from '../sink.ts';
import type { Position } from '../stream.ts';
import { keyOf, nameOf, type Row, type Table, type TableName } from '../table.ts';
import { type ClosedState, type Found, findClosed, findSink } from './closed-state.ts';
import type { EtcdSinkPlan } from './settings.ts';
import { TableIndex } from './table-index.ts';
import { rowOfValue, wholeRow } from './values.ts';

/** Looks at a sink in etcd as its readers do. Throws NOT_FOUND, UNAVAILABLE, and what stands with all calls. */
export async function openEtcdView({ access, prefix, address }: EtcdSinkPlan): Promise<SinkView> {
  const client = new EtcdClient(access);
  try {
    const found = await findSink(client, prefix, address);
    return new EtcdView(client, found, await findClosed(client, found));
  } catch (error) {
    client[Symbol.dispose]();
    throw error;
  }
}

class EtcdView implements SinkView {
  readonly state: SinkState & { readonly position: Position };
  readonly #client: EtcdClient;
  readonly #found: Found;
  readonly #revision: number;
  readonly #tables: TableIndex;

  constructor(client: EtcdClient, found: Found, { position, revision, records }: ClosedState) {
    this.state = { position, isOpen: false, tables: new Map(records.map((record) => [nameOf(record), record])) };
    this.#client = client;
    this.#found = found;
    this.#revision = revision;
    this.#tables = new TableIndex(found.layout, records);
  }

  expect(table: Table, row: Row): HeldRow {
    const { schema, name, key, columns } = table;
    const place = this.#found.layout.place({ schema, name, key: key.map((at) => columns[at]!.name) });
    return { key: place.key(keyOf(table, row)), value: wholeRow(table, row) };
  }

  async *rows(table: TableName): AsyncGenerator<readonly HeldRow[], void, undefined> {
    const found = this.#tables.named(nameOf(table));
    if (found === undefined) return;
    const { envelope } = this.#found.format;
    const range = { ...withPrefix(found.place.prefix), revision: this.#revision };
    for await (const page of readPages(this.#client, range)) {
      yield page.map(({ key, value }) => ({
        key: key.toString(),
        value: rowTextOf(value.toString(), envelope),
      }));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client[Symbol.dispose]();
  }
}

/** What is no row of ours is shown as it is: it differs from every row. */
function rowTextOf(value: string, envelope: boolean): string {
  try {
    return rowOfValue(value, envelope);
  } catch (error) {
    if (error instanceof BatonError && error.code === 'PROTOCOL') return value;
    throw error;
  }
}
