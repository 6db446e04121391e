// Real Patroni clusters on this machine: an etcd of their own, nodes that fail over, be switched over, and be set apart.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type EtcdCluster, startEtcd } from './etcd.ts';
import { type PatroniSettings, patroniConfiguration, patroniScope, replicationRole } from './patroni-configuration.ts';
import { PatroniNode } from './patroni-node.ts';
import { freePort } from './ports.ts';
import type { PostgresTarget } from './postgres-client.ts';
import { waitUntil } from './process-table.ts';
import { mustRun } from './processes.ts';
import { sweep } from './removal.ts';
import { requireRoot, requireTools } from './requirements.ts';
import type { Sandbox } from './sandbox.ts';

/** How a cluster is started; every field may be left out. */
export type PatroniOptions = {
  /** Default: 3. */
  readonly nodes?: number;
  /** An etcd of the test, which stays when the cluster goes. Default: one of its own. */
  readonly etcd?: EtcdCluster;
  /** Permanent logical slots of pgoutput. Default: `cdc_sync`. */
  readonly slots?: readonly string[];
  /** The database of the slots, which is made. Default: `app`. */
  readonly database?: string;
  /** Until a dead leader's lock ends, in whole seconds. Default: 5. */
  readonly ttlS?: number;
  /** Patroni's synchronous_mode. Default: false. */
  readonly synchronous?: boolean;
  readonly parameters?: Readonly<Record<string, string | number | boolean>>;
};

const changeMsMax = 90_000;

/** A leader that the others have lost sight of while clients have not. */
export type SplitLeader = {
  readonly node: PatroniNode;
  /** The node dies and starts again: it rewinds to the new leader and follows. Waits for that. */
  heal(): Promise<void>;
};

/** A running cluster. At the end of its block all of it is killed; the sandbox takes its files. */
export class PatroniCluster implements AsyncDisposable {
  readonly nodes: readonly PatroniNode[];
  readonly database: string;
  readonly etcd: EtcdCluster;
  readonly #settings: PatroniSettings;
  readonly #ownsEtcd: boolean;

  constructor(nodes: readonly PatroniNode[], etcd: EtcdCluster, ownsEtcd: boolean, settings: PatroniSettings) {
    this.nodes = nodes;
    this.etcd = etcd;
    this.database = settings.database;
    this.#settings = settings;
    this.#ownsEtcd = ownsEtcd;
  }

  /** Connection strings, one a node, to the cluster's database unless told otherwise. */
  urls(target: PostgresTarget & { readonly withPassword?: boolean } = {}): string[] {
    return this.nodes.map((node) => node.url({ database: this.database, ...target }));
  }

  /** One connection string with all hosts. */
  url(target: PostgresTarget & { readonly withPassword?: boolean } = {}): string {
    const [first = ''] = this.urls(target);
    const hosts = this.nodes.map(({ host, port }) => `${host}:${port}`).join(',');
    return first.replace(/@[^/]*/, `@${hosts}`);
  }

  /** Runs statements on the leader. */
  async psql(sql: string, target: PostgresTarget = {}): Promise<string> {
    return await (await this.leader()).psql(sql, { database: this.database, ...target });
  }

  /** The node that holds the lock and takes writes; waits until there is one. */
  async leader(): Promise<PatroniNode> {
    let found: PatroniNode | undefined;
    await this.#wait('a node leads', async () => {
      const answers = this.nodes.map(async (node) => ((await node.leads()) ? node : Promise.reject()));
      // A node that stands still answers late; the leader is not kept waiting for it.
      found = await Promise.any(answers).catch(() => undefined);
      return found !== undefined;
    });
    return found as PatroniNode;
  }

  /** kill -9 of the leader's Patroni and PostgreSQL. Returns it; `restartNode()` brings it back. The lock ends after its time. */
  async killLeader(): Promise<PatroniNode> {
    const leader = await this.leader();
    await leader.kill();
    return leader;
  }

  /** Starts a dead node again and waits until the cluster is healthy. */
  async restartNode(node: PatroniNode): Promise<void> {
    await node.start();
    await this.untilHealthy();
  }

  /** Hands the lead to another node in order, and waits until that one has it. Returns the new leader. */
  async switchover(): Promise<PatroniNode> {
    const old = await this.leader();
    const argv = ['patronictl', '--config-file', old.configurationPath, 'switchover', '--force'];
    await mustRun([...argv, '--master', old.name, patroniScope], { env: { PATH: '/usr/bin:/bin' } });
    return await this.#untilAnotherThan(old);
  }

  /** Waits until another node than this one leads, and returns it. */
  async untilFailover(old: PatroniNode): Promise<PatroniNode> {
    return await this.#untilAnotherThan(old);
  }

  /** Waits until one node leads, and all others that run stream from it and have replayed what it has written by now. */
  async untilHealthy(): Promise<void> {
    const running = this.nodes.filter(({ isRunning }) => isRunning);
    let goal: string | undefined;
    await this.#wait('a node leads and all others stream from it', async () => {
      const leader = await this.leader();
      goal ??= await leader.psql('SELECT pg_current_wal_lsn()').catch(() => undefined);
      if (goal === undefined) return false;
      const caughtUp = `SELECT application_name FROM pg_stat_replication WHERE state = 'streaming' AND replay_lsn >= '${goal}'`;
      const names = (await leader.psql(caughtUp).catch(() => '')).split('\n');
      return running.every(({ name }) => name === leader.name || names.includes(name));
    });
  }

  /** Waits until each standby that runs holds all permanent slots. Before, a promotion loses changes. */
  async untilSlotReady(): Promise<void> {
    await this.#wait('slots of standbys are safe', async () => {
      const leader = await this.leader();
      const standbys = this.nodes.filter((node) => node !== leader && node.isRunning);
      const held = standbys.flatMap((node) => this.#settings.slots.map((slot) => node.holdsSlot(slot)));
      return (await Promise.all(held)).every(Boolean);
    });
  }

  /**
   * Makes the histories diverge: the leader's Patroni stands still and its standbys are cut off, while it goes on to take what
   * clients write and to send it to logical subscribers. The others choose a leader when the lock ends, or at once with
   * `expireLock`. What is committed on the old one from here on is on no other node. Needs asynchronous replication.
   */
  async splitLeader(options: { readonly expireLock?: boolean } = {}): Promise<SplitLeader> {
    const node = await this.leader();
    node.pausePatroni();
    const hbaPath = join(node.dataDirectory, 'pg_hba.conf');
    // Patroni writes the file anew when it starts.
    writeFileSync(hbaPath, `host replication ${replicationRole} all reject\n${readFileSync(hbaPath, 'utf8')}`);
    await node.psql(`
      SELECT pg_reload_conf();
      SELECT pg_sleep(0.2);
      SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_replication WHERE usename = '${replicationRole}'`);
    if (options.expireLock === true) await this.#expireLock();
    const heal = async (): Promise<void> => {
      await this.#untilAnotherThan(node);
      // A Patroni 3.0 that only went on would write its name over the new leader's lock before it looks.
      await node.kill();
      await this.restartNode(node);
    };
    return { node, heal };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Patroni first, everywhere: one that lives would start what is killed.
    await Promise.all(this.nodes.map((node) => node.killPatroni()));
    await Promise.all(this.nodes.map((node) => node.kill()));
    if (this.#ownsEtcd) await this.etcd[Symbol.asyncDispose]();
  }

  /** With its lease, not by deleting the key: a Patroni whose lease lives writes the key again. */
  async #expireLock(): Promise<void> {
    const said = await this.etcd.ctl('get', `/service/${patroniScope}/leader`, '--write-out=fields');
    const lease = /"Lease" : (\d+)/.exec(said)?.[1];
    if (lease === undefined) throw new Error(`there is no lock to expire: ${said}`);
    await this.etcd.ctl('lease', 'revoke', BigInt(lease).toString(16));
  }

  async #untilAnotherThan(old: PatroniNode): Promise<PatroniNode> {
    let leader = old;
    await this.#wait(`another node than ${old.name} leads`, async () => {
      leader = await this.leader();
      return leader !== old;
    });
    return leader;
  }

  async #wait(what: string, condition: () => Promise<boolean>): Promise<void> {
    await waitUntil(what, condition, changeMsMax, 100).catch((error: unknown) => {
      const logs = this.nodes.map((node) => `${node.name}:\n${node.log().slice(-2000)}`);
      throw new Error(`${(error as Error).message}\n${logs.join('\n')}`);
    });
  }
}

/** Starts a cluster and waits until its database is there and all standbys stream. Needs root. */
export async function startPatroni(sandbox: Sandbox, options: PatroniOptions = {}): Promise<PatroniCluster> {
  requireRoot('a Patroni cluster');
  requireTools('a Patroni cluster', ['patroni', 'setpriv', 'ipcrm']);
  await sweep();
  const etcd = options.etcd ?? (await startEtcd(sandbox, { name: 'patroni-etcd' }));
  const settings: PatroniSettings = {
    etcdEndpoints: etcd.endpoints,
    slots: options.slots ?? ['cdc_sync'],
    database: options.database ?? 'app',
    ttlS: options.ttlS ?? 5,
    synchronous: options.synchronous ?? false,
    parameters: options.parameters ?? {},
  };
  const nodes: PatroniNode[] = [];
  for (let number = 1; number <= (options.nodes ?? 3); number++) {
    const name = `n${number}`;
    const place = { name, path: sandbox.join(name), port: await freePort(), restPort: await freePort() };
    nodes.push(new PatroniNode(sandbox, { ...place, configuration: patroniConfiguration(place, settings) }));
  }
  const cluster = new PatroniCluster(nodes, etcd, options.etcd === undefined, settings);
  try {
    await bootstrap(cluster);
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
  return cluster;
}

async function bootstrap(cluster: PatroniCluster): Promise<void> {
  // All at once: who comes first leads, and the others wait for it with their interpreters already up.
  await Promise.all(cluster.nodes.map((node) => node.start()));
  const leader = await cluster.leader();
  await leader.psql(`CREATE DATABASE "${cluster.database.replaceAll('"', '""')}"`);
  await cluster.untilHealthy();
}
