// One address that leads to the primary of a Patroni cluster, as operators have it: haproxy asks each node's REST who leads.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from './ports.ts';
import { PostgresClient } from './postgres-client.ts';
import { processStart, signalProcess, waitUntil } from './process-table.ts';
import { requireTools } from './requirements.ts';
import type { Sandbox } from './sandbox.ts';

/** Where a server is, and where its Patroni answers. */
export type ProxiedNode = {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly restPort: number;
};

const startMsMax = 30_000;

/** A running haproxy. At the end of its block it is killed; the sandbox takes its files. */
export class Haproxy extends PostgresClient implements AsyncDisposable {
  readonly path: string;
  readonly #child: ChildProcess;

  constructor(path: string, port: number, child: ChildProcess) {
    super(path, port);
    this.path = path;
    this.#child = child;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** What it has logged so far. */
  log(): string {
    return readFileSync(join(this.path, 'log'), 'utf8');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    signalProcess(this.pid, 'SIGKILL');
    await ended;
  }
}

/** Starts a proxy before nodes of Patroni, and waits until it leads to a primary. */
export async function startHaproxy(sandbox: Sandbox, nodes: readonly ProxiedNode[]): Promise<Haproxy> {
  requireTools('a proxy', ['haproxy']);
  const path = sandbox.join('haproxy');
  mkdirSync(path, { recursive: true });
  const port = await freePort();
  const configurationPath = join(path, 'haproxy.cfg');
  writeFileSync(configurationPath, configurationOf(port, nodes));
  const log = openSync(join(path, 'log'), 'a');
  // -db: it stays in the foreground and is one process.
  const child = spawn('haproxy', ['-db', '-f', configurationPath], { stdio: ['ignore', log, log], detached: true });
  closeSync(log);
  const proxy = new Haproxy(path, port, child);
  await once(child, 'spawn');
  sandbox.record.addProcess(proxy.pid);
  try {
    await waitUntil('haproxy leads to a primary', () => leads(proxy, nodes), startMsMax, 100);
  } catch (error) {
    await proxy[Symbol.asyncDispose]();
    throw new Error(`${(error as Error).message}\n${proxy.log().slice(-3000)}`);
  }
  return proxy;
}

async function leads(proxy: Haproxy, nodes: readonly ProxiedNode[]): Promise<boolean> {
  if (processStart(proxy.pid) === undefined) throw new Error('haproxy has ended');
  // It believes each node to be the primary until its checks have said no.
  const log = proxy.log();
  if (nodes.filter(({ name }) => log.includes(`Server primary/${name} is DOWN`)).length < nodes.length - 1)
    return false;
  return await proxy.psql('SELECT pg_is_in_recovery()').then(
    (said) => said === 'f',
    () => false,
  );
}

/** As Patroni's documentation has it, with a check every half second: sessions with a node that no longer leads are cut. */
function configurationOf(port: number, nodes: readonly ProxiedNode[]): string {
  const servers = nodes.map(
    ({ name, host, port: own, restPort }) => `  server ${name} ${host}:${own} maxconn 200 check port ${restPort}`,
  );
  return `global
  maxconn 500
defaults
  mode tcp
  log global
  retries 2
  timeout client 30m
  timeout connect 4s
  timeout server 30m
  timeout check 2s
listen primary
  bind 127.0.0.1:${port}
  option httpchk OPTIONS /primary
  http-check expect status 200
  default-server inter 500ms fall 2 rise 1 on-marked-down shutdown-sessions
${servers.join('\n')}
`;
}
