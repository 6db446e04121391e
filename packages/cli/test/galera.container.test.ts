// Proves: the entrypoint that install lays down brings a container's data into order before its server, becomes the server, and hears what stops a container at any time.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { makeMysqlDirectory } from '@batondb/testbed/galera';
import { MariadbClient } from '@batondb/testbed/mariadb-client';
import { copyTemplate } from '@batondb/testbed/mariadb-template';
import { waitUntil } from '@batondb/testbed/process-table';
import { mustRun } from '@batondb/testbed/processes';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { cutSwap, makeCutSwap } from './galera.cut-swap.ts';
import { type Machine, startMachine } from './galera.machine.ts';

const timeout = 120_000;
const entrypoint = '/usr/local/lib/baton/entrypoint';
const small = [
  '--skip-networking',
  '--skip-name-resolve',
  '--innodb-buffer-pool-size=32M',
  '--innodb-log-file-size=16M',
];

/** How a container ended. */
type Ending = { readonly code: number | null; readonly signal: NodeJS.Signals | null; readonly said: string };

/** The first process of a container, of user mysql. At the end of its block all of the container is killed. */
class Container implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly ended: Promise<Ending>;

  constructor(child: ChildProcess, said: Promise<string>) {
    this.#child = child;
    this.ended = once(child, 'exit').then(async ([code, signal]) => ({
      code: code as number | null,
      signal: signal as NodeJS.Signals | null,
      said: await said,
    }));
  }

  /** What it is now, as the system shows it. */
  get name(): string {
    const path = `/proc/${this.#first}/comm`;
    return existsSync(path) ? readFileSync(path, 'utf8').trim() : '';
  }

  /** Stops the container as its runtime does. */
  stop(): void {
    process.kill(this.#first, 'SIGTERM');
  }

  get #first(): number {
    const { pid } = this.#child;
    return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim() || Number.NaN);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGTERM');
    await this.ended;
  }
}

/** Starts a container of this machine's files, with processes of its own. */
function startContainer(machine: Machine, words: readonly string[]): Container {
  const isolated = ['unshare', '--mount', '--pid', '--fork', '--mount-proc', '--kill-child=SIGKILL'];
  const asMysql = ['setpriv', '--reuid=mysql', '--regid=mysql', '--init-groups', '--'];
  const [program = '', ...rest] = machine.inside([...isolated, ...asMysql, entrypoint, ...words]);
  const child = spawn(program, rest, { stdio: ['ignore', 'ignore', 'pipe'] });
  return new Container(child, text(child.stderr));
}

/** A machine with an installation, and an image's own entrypoint, which has a server follow it. */
async function makeImage(sandbox: Sandbox): Promise<Machine> {
  const machine = await startMachine(sandbox);
  assert.equal((await machine.baton('install')).code, 0);
  const own = '#!/bin/sh\\nexec "$@"\\n';
  await machine.ask([
    'sh',
    '-c',
    `printf '${own}' > /usr/local/bin/docker-entrypoint.sh; chmod 755 /usr/local/bin/docker-entrypoint.sh`,
  ]);
  return machine;
}

test('a server in a container, with and without a swap that was cut short', { timeout }, async (t) => {
  await using sandbox = makeSandbox();
  await using machine = await makeImage(sandbox);
  const run = await makeMysqlDirectory(sandbox, 'run');
  const data = sandbox.join('data');
  await copyTemplate(sandbox, data);
  await mustRun(['chown', '-R', 'mysql:mysql', data]);
  const server = [
    'mariadbd',
    '--no-defaults',
    ...small,
    `--socket=${run}/s.sock`,
    `--pid-file=${run}/pid`,
    `--tmpdir=${run}`,
  ];
  const client = new MariadbClient(join(run, 's.sock'));
  const databases = async (): Promise<string> => (await client.sql('SHOW DATABASES')).flat().join(' ');
  const untilAnswers = async (container: Container): Promise<void> => {
    const answers = async (): Promise<boolean> =>
      await client.value('SELECT 1').then(
        () => true,
        () => false,
      );
    await waitUntil('the server answers', async () => existsSync(client.socketPath) && (await answers()), 60_000);
    assert.equal(container.name, 'mariadbd');
  };
  await t.test('data that is in order', async () => {
    await using container = startContainer(machine, ['docker-entrypoint.sh', ...server, `--datadir=${data}`]);
    await untilAnswers(container);
    assert.doesNotMatch(await databases(), /added/);
    container.stop();
    const { code, said } = await container.ended;
    assert.equal(code, 0, said);
    assert.match(said, /Shutdown complete/);
  });
  await t.test('a swap that was cut short, and options in two words', async () => {
    await mustRun(['chown', '-R', 'root:root', data]);
    mkdirSync(join(data, '.sst'), { mode: 0o700 });
    await copyTemplate(sandbox, join(data, '.sst/new'));
    mkdirSync(join(data, '.sst/new/added'));
    await cutSwap(data);
    await using container = startContainer(machine, ['docker-entrypoint.sh', ...server, '--datadir', data]);
    await untilAnswers(container);
    assert.match(await databases(), /added/);
    assert.ok(!existsSync(join(data, '.sst')));
    container.stop();
    assert.equal((await container.ended).code, 0);
  });
});

test('a container whose data cannot be brought into order has no server', { timeout }, async () => {
  await using sandbox = makeSandbox();
  await using machine = await makeImage(sandbox);
  const data = sandbox.join('data');
  await makeCutSwap(data);
  rmSync(join(data, '.sst/new/undo001'));
  rmSync(join(data, '.sst/old/aria_log_control'));
  await using container = startContainer(machine, ['docker-entrypoint.sh', 'mariadbd', '--no-defaults', '-h', data]);
  const { code, said } = await container.ended;
  assert.equal(code, 40, said);
  assert.match(said, /can neither be finished nor undone/);
  assert.doesNotMatch(said, /mariadbd/);
  const nothing = await machine.run([entrypoint]);
  assert.deepEqual([nothing.code, nothing.stdout], [2, '']);
  assert.match(nothing.stderr, /no command; next step/);
});

test('a container that is stopped while its data is brought into order ends at once', { timeout }, async () => {
  await using sandbox = makeSandbox();
  await using machine = await makeImage(sandbox);
  // Nobody ever writes into it.
  const options = sandbox.join('options.cnf');
  await mustRun(['mkfifo', '-m', '644', options]);
  await using container = startContainer(machine, ['docker-entrypoint.sh', 'mariadbd', `--defaults-file=${options}`]);
  const isWaiting = async (): Promise<boolean> =>
    (await machine.run(['pgrep', '-f', `my_print_defaults.*${options}`])).code === 0;
  await waitUntil('the option files are read', isWaiting, 30_000);
  container.stop();
  const { code } = await container.ended;
  assert.equal(code, 143);
});
