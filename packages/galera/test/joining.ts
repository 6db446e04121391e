// A cluster whose last node has data of its own and needs a whole transfer again and again; what becomes of its data, and what a transfer leaves behind.
import assert from 'node:assert/strict';
import { existsSync, lstatSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { basename, join } from 'node:path';
import { type GaleraCluster, type GaleraNode, makeMysqlDirectory, startGalera } from '@batondb/testbed/galera';
import { type FileSystemSize, type SmallFileSystem, smallFileSystem } from '@batondb/testbed/mounts';
import { type ProcessInfo, waitUntil } from '@batondb/testbed/process-table';
import { mustRun } from '@batondb/testbed/processes';
import type { Sandbox } from '@batondb/testbed/sandbox';

/** How it ended for the joiner's server. */
export type Ending = 'ended' | 'Synced';

export type JoiningOptions = Omit<Parameters<typeof startGalera>[1], 'method'> & {
  /** Statements for more tables, which all nodes but the first get by their first transfer. */
  readonly moreTables?: string;
};

const auth = { user: 'sst', password: 'of-all-nodes' };
const endingMsMax = 120_000;
const tables = ['first', 'second', 'aria', 'myisam'] as const;
/** What a transfer may have in a data directory while it runs, and nobody afterwards. */
const marks = /^(sst_in_progress|baton_sst\.json|tables_flushed|sst_error)$/;
/** What servers and transfers change in a data directory without touching its data. */
const changing = /^(\.sst|grastate\.dat|gvwstate\.dat|galera\.cache|gcache\.page\..*)$/;

/** Nodes of one cluster: the last one joins, the one before it gives. With two nodes the first gives. */
export class Joining implements AsyncDisposable {
  readonly cluster: GaleraCluster;
  /** Where processes of transfers keep temporary files. */
  readonly temporary: string;
  #generation = 0;

  private constructor(cluster: GaleraCluster, temporary: string) {
    this.cluster = cluster;
    this.temporary = temporary;
  }

  /** Starts the cluster; all nodes have the same data. */
  static async start(sandbox: Sandbox, { moreTables, ...options }: JoiningOptions): Promise<Joining> {
    const temporary = await makeMysqlDirectory(sandbox, 'temporary');
    const count = options.nodes ?? 2;
    const cluster = await startGalera(sandbox, {
      auth,
      ...options,
      nodes: count,
      running: 1,
      method: 'baton',
      environment: { TMPDIR: temporary, ...options.environment },
    });
    const joining = new Joining(cluster, temporary);
    try {
      await cluster.first.sql(createTables);
      if (moreTables !== undefined) await cluster.first.sql(moreTables, 60_000);
      await joining.write();
      for (const node of cluster.nodes.slice(1)) {
        node.configure({ server: { ...options.server, 'wsrep-sst-donor': joining.donor.name } });
        if (node === joining.donor) node.configure({ server: { ...options.server } });
        await node.start();
        await node.untilSynced();
      }
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
    return joining;
  }

  get joiner(): GaleraNode {
    return this.cluster.node(this.cluster.nodes.length);
  }

  get donor(): GaleraNode {
    return this.cluster.node(this.cluster.nodes.length - 1);
  }

  get generation(): number {
    return this.#generation;
  }

  /** A new generation of every table on all nodes that run, but the joiner. */
  async write(): Promise<void> {
    this.#generation += 1;
    const number = this.#generation;
    const { first } = this.cluster;
    for (const name of ['first', 'second']) {
      const statement = `UPDATE shop.${name} SET generation = ${number}, filler = REPEAT(MD5(id + ${number}), 512)`;
      // While a view is formed anew a large transaction is refused.
      await waitUntil(
        'the cluster takes a large transaction',
        async () => await isDone(first.sql(statement)),
        60_000,
        200,
      );
    }
    // Changes of other engines are each node's own.
    for (const node of this.cluster.nodes.filter((one) => one.isRunning && one !== this.joiner))
      await node.sql(`UPDATE shop.aria SET generation = ${number}; UPDATE shop.myisam SET generation = ${number}`);
  }

  /** Ends the joiner, and writes a generation that it has to be given as a whole: like a server that was killed it does not say how far its data goes. */
  async leaveBehind(): Promise<Data> {
    const { joiner } = this;
    await joiner.stop();
    const path = join(joiner.dataDirectory, 'grastate.dat');
    writeFileSync(path, readFileSync(path, 'utf8').replace(/^seqno:.*$/m, 'seqno:   -1'));
    await this.write();
    return dataOf(this.joiner);
  }

  /** Waits until the joiner's server, which was started, has its state or has ended. */
  async untilEnding(msMax = endingMsMax): Promise<Ending> {
    const { joiner } = this;
    let ending: Ending | undefined;
    await joiner.withLog(
      waitUntil(
        'the joiner ends or is Synced',
        async () => {
          if (!joiner.isRunning) ending = 'ended';
          else if (existsSync(joiner.socketPath) && (await joiner.state()) === 'Synced') ending = 'Synced';
          return ending !== undefined;
        },
        msMax,
        50,
      ),
    );
    return ending as Ending;
  }

  /** Runs an attempt of the joiner to its end. Logs are those since it began. */
  async attempt(start: readonly string[] = []): Promise<{ ending: Ending; joinerLog: string; donorLog: string }> {
    const log = this.follow();
    await this.joiner.start({ more: start });
    const ending = await this.untilEnding();
    if (ending === 'ended') await this.untilQuiet();
    return { ending, ...log() };
  }

  /** What both logs say from now on. */
  follow(): () => { joinerLog: string; donorLog: string } {
    const { joiner, donor } = this;
    const since = [joiner.log().length, donor.log().length];
    return () => ({ joinerLog: joiner.log().slice(since[0]), donorLog: donor.log().slice(since[1]) });
  }

  /** Waits until no process, port or file of a transfer is left, and the donor is Synced again, if it runs; a failure names what is. */
  async untilQuiet(): Promise<void> {
    let left: string[] = [];
    await waitUntil(
      'nothing of the transfer is left',
      async () => {
        left = await this.#left();
        return left.length === 0;
      },
      30_000,
      50,
    ).catch((error: unknown) => {
      throw new Error(`${(error as Error).message}: ${left.join(', ')}`);
    });
    if (this.donor.isRunning) await this.donor.untilSynced();
  }

  async #left(): Promise<string[]> {
    const { joiner, donor } = this;
    const nodes = [donor, joiner];
    const processes = nodes.flatMap((node) =>
      node.childProcesses().map(({ argv }) => `${node.name}: ${argv.join(' ')}`),
    );
    const files = nodes.flatMap((node) =>
      readdirSync(node.dataDirectory)
        .filter((name) => marks.test(name))
        .map((name) => `${node.name}: ${name}`),
    );
    const port = (await isOpen(joiner.place.ports.transfer)) ? ['the port of the transfer'] : [];
    return [...processes, ...files, ...readdirSync(this.temporary), ...port];
  }

  /** The generation that all tables of a node have; a mixture is a failure. */
  async generationOf(node: GaleraNode): Promise<number> {
    const statement = tables.map(
      (name) => `SELECT '${name}', generation, COUNT(*) FROM shop.${name} GROUP BY generation`,
    );
    const rows = await node.sql(statement.join(';'));
    const found = new Set(rows.map(([, number]) => number));
    assert.ok(rows.length === tables.length && found.size === 1, `a mixture: ${JSON.stringify(rows)}`);
    const checked = await node.sql(`CHECK TABLE ${tables.map((name) => `shop.${name}`).join(', ')}`);
    for (const [table, , kind, text] of checked)
      if (kind !== 'status') assert.notEqual(kind, 'error', `${table}: ${text}`);
    return Number([...found][0]);
  }

  /** Starts the joiner's server with Galera switched off, and returns the generation of its data. */
  async lookInside(): Promise<number> {
    const { joiner } = this;
    await joiner.start({ more: ['--wsrep-on=OFF', '--wsrep-provider=none', '--skip-networking'] });
    await joiner.withLog(
      waitUntil(
        'the server answers',
        async () => {
          assert.ok(joiner.isRunning, 'the server does not start on what is there');
          return (await joiner.value('SELECT 1', 5000).catch(() => '')) === '1';
        },
        60_000,
        50,
      ),
    );
    const generation = await this.generationOf(joiner);
    await joiner.stop();
    return generation;
  }

  /** Brings the joiner's data directory into order as its unit does before the server; returns what is printed. */
  async recover(): Promise<{ swap: string; position: { kind: string; uuid?: string; seqno?: string } }> {
    const { joiner } = this;
    const child = new URL('recover-process.ts', import.meta.url).pathname;
    const argv = [process.execPath, '--conditions=batondb-source', child, `--defaults-file=${joiner.optionFile}`];
    const { stdout } = await mustRun(argv);
    return JSON.parse(stdout) as { swap: string; position: { kind: string } };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cluster[Symbol.asyncDispose]();
  }
}

const createTables = `CREATE DATABASE shop;
  ${tables.map((name) => `CREATE TABLE shop.${name} (id INT PRIMARY KEY, generation INT NOT NULL, filler TEXT) ENGINE=${engineOf(name)};`).join('\n')}
  ${tables.map((name) => `INSERT INTO shop.${name} SELECT seq, 0, '' FROM shop.seq_1_to_100;`).join('\n')}`;

function engineOf(name: (typeof tables)[number]): string {
  return name === 'aria' ? 'Aria' : name === 'myisam' ? 'MyISAM' : 'InnoDB';
}

/** Puts the data of a joiner that does not run onto a small file system. */
export async function moveOnto(sandbox: Sandbox, { joiner }: Joining, size: FileSystemSize): Promise<SmallFileSystem> {
  const aside = `${joiner.dataDirectory}.aside`;
  await mustRun(['mv', joiner.dataDirectory, aside]);
  const disk = await smallFileSystem(sandbox, joiner.dataDirectory, size);
  await mustRun(['cp', '-aT', aside, joiner.dataDirectory]);
  rmSync(aside, { recursive: true });
  return disk;
}

/** Every file of a data directory by what changes when it is replaced or written. */
export type Data = Readonly<Record<string, string>>;

/** The data of a node whose server does not run. */
export function dataOf({ dataDirectory }: GaleraNode): Data {
  const found: Record<string, string> = {};
  const walk = (directory: string): void => {
    for (const name of readdirSync(join(dataDirectory, directory)).sort()) {
      if (directory === '' && (changing.test(name) || marks.test(name))) continue;
      const path = directory === '' ? name : `${directory}/${name}`;
      const { ino, size, mtimeMs } = lstatSync(join(dataDirectory, path));
      const isDirectory = lstatSync(join(dataDirectory, path)).isDirectory();
      found[path] = isDirectory ? `directory ${ino}` : `${ino} ${size} ${mtimeMs}`;
      if (isDirectory) walk(path);
    }
  };
  walk('');
  return found;
}

/** The process of the transfer on a node: what the server has started. */
export function scriptOf(node: GaleraNode): ProcessInfo | undefined {
  return node.childProcesses().find(({ executable }) => executable === process.execPath);
}

/** A backup tool at work on a node: `mariadb-backup --backup`, `mbstream -x`, `mariadb-backup --prepare`. */
export function toolOf(node: GaleraNode, program: string, word: string): ProcessInfo | undefined {
  return node.childProcesses().find(({ executable, argv }) => basename(executable) === program && argv.includes(word));
}

async function isDone(statement: Promise<unknown>): Promise<boolean> {
  return await statement.then(
    () => true,
    (error: unknown) => {
      if (/Not connected to Primary Component|Deadlock/.test(String(error))) return false;
      throw error;
    },
  );
}

async function isOpen(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  return (await new Promise((resolve) => {
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
  }).finally(() => socket.destroy())) as boolean;
}
