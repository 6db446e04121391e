import { randomUUID } from 'node:crypto';
import type { OwnedSink, Position, StreamEvent, Table } from '@batondb/sync';
import { type EtcdSinkOptions, planEtcdSink } from '@batondb/sync/etcd/settings';
import { EtcdSink } from '@batondb/sync/etcd/sink';
import { openReader } from '@batondb/sync/reader';
import type { EtcdCluster } from '@batondb/testbed/etcd';

// Sinks in a real etcd, each below a prefix of its own, and what readers find there.

export const never: AbortSignal = new AbortController().signal;

/** A place in an etcd that nobody has used. */
export class EtcdBed {
  readonly prefix: string = `/${randomUUID()}`;
  readonly url: string;

  constructor(endpoints: readonly string[]) {
    this.url = `etcd://${endpoints.join(',')}${this.prefix}`;
  }

  sink(more: Partial<EtcdSinkOptions> = {}): EtcdSink {
    return new EtcdSink(planEtcdSink({ url: this.url, ...more }));
  }

  async own(more: Partial<EtcdSinkOptions> = {}): Promise<OwnedSink> {
    return await ownedBy(this.sink(more));
  }

  /** What a reader finds of a table, as JSON by key; undefined while nothing can be read. */
  async read(table: Table): Promise<ReadonlyMap<string, string>> {
    using reader = await openReader({ url: this.url });
    const snapshot = await reader.snapshot();
    const rows = new Map<string, string>();
    for await (const page of snapshot.rows(`${table.schema}.${table.name}`)) {
      for (const { key, json } of page) rows.set(key.join('|'), json);
    }
    return rows;
  }

  async position(): Promise<Position> {
    using reader = await openReader({ url: this.url });
    return (await reader.snapshot()).position;
  }

  /** Keys below the prefix, as they are. */
  async keys(etcd: EtcdCluster): Promise<readonly string[]> {
    const printed = await etcd.ctl('get', '--prefix', this.prefix, '--keys-only');
    return printed.split('\n').filter((line) => line !== '');
  }
}

export async function ownedBy(sink: EtcdSink): Promise<OwnedSink> {
  return await sink.own(
    never,
    () => undefined,
    () => undefined,
  );
}

/** Changes of one transaction, from its begin to its commit. */
export function transaction(
  position: Position,
  changes: readonly StreamEvent[],
  more: { readonly isOpen?: boolean } = {},
): readonly StreamEvent[] {
  return [
    { kind: 'begin', transaction: position, commitsAt: position, committedAtMs: undefined },
    ...changes,
    { kind: 'commit', position, committedAtMs: undefined, ...more },
  ];
}

/** Applies transactions, each a batch of its own, and gives the positions that became durable. */
export async function apply(owned: OwnedSink, ...batches: readonly (readonly StreamEvent[])[]): Promise<Position[]> {
  const positions: Position[] = [];
  for await (const position of owned.apply(listed(batches))) positions.push(position);
  return positions;
}

export async function* listed<T>(items: readonly T[]): AsyncGenerator<T, void, undefined> {
  yield* items;
}

/** A sink in which these tables have been dumped, at a position and closed. */
export async function begun(owned: OwnedSink, tables: readonly Table[], position: Position = '0'): Promise<void> {
  await owned.begin(position, tables, true);
  await apply(owned, [{ kind: 'reached', position }]);
}
