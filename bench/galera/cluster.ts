import { copyFileSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type GaleraCluster, startGalera, startGaleraLoad } from '@batondb/testbed/galera';
import type { GaleraLoad } from '@batondb/testbed/galera-load';
import { mustRun } from '@batondb/testbed/processes';
import type { Sandbox } from '@batondb/testbed/sandbox';
import { runBound } from './bound.ts';
import type { Method, Sample } from './method.ts';
import { ServerWatch } from './watch.ts';

/** Of each server's buffer pool, and so of a backup's preparing. */
const serverMemory = '512M';
const server = { 'innodb-buffer-pool-size': serverMemory, 'innodb-log-file-size': '256M' };
/** Who takes backups; with its password both sides of Baton's transfers prove themselves. */
const auth = { user: 'sst', password: 'of-all-nodes' };
const syncedMsMax = 240_000;
const syncMsMax = 120_000;

export type ClusterOptions = {
  /** What the donor begins with a copy of. */
  readonly dataDirectory: string;
  /** Where `wsrep_sst_baton` is. */
  readonly programs: string;
  /** Where error logs of the transfers are left; undefined: nowhere. */
  readonly logs: string | undefined;
};

/** A donor with data and a writer, and a joiner that comes up empty for every run. */
export class Cluster implements AsyncDisposable {
  readonly #sandbox: Sandbox;
  readonly #cluster: GaleraCluster;
  readonly #watch: ServerWatch;
  readonly #load: GaleraLoad;
  readonly #logs: string | undefined;

  private constructor(
    sandbox: Sandbox,
    cluster: GaleraCluster,
    { watch, load, logs }: { watch: ServerWatch; load: GaleraLoad; logs: string | undefined },
  ) {
    this.#sandbox = sandbox;
    this.#cluster = cluster;
    this.#watch = watch;
    this.#load = load;
    this.#logs = logs;
  }

  static async start(sandbox: Sandbox, { dataDirectory, programs, logs }: ClusterOptions): Promise<Cluster> {
    const path = [programs];
    const cluster = await startGalera(sandbox, {
      nodes: 2,
      running: 1,
      method: 'baton',
      auth,
      path,
      server,
      dataDirectory,
    });
    const watch = new ServerWatch(cluster.first);
    const load = await startGaleraLoad(cluster.first);
    return new Cluster(sandbox, cluster, { watch, load, logs });
  }

  /** Runs a method once. Throws what the nodes have logged when it fails. */
  async run(method: Method, round: number, signal: AbortSignal): Promise<Sample> {
    const donor = this.#cluster.first;
    await donor.untilSynced();
    // From the page cache, as a donor's data often is; and nobody writes what another left.
    await mustRun(['sh', '-c', 'cat "$1"/*/*.ibd "$1"/ibdata1 >/dev/null; sync -f "$1"', 'sh', donor.dataDirectory]);
    this.#load.measure();
    const found = method.sstMethod === undefined ? await this.#bound(signal) : await this.#transfer(method, round);
    return { round, method: method.name, ...found };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#load[Symbol.asyncDispose]();
    await this.#cluster[Symbol.asyncDispose]();
    await this.#watch.close();
  }

  async #bound(signal: AbortSignal): Promise<Omit<Sample, 'round' | 'method'>> {
    const directory = this.#sandbox.join('bound');
    mkdirSync(directory, { recursive: true });
    const found = await runBound(this.#cluster.first, { directory, memory: serverMemory }, signal);
    const stallSeconds = this.#load.longestStallMs / 1000;
    const sample = { ...found, stallSeconds, syncSeconds: await syncSeconds(directory) };
    rmSync(directory, { recursive: true });
    return sample;
  }

  async #transfer({ name, sstMethod = '', sst }: Method, round: number): Promise<Omit<Sample, 'round' | 'method'>> {
    const [donor, joiner] = [this.#cluster.first, this.#cluster.node(2)];
    // The donor's script reads its own option file.
    for (const node of [donor, joiner]) node.configure({ method: sstMethod, sst });
    rmSync(joiner.dataDirectory, { recursive: true, force: true });
    await joiner.prepare();
    rmSync(join(joiner.place.path, 'log'), { force: true });
    this.#watch.begin();
    const beganMs = performance.now();
    await joiner.start();
    const watch = new ServerWatch(joiner);
    try {
      await joiner.untilSynced(syncedMsMax);
      const seconds = (performance.now() - beganMs) / 1000;
      const [ofDonor, ofJoiner] = [this.#watch.cpuSeconds, watch.cpuSeconds];
      const sample = {
        seconds,
        scriptSeconds: watch.workSeconds,
        stallSeconds: this.#load.longestStallMs / 1000,
        cpuSeconds: ofDonor === undefined || ofJoiner === undefined ? undefined : ofDonor + ofJoiner,
        memoryBytes: { donor: this.#watch.memoryBytesMax, joiner: watch.memoryBytesMax },
        syncSeconds: await syncSeconds(joiner.dataDirectory),
      };
      return sample;
    } finally {
      this.#keepLogs(`${name}-${round}`);
      await joiner.kill();
      await watch.close();
    }
  }

  #keepLogs(name: string): void {
    if (this.#logs === undefined) return;
    for (const { name: node, place } of this.#cluster.nodes) {
      copyFileSync(join(place.path, 'log'), join(this.#logs, `${name}-${node}.log`));
    }
  }
}

async function syncSeconds(path: string): Promise<number> {
  const { durationMs } = await mustRun(['sync', '-f', path], { timeoutMs: syncMsMax });
  return durationMs / 1000;
}
