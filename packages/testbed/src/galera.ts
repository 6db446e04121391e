// Real Galera clusters on this machine: MariaDB servers with galera-4 on the loopback, below a sandbox.
import { chownSync, mkdirSync, rmSync } from 'node:fs';
import { GaleraNode } from './galera-node.ts';
import type { GaleraNodeOptions, GaleraPlace } from './galera-options.ts';
import { copyTemplate } from './mariadb-template.ts';
import { freePort } from './ports.ts';
import { waitUntil } from './process-table.ts';
import { mustRun } from './processes.ts';
import { sweep } from './removal.ts';
import { requireRoot, requireTools } from './requirements.ts';
import type { Sandbox } from './sandbox.ts';

export { compareNodes } from './galera-compare.ts';
export { startGaleraLoad } from './galera-load.ts';
export type { GaleraNode } from './galera-node.ts';

/** Some gigabytes, on a slow disk. */
const copyMsMax = 300_000;

/** What a cluster is made of. */
export type GaleraOptions = GaleraNodeOptions & {
  /** How many nodes it has. Default: 2. */
  readonly nodes?: number;
  /** How many of them are started, one after another; the others have empty data directories. Default: all. */
  readonly running?: number;
  /** An address of the loopback. Default: `127.0.0.1`. */
  readonly host?: '127.0.0.1' | '[::1]';
  /** A data directory of a server that was ended in order, of which the first node begins with a copy. Default: a new one. */
  readonly dataDirectory?: string;
};

/** Nodes `n1`, `n2`, … At the end of its block all of them are killed; the sandbox takes their files. */
export class GaleraCluster implements AsyncDisposable {
  readonly nodes: readonly GaleraNode[];

  constructor(nodes: readonly GaleraNode[]) {
    this.nodes = nodes;
  }

  /** The node of a number, from 1. */
  node(number: number): GaleraNode {
    const node = this.nodes[number - 1];
    if (node === undefined) throw new Error(`there are ${this.nodes.length} nodes, and no n${number}`);
    return node;
  }

  /** The first node: it has begun the cluster, and keeps the primary component when all others die. */
  get first(): GaleraNode {
    return this.node(1);
  }

  /** Waits until all running nodes have applied the same transactions. */
  async untilEqual(timeoutMs = 30_000): Promise<void> {
    const running = this.nodes.filter((node) => node.isRunning);
    await waitUntil(
      'all nodes have applied the same transactions',
      async () => {
        const positions = await Promise.all(running.map((node) => node.status('wsrep_last_committed')));
        return new Set(positions).size === 1;
      },
      timeoutMs,
      100,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.nodes.map((node) => node[Symbol.asyncDispose]()));
  }
}

/** Starts a cluster: the first node begins it, the others join it with empty data directories, one after another. Needs root. */
export async function startGalera(sandbox: Sandbox, options: GaleraOptions): Promise<GaleraCluster> {
  requireRoot('a cluster');
  requireTools('a cluster', ['mariadbd', 'mariadb-install-db', 'mariadb', 'mariadb-dump']);
  await sweep();
  const { nodes: count = 2, running = count, host = '127.0.0.1', dataDirectory, ...nodeOptions } = options;
  const places = await planPlaces(sandbox, count, host);
  const cluster = new GaleraCluster(places.map((place) => new GaleraNode(sandbox, place, nodeOptions)));
  try {
    for (const node of cluster.nodes) await node.prepare();
    await copyData(sandbox, cluster.first, dataDirectory);
    await beginCluster(cluster.first, nodeOptions);
    for (const node of cluster.nodes.slice(1, running)) {
      await node.start();
      await node.untilSynced();
    }
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
  return cluster;
}

async function planPlaces(sandbox: Sandbox, count: number, host: string): Promise<GaleraPlace[]> {
  const numbers = Array.from({ length: count }, (_, index) => index + 1);
  const ports = new Set<number>();
  while (ports.size < count * 4) ports.add(await freePort());
  const taken = [...ports];
  const places = numbers.map((number) => {
    const [client = 0, group = 0, incremental = 0, transfer = 0] = taken.slice((number - 1) * 4);
    const name = `n${number}`;
    return { name, path: sandbox.join(name), host, ports: { client, group, incremental, transfer } };
  });
  const members = places.map(({ ports: { group } }) => `${host}:${group}`);
  return places.map((place, index) => ({ ...place, weight: index === 0 ? count + 1 : 1, members }));
}

async function copyData(sandbox: Sandbox, first: GaleraNode, from: string | undefined): Promise<void> {
  rmSync(first.dataDirectory, { recursive: true });
  if (from === undefined) await copyTemplate(sandbox, first.dataDirectory);
  else await mustRun(['cp', '-a', from, first.dataDirectory], { timeoutMs: copyMsMax });
  await mustRun(['chown', '-R', 'mysql:mysql', first.dataDirectory]);
}

async function beginCluster(first: GaleraNode, options: GaleraNodeOptions): Promise<void> {
  await first.start({ isNewCluster: true });
  await first.untilSynced();
  const { auth } = options;
  if (auth === undefined) return;
  const who = `'${auth.user}'@'localhost'`;
  const rights = 'RELOAD, PROCESS, LOCK TABLES, BINLOG MONITOR, REPLICA MONITOR';
  await first.sql(`GRANT ${rights} ON *.* TO ${who} IDENTIFIED BY '${auth.password}'`);
}

/** Makes a directory that user mysql owns, for files that a server's processes leave there. */
export async function makeMysqlDirectory(sandbox: Sandbox, name: string): Promise<string> {
  const path = sandbox.join(name);
  mkdirSync(path);
  const { stdout } = await mustRun(['id', '-u', 'mysql']);
  chownSync(path, Number(stdout), -1);
  return path;
}
