import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { startEtcd } from '@batondb/testbed/etcd';
import type { PostgresServer } from '@batondb/testbed/postgres';
import { postgresProgram } from '@batondb/testbed/postgres-programs';
import type { Sandbox } from '@batondb/testbed/sandbox';
import { dropSlot, makeSlot } from './database.ts';
import { Follower } from './follower.ts';
import type { FollowerPlan } from './follower-plan.ts';

/** From a row's own time, which its statement takes from the server's clock, to when another process sees it in the sink. */
export type LagFound = {
  readonly sink: 'etcd' | 'sqlite';
  readonly perSecond: number;
  readonly reached: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly mostMs: number;
};

export type LagPlan = { readonly sink: LagFound['sink']; readonly perSecond: number; readonly seconds: number };

const clients = 8;
/** Of the load's beginning: code is compiled and pages are filled. */
const warmSeconds = 3;

/** Lets pgbench write so many transactions a second, and looks when they can be seen. */
export async function measureLag(
  sandbox: Sandbox,
  server: PostgresServer,
  plan: LagPlan,
  profiles?: string,
): Promise<LagFound> {
  await server.psql('TRUNCATE lagged RESTART IDENTITY');
  await makeSlot(server, 'lag');
  await using open = new AsyncDisposableStack();
  open.defer(() => dropSlot(server, 'lag'));
  const name = `lag-${plan.sink}-${plan.perSecond}`;
  const place =
    plan.sink === 'sqlite'
      ? sandbox.join(name)
      : `etcd://${open.use(await startEtcd(sandbox, { name })).endpoints[0]}/bench`;
  const follower = open.use(new Follower(followerPlan(server, plan, place), profiles));
  await follower.streaming();
  const observer = open.use(new Observer(plan.sink, place));
  await observer.begun();
  await runLoad(server, { ...plan, seconds: warmSeconds });
  const after = Number(await server.psql('SELECT max(id) FROM lagged'));
  const reached = await runLoad(server, plan);
  const through = Number(await server.psql('SELECT max(id) FROM lagged'));
  const lags = await observer.lags(after, through);
  const at = (share: number): number => lags[Math.min(lags.length - 1, Math.floor(lags.length * share))] ?? Number.NaN;
  return { sink: plan.sink, perSecond: plan.perSecond, reached, p50Ms: at(0.5), p99Ms: at(0.99), mostMs: at(1) };
}

function followerPlan(server: PostgresServer, { sink }: LagPlan, place: string): FollowerPlan {
  const url = server.url({ withPassword: true });
  const include = ['public.lagged'];
  return { url, slot: 'lag', publication: 'bench', include, phases: 'both', until: undefined, jobs: 1, sink, place };
}

/** Returns how many transactions a second there were. */
async function runLoad(server: PostgresServer, { perSecond, seconds }: LagPlan): Promise<number> {
  const script = join(server.path, 'lag.sql');
  writeFileSync(script, 'INSERT INTO lagged (account, at) VALUES (:client_id, clock_timestamp());\n');
  const load = ['--no-vacuum', `--client=${clients}`, `--rate=${perSecond}`, `--time=${seconds}`, `--file=${script}`];
  const where = [`--host=${server.host}`, `--port=${server.port}`, '--username=postgres', 'postgres'];
  const child = spawn(postgresProgram('pgbench'), [...load, '--protocol=prepared', ...where], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, PGPASSFILE: server.pgpassPath },
  });
  const said: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => said.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => said.push(chunk));
  const [code] = (await once(child, 'close')) as [number | null];
  const text = Buffer.concat(said).toString();
  if (code !== 0) throw new Error(`pgbench ended with ${code}: ${text}`);
  return Number(/^tps = ([0-9.]+)/m.exec(text)?.[1]);
}

/** Looks at a sink from a process of its own. */
class Observer implements AsyncDisposable {
  readonly #child;
  readonly #lines: AsyncIterator<string>;

  constructor(sink: LagFound['sink'], place: string) {
    const program = new URL('./lag-process.ts', import.meta.url).pathname;
    const args = ['--conditions=batondb-source', program, sink, place];
    this.#child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async begun(): Promise<void> {
    await this.#line();
  }

  /** Milliseconds of rows after one and through another, sorted; waits for the last of them. */
  async lags(after: number, through: number): Promise<readonly number[]> {
    this.#child.stdin.write(`${JSON.stringify({ after, through })}\n`);
    return (JSON.parse(await this.#line()) as number[]).sort((one, other) => one - other);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    if (this.#child.exitCode === null && this.#child.signalCode === null) await ended;
  }

  async #line(): Promise<string> {
    const next = await this.#lines.next();
    if (next.done === true) throw new Error('the one who looks at a sink has ended');
    return next.value;
  }
}
