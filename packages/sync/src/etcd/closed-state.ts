import { BatonError } from '@batondb/core/errors';
import { type EtcdClient, type Operation, withPrefix } from '@batondb/etcd';
import type { TableRecord } from '../sink.ts';
import type { Position } from '../stream.ts';
import { type Layout, type LayoutChoice, layoutOf } from './layout.ts';
import { decodeFormat, decodePlace, decodeRecord, type Format, MetaKeys } from './records.ts';

// The rule of readers (Y4): where all tables are at one position.

/** What a sink below a prefix is like. */
export type Found = { readonly format: Format; readonly layout: Layout; readonly keys: MetaKeys };

/** All tables at one position: to be read at this revision. */
export type ClosedState = {
  readonly revision: number;
  readonly position: Position;
  readonly records: readonly TableRecord[];
};

/** Sees which layout a sink has. Throws NOT_FOUND where there is none, VERSION_MISMATCH. */
export async function findSink(client: EtcdClient, prefix: string, address: string): Promise<Found> {
  for (const choice of ['native', 'contrail'] as const) {
    const keys = new MetaKeys(layoutOf(choice, prefix).metaPrefix);
    const { kvs } = await client.range({ key: keys.format });
    const [found] = kvs;
    if (found === undefined) continue;
    const format = decodeFormat(found.value, keys.format);
    return { format, keys, layout: layoutOf(choiceOf(format.layout), prefix) };
  }
  throw new BatonError('NOT_FOUND', `there is no sink of Baton's at ${address}`, {
    hint: 'look at the prefix; the sink is made when its sync begins',
  });
}

/** Throws UNAVAILABLE while there is no revision at which all tables are at one position. */
export async function findClosed(client: EtcdClient, { keys }: Found, signal?: AbortSignal): Promise<ClosedState> {
  const read = (revision?: number): Operation[] => [
    { range: { key: keys.pos, ...(revision === undefined ? {} : { revision }) } },
    { range: { ...withPrefix(keys.tables), ...(revision === undefined ? {} : { revision }) } },
  ];
  const now = await client.look({ when: [], do: read() }, signal);
  const pos = now.results[0]?.kvs[0];
  if (pos === undefined) throw unavailable(keys, 'nothing was begun yet');
  const place = decodePlace(pos.value, keys.pos);
  if (!place.open) {
    return { revision: now.revision, position: place.position, records: recordsOf(now.results[1]?.kvs ?? []) };
  }
  const { closedRevision: revision } = place;
  if (revision === undefined) throw unavailable(keys, 'the first dump goes on');
  try {
    const { results } = await client.look({ when: [], do: read(revision) }, signal);
    const { position } = decodePlace(results[0]!.kvs[0]!.value, keys.pos);
    return { revision, position, records: recordsOf(results[1]?.kvs ?? []) };
  } catch (error) {
    if (!(error instanceof BatonError && error.code === 'HISTORY_LOST')) throw error;
    throw unavailable(keys, `they were last at revision ${revision}, which is compacted`, error);
  }
}

function recordsOf(kvs: readonly { readonly key: Buffer; readonly value: Buffer }[]): readonly TableRecord[] {
  return kvs.map(({ key, value }) => decodeRecord(value, key.toString()));
}

function choiceOf(name: string): LayoutChoice {
  if (name === 'native' || name === 'contrail') return name;
  return { template: name.slice(name.indexOf('/')) };
}

function unavailable(keys: MetaKeys, why: string, cause?: unknown): BatonError {
  return new BatonError('UNAVAILABLE', `the tables beside ${keys.prefix} are not at one position: ${why}`, {
    retryable: true,
    hint: 'wait until the sync has caught up; let etcd keep its history for longer (--auto-compaction-retention)',
    cause,
  });
}
