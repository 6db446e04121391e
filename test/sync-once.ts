// What the sample load lets a judge see who has only the sink: whether a change came twice, or not at all.
import assert from 'node:assert/strict';
import type { EtcdCluster } from '@batondb/testbed/etcd';
import type { SyncTarget } from './sync-bed.ts';

type Line = {
  readonly op: string;
  readonly table?: readonly [string, string];
  readonly row?: Readonly<Record<string, string | number>>;
  readonly position?: string;
};

/**
 * Lines tell of each change once: a row of the ledger is made once and never changed, and a counter is raised by one each time. A table is told anew only by a dump that
 * was not told to its end before.
 */
export function expectLinesOnce(target: SyncTarget, acknowledged: ReadonlySet<string>): void {
  const seen = new Map<string, number>();
  const counters = new Map<string, bigint>();
  for (const text of target.lines()) {
    const line = JSON.parse(text) as Line;
    const { op, row = {} } = line;
    const name = line.table?.join('.');
    // A dump that was cut short begins again, and says so.
    if (op === 'dump' && name === 'public.ledger') seen.clear();
    if (op === 'dump' && name === 'public.counters') counters.clear();
    if (name === 'public.ledger') {
      assert.ok(['read', 'insert', 'table', 'dump', 'dumped'].includes(op), text);
      if (op !== 'read' && op !== 'insert') continue;
      const key = `${row['worker']}/${row['number']}`;
      seen.set(key, (seen.get(key) ?? 0) + 1);
    }
    if (name !== 'public.counters' || (op !== 'read' && op !== 'update')) continue;
    const counter = String(row['name']);
    const value = BigInt(row['value'] ?? 0);
    const before = counters.get(counter);
    if (op === 'update')
      assert.equal(value, (before ?? 0n) + 1n, `${target.slot}: ${counter} after ${before}: ${text}`);
    counters.set(counter, value);
  }
  const twice = [...seen].filter(([, count]) => count !== 1);
  assert.deepEqual(twice, [], `${target.slot}: rows that were told more than once`);
  const missing = [...acknowledged].filter((key) => !seen.has(key));
  assert.deepEqual(missing, [], `${target.slot}: acknowledged transactions that were never told`);
}

type EtcdKey = { readonly key: string; readonly value: string; readonly version: number };

async function keysBelow(etcd: EtcdCluster, prefix: string): Promise<readonly EtcdKey[]> {
  const said = JSON.parse(await etcd.ctl('get', '--prefix', prefix, '--write-out=json')) as { kvs?: EtcdKey[] };
  const decode = (base64: string): string => Buffer.from(base64, 'base64').toString();
  return (said.kvs ?? []).map(({ key, value, version }) => ({ key: decode(key), value: decode(value), version }));
}

/** Each row of the ledger was put once: nobody changes it at the source. */
export async function expectPutsOnce(target: SyncTarget, acknowledged: ReadonlySet<string>): Promise<void> {
  const found = await keysBelow(target.etcd, `${target.prefix}/d/public/ledger/`);
  const twice = found.filter(({ version }) => version !== 1);
  assert.deepEqual(twice, [], `${target.slot}: rows that were put more than once`);
  const keys = new Set(found.map(({ key }) => key.slice(`${target.prefix}/d/public/ledger/`.length)));
  const missing = [...acknowledged].filter((key) => !keys.has(key));
  assert.deepEqual(missing, [], `${target.slot}: acknowledged transactions that are not there`);
}
