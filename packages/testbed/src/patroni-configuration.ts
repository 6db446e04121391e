// What a Patroni of the testbed is told: what the facts of failover need, and times as short as Patroni bears.
import { join } from 'node:path';
import type { PatroniNodePlan } from './patroni-node.ts';
import { postgresBinPath } from './postgres-programs.ts';
import { postgresPassword } from './postgres-template.ts';

/** How Patroni's name for the cluster, under which its keys are in etcd. */
export const patroniScope = 'testbed';

/** What the nodes of one cluster have in common. */
export type PatroniSettings = {
  /** `host:port` of etcd's members. */
  readonly etcdEndpoints: readonly string[];
  /** Permanent logical slots, all in this database. */
  readonly slots: readonly string[];
  readonly database: string;
  /** Until a dead leader's lock ends, in whole seconds. */
  readonly ttlS: number;
  readonly synchronous: boolean;
  /** Parameters of PostgreSQL beyond the testbed's own, or in their place. */
  readonly parameters: Readonly<Record<string, string | number | boolean>>;
};

/** The role that standbys stream as. */
export const replicationRole = 'replicator';

/** A feedback and a look at the lock every second, so that slots of standbys are soon safe; small, unsynced servers. */
const smallServer = {
  wal_level: 'logical',
  hot_standby_feedback: true,
  wal_log_hints: true,
  wal_receiver_status_interval: '1s',
  wal_retrieve_retry_interval: '500ms',
  // A new leader has no slots yet of the nodes that were dead.
  wal_keep_size: '1GB',
  fsync: false,
  shared_buffers: '32MB',
  max_connections: 100,
  max_wal_senders: 20,
  max_replication_slots: 20,
  dynamic_shared_memory_type: 'mmap',
  jit: false,
  timezone: 'UTC',
};

/** Patroni's configuration of one node. */
export function patroniConfiguration(plan: Omit<PatroniNodePlan, 'configuration'>, settings: PatroniSettings): object {
  const { slots, database, ttlS } = settings;
  const permanent = slots.map((name) => [name, { type: 'logical', database, plugin: 'pgoutput' }] as const);
  const connect = (port: number): object => ({ listen: `127.0.0.1:${port}`, connect_address: `127.0.0.1:${port}` });
  const role = (username: string): object => ({ username, password: postgresPassword });
  return {
    scope: patroniScope,
    name: plan.name,
    restapi: connect(plan.restPort),
    watchdog: { mode: 'off' },
    etcd3: { hosts: [...settings.etcdEndpoints] },
    bootstrap: {
      dcs: {
        ttl: ttlS,
        loop_wait: 1,
        retry_timeout: Math.max(1, Math.floor((ttlS - 1) / 2)),
        // A standby may be far behind under a test's load, and is still the best there is.
        maximum_lag_on_failover: 1024 ** 3,
        synchronous_mode: settings.synchronous,
        postgresql: {
          use_pg_rewind: true,
          use_slots: true,
          parameters: { ...smallServer, ...settings.parameters },
        },
        slots: Object.fromEntries(permanent),
      },
      initdb: [{ encoding: 'UTF8' }, { locale: 'C.UTF-8' }, 'data-checksums', 'no-sync'],
    },
    postgresql: {
      ...connect(plan.port),
      data_dir: join(plan.path, 'data'),
      bin_dir: postgresBinPath(),
      pgpass: join(plan.path, 'patroni-pgpass'),
      authentication: {
        superuser: role('postgres'),
        replication: role(replicationRole),
        rewind: role('rewinder'),
      },
      parameters: { unix_socket_directories: plan.path },
      basebackup: [{ checkpoint: 'fast' }, 'no-sync'],
      pg_hba: [
        'local all all scram-sha-256',
        'host all all all scram-sha-256',
        'host replication all all scram-sha-256',
      ],
    },
  };
}
