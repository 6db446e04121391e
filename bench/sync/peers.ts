import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { PostgresServer } from '@batondb/testbed/postgres';
import { postgresProgram } from '@batondb/testbed/postgres-programs';
import type { Backlog } from './database.ts';
import type { Found } from './follower-plan.ts';

// PostgreSQL's own programs, which write what they read to /dev/null.

/** `\copy` of a table by psql. */
export async function psqlCopy(server: PostgresServer, table: string, rows: number): Promise<Found> {
  const argv = [...addressOf(server), '--no-psqlrc', '--quiet', `--command=\\copy ${table} to /dev/null`];
  return { ...(await runPeer(server, 'psql', argv)), rows };
}

/** A slot's backlog by pg_recvlogical, by the protocol that we speak with this server. */
export async function recvLogical(server: PostgresServer, slot: string, { end, rows }: Backlog): Promise<Found> {
  const what = ['--start', '--no-loop', `--slot=${slot}`, `--endpos=${end}`, '--file=/dev/null', '--fsync-interval=0'];
  const options = ['proto_version=2', 'streaming=on', 'messages=true', 'publication_names=bench'];
  const argv = [...addressOf(server), ...what, ...options.map((option) => `--option=${option}`)];
  return { ...(await runPeer(server, 'pg_recvlogical', argv)), rows };
}

function addressOf({ host, port }: PostgresServer): string[] {
  return [`--host=${host}`, `--port=${port}`, '--username=postgres', '--dbname=postgres'];
}

/** From the start of the process to its end. */
async function runPeer(
  { pgpassPath }: PostgresServer,
  name: string,
  argv: readonly string[],
): Promise<Omit<Found, 'rows'>> {
  const env = { ...process.env, PGPASSFILE: pgpassPath, TIMEFORMAT: '%U %S' };
  const beginMs = performance.now();
  // The shell tells what its child has used.
  const child = spawn('bash', ['-c', 'time "$@"', 'bash', postgresProgram(name), ...argv], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env,
  });
  const said: Buffer[] = [];
  child.stderr.on('data', (chunk: Buffer) => said.push(chunk));
  const [code] = (await once(child, 'close')) as [number | null];
  const seconds = (performance.now() - beginMs) / 1000;
  const text = Buffer.concat(said).toString().trim();
  if (code !== 0) throw new Error(`${name} ended with ${code}: ${text}`);
  const [user = 0, system = 0] = (text.split('\n').at(-1) ?? '').split(' ').map(Number);
  return { seconds, cpuSeconds: user + system };
}
