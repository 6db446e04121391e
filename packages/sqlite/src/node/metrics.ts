import { Gauge, type Registry } from 'prom-client';
import type { NodeStatus } from './request.ts';

// What a node says to Prometheus: levels of its status, looked at when they are asked for.

type Level = {
  readonly name: string;
  readonly help: string;
  /** The values now, each with the database it is of, or with none. */
  readonly values: (status: NodeStatus) => readonly (readonly [database: string | undefined, value: number])[];
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
];

function level(name: string, help: string, value: (status: NodeStatus) => number): Level {
  return { name, help, values: (status) => [[undefined, value(status)]] };
}

/** Registers a node's levels as `baton_sqlite_…`. A node that does not answer has none. */
export function registerNodeMetrics(registry: Registry, status: () => Promise<NodeStatus>): void {
  const look = shared(status);
  for (const { name, help, values } of levels) {
    const gauge: Gauge<'database'> = new Gauge({
      name: `baton_sqlite_${name}`,
      help,
      labelNames: ['database'],
      registers: [registry],
      async collect() {
        gauge.reset();
        for (const [database, value] of values(await look()))
          gauge.set(database === undefined ? {} : { database }, value);
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
