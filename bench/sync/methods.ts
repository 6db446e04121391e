import { rmSync } from 'node:fs';
import { startEtcd } from '@batondb/testbed/etcd';
import type { PostgresServer } from '@batondb/testbed/postgres';
import type { Sandbox } from '@batondb/testbed/sandbox';
import { type Backlog, dropSlot, makeBacklog, makeSlot, makeTable, withBacklog } from './database.ts';
import { readBatches, writeBatches } from './etcd-limit.ts';
import { follow } from './follower.ts';
import type { FollowerPlan, Found, SinkKind } from './follower-plan.ts';
import type { Method, Workload } from './method.ts';
import { psqlCopy, recvLogical } from './peers.ts';

export type Sizes = {
  /** Rows of the table that is dumped, and of each backlog; those that go to etcd. */
  readonly rows: number;
  readonly changes: number;
  readonly etcdRows: number;
};

export type Bench = {
  readonly sandbox: Sandbox;
  readonly server: PostgresServer;
  readonly sizes: Sizes;
  readonly jobs: number;
  /** Options of every etcd. */
  readonly etcdOptions: readonly string[];
  readonly profiles: string | undefined;
  readonly wants: (workload: Workload) => boolean;
};

const fileSinks = ['nothing', 'lines', 'ndjson', 'sqlite'] as const;
/** Transactions of a dump that are under way at a time, and of a stream. */
const underWay = { dump: 4, stream: 1 } as const;

/** All that is wanted, with what they read. */
export async function makeMethods(bench: Bench): Promise<readonly Method[]> {
  const { server, sizes, wants } = bench;
  const methods: Method[] = [];
  if (wants('dump')) {
    await makeTable(server, 'dumped', sizes.rows);
    methods.push(...dumpMethods(bench));
  }
  if (wants('dump-etcd')) {
    await makeTable(server, 'dumped_to_etcd', sizes.etcdRows);
    methods.push({ workload: 'dump-etcd', run: () => dumpToEtcd(bench) });
  }
  for (const each of [4, 1000] as const) {
    if (wants(`stream-${each}`)) {
      methods.push(...streamMethods(bench, `stream-${each}`, await makeBacklog(server, each, sizes.changes, '')));
    }
    if (wants(`etcd-${each}`)) {
      const backlog = await makeBacklog(server, each, sizes.etcdRows, '_etcd');
      methods.push({ workload: `etcd-${each}`, run: () => streamToEtcd(bench, backlog) });
    }
  }
  return methods;
}

function dumpMethods(bench: Bench): Method[] {
  const { server, sizes } = bench;
  const psql: Method = {
    workload: 'dump',
    run: async () => ({ psql: await psqlCopy(server, 'dumped', sizes.rows) }),
  };
  const ours = fileSinks.map(
    (sink): Method => ({
      workload: 'dump',
      run: async () => ({ [sink]: await toFile(bench, dumpPlan(bench, 'dumped', sink), sizes.rows) }),
    }),
  );
  return [psql, ...ours];
}

function streamMethods(bench: Bench, workload: Workload, backlog: Backlog): Method[] {
  const { server } = bench;
  const reading = (name: string, read: (slot: string) => Promise<Found>): Method => ({
    workload,
    run: async () => ({ [name]: await withBacklog(server, backlog, read) }),
  });
  return [
    reading('pg_recvlogical', (slot) => recvLogical(server, slot, backlog)),
    ...fileSinks.map((sink) =>
      reading(sink, (slot) => toFile(bench, streamPlan(bench, slot, backlog, sink), backlog.rows)),
    ),
  ];
}

/** Each run begins with a file that is not there. */
async function toFile({ sandbox, profiles }: Bench, plan: FollowerPlan, rows: number): Promise<Found> {
  const place = sandbox.join('sink');
  try {
    return await follow({ ...plan, place }, rows, profiles);
  } finally {
    for (const suffix of ['', '-wal', '-shm', '.lock']) rmSync(`${place}${suffix}`, { force: true });
  }
}

async function dumpToEtcd(bench: Bench): Promise<Readonly<Record<string, Found>>> {
  const slot = 'dump_to_etcd';
  await makeSlot(bench.server, slot);
  try {
    const plan = { ...dumpPlan(bench, 'dumped_to_etcd', 'etcd'), slot };
    return await toEtcd(bench, plan, bench.sizes.etcdRows, underWay.dump);
  } finally {
    await dropSlot(bench.server, slot);
  }
}

async function streamToEtcd(bench: Bench, backlog: Backlog): Promise<Readonly<Record<string, Found>>> {
  return await withBacklog(bench.server, backlog, (slot) =>
    toEtcd(bench, streamPlan(bench, slot, backlog, 'etcd'), backlog.rows, underWay.stream),
  );
}

/** Into an etcd of its own, and then the same batches into another new one. */
async function toEtcd(
  { sandbox, etcdOptions: more, profiles }: Bench,
  plan: FollowerPlan,
  rows: number,
  atATime: number,
): Promise<Readonly<Record<string, Found>>> {
  const measured = async (name: string, measure: (endpoint: string) => Promise<Found>): Promise<Found> => {
    await using cluster = await startEtcd(sandbox, { name, more });
    try {
      return await measure(cluster.endpoints[0]!);
    } finally {
      await cluster[Symbol.asyncDispose]();
      rmSync(sandbox.join(`${name}-1`), { recursive: true, force: true });
    }
  };
  let batches: Awaited<ReturnType<typeof readBatches>> = [];
  const etcd = await measured('etcd', async (endpoint) => {
    const found = await follow({ ...plan, place: `etcd://${endpoint}/bench` }, rows, profiles);
    batches = await readBatches(endpoint, '/bench/d/');
    return found;
  });
  const limit = await measured('limit', (endpoint) => writeBatches(endpoint, batches, atATime));
  return { 'bare client': limit, etcd };
}

function dumpPlan({ server, jobs }: Bench, table: string, sink: SinkKind): FollowerPlan {
  return {
    url: server.url({ withPassword: true }),
    slot: 'unused',
    publication: 'dump',
    include: [`public.${table}`],
    phases: 'dump',
    until: undefined,
    jobs,
    sink,
    place: '',
  };
}

function streamPlan({ server, jobs }: Bench, slot: string, { end }: Backlog, sink: SinkKind): FollowerPlan {
  return {
    url: server.url({ withPassword: true }),
    slot,
    publication: 'bench',
    include: ['public.streamed'],
    phases: 'sync',
    until: end,
    jobs,
    sink,
    place: '',
  };
}
