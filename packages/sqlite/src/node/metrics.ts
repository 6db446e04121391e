import { Gauge, type Registry } from 'prom-client';
import type { ReplicationStatus } from './replication.ts';
import type { NodeStatus } from './request.ts';

// What a node says to Prometheus: levels of its status, looked at when they are asked for.

type Status = NodeStatus & ReplicationStatus;

type Level = {
  readonly name: string;
  readonly help: string;
  /** Of what there can be several. Default: of the databases. */
  readonly label?: 'follower';
  /** The values now, each with the one it is of, or with none. */
  readonly values: (status: Status) => readonly (readonly [of: string | undefined, value: number])[];
};

const levels: readonly Level[] = [
  level('position_index', 'Number of the newest log entry that can be read here', ({ position }) => position.index),
  level('position_epoch', 'Leadership under which the newest entry was written', ({ position }) => position.epoch),
  level(
    'checkpoint_index',
    'Log entry through which the database files hold everything',
    (status) => status.checkpoint.index,
  ),
  level('log_bytes', 'Size of the log on disk', ({ logBytes }) => logBytes),
  level('sessions', 'Connections that clients have in the thread that writes', ({ sessions }) => sessions),
  level('writable', 'Whether this node can write', ({ failure }) => (failure === undefined ? 1 : 0)),
  {
    name: 'backup_made_seconds',
    help: 'When the newest backup was made, seconds since 1970',
    values: ({ backups }) => (backups?.newest === undefined ? [] : [[undefined, backups.newest.madeMs / 1000]]),
  },
  {
    name: 'backups_failed',
    help: 'Backups that failed since the start',
    values: ({ backups }) => (backups === undefined ? [] : [[undefined, backups.failed]]),
  },
  {
    name: 'database_bytes',
    help: 'Size of a database',
    values: ({ databases }) => databases.map(({ name, pageCount, pageBytes }) => [name, pageCount * pageBytes]),
  },
  {
    name: 'database_transactions',
    help: 'Number of the newest transaction of a database',
    values: ({ databases }) => databases.map(({ name, sequence }) => [name, sequence]),
  },
  level('leading', 'Whether this node leads its log', ({ role }) => (role === 'leader' ? 1 : 0)),
  {
    name: 'leader_connected',
    help: 'Of a replica: whether it is fed by its leader',
    values: ({ leader }) => (leader === undefined ? [] : [[undefined, leader.state === 'streaming' ? 1 : 0]]),
  },
  {
    name: 'leader_entries_behind',
    help: 'Of a replica: log entries of its leader that it knows of and does not have',
    values: ({ leader }) => (leader === undefined ? [] : [[undefined, leader.entriesBehind]]),
  },
  {
    name: 'leader_lag_seconds',
    help: 'Of a replica: how old its state is at most, compared with the one of its leader',
    values: ({ leader }) => (leader?.lagMs === undefined ? [] : [[undefined, leader.lagMs / 1000]]),
  },
  level('followers', 'Replicas that are fed by this node', ({ followers }) => followers.length),
  {
    name: 'follower_entries_behind',
    help: 'Log entries that a replica has not said to have',
    label: 'follower',
    values: ({ followers }) => followers.map(({ address, entriesBehind }) => [address, entriesBehind]),
  },
  {
    name: 'follower_lag_seconds',
    help: 'For how long the oldest entry that a replica has not said to have is there',
    label: 'follower',
    values: ({ followers }) => followers.map(({ address, lagMs }) => [address, lagMs / 1000]),
  },
];

function level(name: string, help: string, value: (status: Status) => number): Level {
  return { name, help, values: (status) => [[undefined, value(status)]] };
}

/** Registers a node's levels as `baton_sqlite_…`. A node that does not answer has none. */
export function registerNodeMetrics(registry: Registry, status: () => Promise<Status>): void {
  const look = shared(status);
  for (const { name, help, label = 'database', values } of levels) {
    const gauge: Gauge<'database' | 'follower'> = new Gauge({
      name: `baton_sqlite_${name}`,
      help,
      labelNames: [label],
      registers: [registry],
      async collect() {
        gauge.reset();
        for (const [of, value] of values(await look())) gauge.set(of === undefined ? {} : { [label]: of }, value);
      },
    });
  }
}

/** One look for all who ask at the same time. */
function shared<T>(look: () => Promise<T>): () => Promise<T> {
  let looking: Promise<T> | undefined;
  return () =>
    (looking ??= look().finally(() => {
      looking = undefined;
    }));
}
