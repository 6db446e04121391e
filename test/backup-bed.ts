// What the tests of hot backups share: a real server, hosts to copy it to, and what a backup came to.
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync } from 'node:fs';
import type { BackupResult, CopyEvent } from '@batondb/copy/events';
import type { Host } from '@batondb/testbed/host';
import { type Bed, startHosts } from '@batondb/testbed/hosts';
import { type MariadbServer, startMariadb } from '@batondb/testbed/mariadb';
import { mustRun } from '@batondb/testbed/processes';
import { requireRoot } from '@batondb/testbed/requirements';
import type { BatonResult } from '@batondb/testbed/run-baton';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { assertExit, summaryOf } from './copy-on-bed.ts';

/** A server with the table `shop.t (id, text)`, and hosts, of which `a` is the server's. */
export class BackupBed implements AsyncDisposable {
  readonly sandbox: Sandbox;
  readonly source: MariadbServer;
  readonly bed: Bed;

  private constructor(sandbox: Sandbox, source: MariadbServer, bed: Bed) {
    this.sandbox = sandbox;
    this.source = source;
    this.bed = bed;
  }

  static async start(hosts: number): Promise<BackupBed> {
    requireRoot('the test of hot backups');
    await using undo = new AsyncDisposableStack();
    const sandbox = undo.use(makeSandbox());
    const source = undo.use(await startMariadb(sandbox, { name: 'source' }));
    await source.sql(`CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY, text TEXT)`);
    const bed = await startHosts({ count: hosts });
    undo.move();
    return new BackupBed(sandbox, source, bed);
  }

  /** The words that name the server. */
  get words(): string[] {
    return ['--type', 'mariadb', `a:${this.source.socketPath}`];
  }

  /** Takes a backup by the tool itself, an incremental one if a base is named, and returns its directory. */
  async takeByTool(name: string, base?: string): Promise<string> {
    const directory = this.sandbox.join(name);
    const argv = ['mariadb-backup', '--no-defaults', '--backup', `--socket=${this.source.socketPath}`];
    const incremental = base === undefined ? [] : [`--incremental-basedir=${base}`];
    await mustRun([...argv, `--datadir=${this.source.dataDirectory}`, `--target-dir=${directory}`, ...incremental]);
    return directory;
  }

  /** The first field of what a server on a directory answers. The directory is worth nothing as a base afterwards. */
  async askCopy(dataDirectory: string, statement: string): Promise<string> {
    await using server = await startMariadb(this.sandbox, { name: 'copy', dataDirectory });
    return await server.value(statement);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.bed[Symbol.asyncDispose]();
    await this.source.kill();
    await this.sandbox[Symbol.asyncDispose]();
  }
}

/** Makes an empty directory on each host and names it as an operand. */
export function makeDirectories(hosts: readonly Host[], name: string): string[] {
  return hosts.map((host) => {
    mkdirSync(host.join(name));
    return `${host.name}:${host.join(name)}`;
  });
}

/** What the targets have; fails the test unless all of them are done. */
export function backupsOf(result: BatonResult<CopyEvent>): BackupResult[] {
  assertExit(result, 0);
  return summaryOf(result).targets.map(({ backup }) => {
    assert.ok(backup !== undefined, result.stderr);
    return backup;
  });
}

/** The ids in the table. */
export const idsOf = 'SELECT GROUP_CONCAT(id ORDER BY id) FROM shop.t';

/** Names of what copies have in a directory while they are at work, or what killed ones have left. */
export function stagingIn(directory: string): string[] {
  return readdirSync(directory).filter((name) => name.startsWith('.baton-'));
}
