// Real etcd clusters on this machine, each member with a data directory and two ports of its own, below a sandbox.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from './ports.ts';
import { signalProcess, waitUntil } from './process-table.ts';
import { runCommand } from './processes.ts';
import { requireTools } from './requirements.ts';
import type { Sandbox } from './sandbox.ts';

/** How a cluster is started; every field may be left out. */
export type EtcdOptions = {
  /** Names its directory below the sandbox. Default: `etcd`. */
  readonly name?: string;
  /** Default: 1. */
  readonly members?: 1 | 3;
  /** Paths of a certificate and its key, PEM: clients then use TLS. `etcdctl` trusts it. */
  readonly tls?: { readonly certificatePath: string; readonly keyPath: string };
  /** More options of etcd, such as `--quota-backend-bytes=16777216`. */
  readonly more?: readonly string[];
};

const startMsMax = 30_000;

type MemberPlan = {
  readonly name: string;
  readonly path: string;
  readonly clientPort: number;
  readonly peerPort: number;
  readonly argv: readonly string[];
};

/** One member. */
export class EtcdMember {
  readonly endpoint: string;
  readonly #plan: MemberPlan;
  readonly #sandbox: Sandbox;
  #child: ChildProcess | undefined;

  constructor(sandbox: Sandbox, plan: MemberPlan) {
    this.endpoint = `127.0.0.1:${plan.clientPort}`;
    this.#plan = plan;
    this.#sandbox = sandbox;
  }

  /** Starts it on the data that it has. */
  async start(): Promise<void> {
    const log = openSync(join(this.#plan.path, 'log'), 'a');
    this.#child = spawn('etcd', [...this.#plan.argv], { stdio: ['ignore', log, log], detached: true });
    closeSync(log);
    await once(this.#child, 'spawn');
    this.#sandbox.record.addProcess(this.pid);
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** What it has logged so far. */
  log(): string {
    return readFileSync(join(this.#plan.path, 'log'), 'utf8');
  }

  /** Ends it in order. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM');
  }

  /** kill -9. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** It stands still, with its connections open. */
  pause(): void {
    signalProcess(this.pid, 'SIGSTOP');
  }

  resume(): void {
    signalProcess(this.pid, 'SIGCONT');
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    signalProcess(this.pid, signal);
    if (signal !== 'SIGKILL') signalProcess(this.pid, 'SIGCONT');
    await ended;
  }
}

/** A running cluster. At the end of its block it is killed; the sandbox takes its files. */
export class EtcdCluster implements AsyncDisposable {
  readonly members: readonly EtcdMember[];
  readonly #ctlOptions: readonly string[];

  constructor(members: readonly EtcdMember[], ctlOptions: readonly string[]) {
    this.members = members;
    this.#ctlOptions = ctlOptions;
  }

  get endpoints(): readonly string[] {
    return this.members.map(({ endpoint }) => endpoint);
  }

  /** Runs etcdctl against all members; what it printed. Throws what it said when it fails. */
  async ctl(...args: readonly string[]): Promise<string> {
    const argv = ['etcdctl', `--endpoints=${this.endpoints.join(',')}`, ...this.#ctlOptions, ...args];
    const { code, stdout, stderr } = await runCommand(argv, { env: { ETCDCTL_API: '3' } });
    if (code !== 0) throw new Error(`etcdctl ${args.join(' ')}: ${stderr}`);
    return stdout;
  }

  async start(): Promise<void> {
    await Promise.all(this.members.map((member) => member.start()));
    await this.untilHealthy();
  }

  async stop(): Promise<void> {
    await Promise.all(this.members.map((member) => member.stop()));
  }

  /** Waits until the cluster can be written to. */
  async untilHealthy(): Promise<void> {
    const [first] = this.members;
    const isHealthy = async (): Promise<boolean> =>
      await this.ctl('--command-timeout=1s', 'endpoint', 'health').then(
        () => true,
        () => false,
      );
    await waitUntil('etcd is healthy', isHealthy, startMsMax).catch((error: unknown) => {
      throw new Error(`${(error as Error).message}\n${first?.log().slice(-3000)}`);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.members.map((member) => member.kill()));
  }
}

/** Starts a cluster and waits until it can be written to. A failure has the end of a member's log. */
export async function startEtcd(sandbox: Sandbox, options: EtcdOptions = {}): Promise<EtcdCluster> {
  requireTools('an etcd', ['etcd', 'etcdctl']);
  const { name = 'etcd', members = 1, tls, more = [] } = options;
  const secure = tls === undefined ? [] : [`--cert-file=${tls.certificatePath}`, `--key-file=${tls.keyPath}`];
  const plans: Omit<MemberPlan, 'argv'>[] = [];
  for (let number = 1; number <= members; number++) {
    const path = sandbox.join(`${name}-${number}`);
    mkdirSync(path, { recursive: true });
    plans.push({ name: `m${number}`, path, clientPort: await freePort(), peerPort: await freePort() });
  }
  const cluster = plans.map((plan) => `${plan.name}=http://127.0.0.1:${plan.peerPort}`).join(',');
  const all = plans.map(
    (plan) => new EtcdMember(sandbox, { ...plan, argv: argvOf(plan, cluster, [...secure, ...more]) }),
  );
  const started = new EtcdCluster(
    all,
    tls === undefined ? [] : ['--insecure-skip-tls-verify', '--insecure-transport=false'],
  );
  try {
    await started.start();
  } catch (error) {
    await started[Symbol.asyncDispose]();
    throw error;
  }
  return started;
}

/** Short times, so that leases of a second are possible and a lost leader is soon replaced. */
function argvOf(plan: Omit<MemberPlan, 'argv'>, cluster: string, more: readonly string[]): string[] {
  const scheme = more.some((option) => option.startsWith('--cert-file=')) ? 'https' : 'http';
  const client = `${scheme}://127.0.0.1:${plan.clientPort}`;
  const peer = `http://127.0.0.1:${plan.peerPort}`;
  return [
    `--name=${plan.name}`,
    `--data-dir=${join(plan.path, 'data')}`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=${cluster}`,
    '--heartbeat-interval=50',
    '--election-timeout=500',
    '--logger=zap',
    '--log-outputs=stderr',
    ...more,
  ];
}
