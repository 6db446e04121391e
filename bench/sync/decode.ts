import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, writeSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { openSnapshot } from '@batondb/sync/postgres/snapshot';
import { valueCodecs } from '@batondb/sync/postgres/values';
import { rowJsonOf } from '@batondb/sync/row-json';
import type { Table } from '@batondb/sync/table';
import { startPostgres } from '@batondb/testbed/postgres';
import { postgresProgram } from '@batondb/testbed/postgres-programs';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { wholeNumber } from '../args.ts';
import { spread } from '../statistics.ts';
import { openConnections, streamToLines } from './decode-stream.ts';

// What reading PostgreSQL costs, without a sink: a dump as JSON lines beside psql's \copy, a stream as JSON lines beside pg_recvlogical, each to /dev/null.

const usage = `Usage: node --conditions=batondb-source bench/sync/decode.ts [options]

  --rows N     rows of the dumped table (default 2000000)
  --changes N  rows of each stream (default 500000)
  --rounds N   rounds (default 5)
  --help       this text
`;

type Connection = { readonly host: string; readonly port: number; readonly passfile: string };
type Run = { readonly seconds: number; readonly cpuSeconds: number };
type Pair = {
  readonly name: string;
  readonly rows: number;
  readonly peer: () => Promise<Run>;
  readonly ours: () => Promise<Run>;
};

const columnTypes = { id: 20, account: 23, name: 25, amount: 1700, at: 1184 };

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rows: { type: 'string', default: '2000000' },
      changes: { type: 'string', default: '500000' },
      rounds: { type: 'string', default: '5' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    return;
  }
  const [rows, changes] = [wholeNumber('--rows', values.rows), wholeNumber('--changes', values.changes)];
  await using sandbox = makeSandbox();
  const settings = { shared_buffers: '256MB', max_wal_size: '4GB', logical_decoding_work_mem: '256MB' };
  await using server = await startPostgres(sandbox, { settings });
  const connection = { host: server.host, port: server.port, passfile: server.pgpassPath };
  const url = server.url({ withPassword: true });
  const of = (count: number, from: number) =>
    `SELECT g, g % 1000, 'name ' || g, g / 100.0, '2026-01-01'::timestamptz + g * interval '1 second' FROM generate_series(${from}, ${from + count - 1}) g`;
  await server.psql(`CREATE TABLE small (id bigint PRIMARY KEY, account int, name text, amount numeric(12,2), at timestamptz);
    INSERT INTO small ${of(rows, 1)}; VACUUM ANALYZE small;
    CREATE TABLE streamed (LIKE small INCLUDING ALL);
    CREATE PUBLICATION streamed FOR TABLE streamed`);
  const ids = (await server.psql("SELECT 'small'::regclass::oid, 'streamed'::regclass::oid")).split('|');
  const table = tableOf('small', ids[0] ?? '');
  const pairs: Pair[] = [{ name: 'dump', rows, peer: () => psqlCopy(connection), ours: () => dumpToLines(url, table) }];
  for (const [name, perTransaction] of [
    ['stream of 4-row transactions', 4],
    ['stream of 1000-row transactions', 1000],
  ] as const) {
    const slot = `slot_${perTransaction}`;
    await server.psql(`SELECT FROM pg_create_logical_replication_slot('${slot}', 'pgoutput')`);
    const statement = `TRUNCATE streamed; DO $$ BEGIN FOR i IN 0..${changes / perTransaction - 1} LOOP
      INSERT INTO streamed SELECT g, g % 1000, 'name ' || g, g / 100.0, '2026-01-01'::timestamptz + g * interval '1 second'
        FROM generate_series(i * ${perTransaction} + 1, (i + 1) * ${perTransaction}) g; COMMIT; END LOOP; END $$`;
    await server.psql(statement);
    const end = await server.psql('CREATE TABLE IF NOT EXISTS filler (); SELECT pg_current_wal_insert_lsn()');
    await server.psql("SELECT pg_logical_emit_message(true, 'end', '')");
    const copySlot = async () => {
      const copy = `copy_${Math.random().toString(36).slice(2)}`;
      await server.psql(
        `SELECT FROM pg_copy_logical_replication_slot('${slot}', '${copy}', true)`.replace(', true', ''),
      );
      return copy;
    };
    const drop = (copy: string) => server.psql(`SELECT pg_drop_replication_slot('${copy}')`);
    pairs.push({
      name,
      rows: changes,
      peer: async () => await withSlot(copySlot, drop, (copy) => recvLogical(connection, copy, end)),
      ours: async () =>
        await withSlot(copySlot, drop, (copy) =>
          streamToLines(url, copy, 'streamed', end, tableOf('streamed', ids[1] ?? '')),
        ),
    });
  }
  const rounds = wholeNumber('--rounds', values.rounds);
  process.stdout.write('| | rows/s | peer rows/s | ratio | CPU s, ours |\n| --- | --- | --- | --- | --- |\n');
  for (const pair of pairs) process.stdout.write(await measure(pair, rounds));
}

/** Both once a round, in turns; the ratio is the median of the rounds' own. The first round does not count. */
async function measure({ name, rows, peer, ours }: Pair, rounds: number): Promise<string> {
  const found: { readonly peer: Run; readonly ours: Run }[] = [];
  for (let round = 0; round <= rounds; round++) {
    const first = round % 2 === 0 ? await ours() : undefined;
    const other = await peer();
    const run = { peer: other, ours: first ?? (await ours()) };
    if (round > 0) found.push(run);
  }
  const median = (value: (run: (typeof found)[number]) => number) => spread(found.map(value))?.median ?? 0;
  const rate = median((run) => rows / run.ours.seconds);
  const peerRate = median((run) => rows / run.peer.seconds);
  const ratio = median((run) => run.peer.seconds / run.ours.seconds);
  const cpu = median((run) => run.ours.cpuSeconds);
  return `| ${name} | ${Math.round(rate)} | ${Math.round(peerRate)} | ${ratio.toFixed(2)} | ${cpu.toFixed(2)} |\n`;
}

function tableOf(name: string, id: string): Table {
  const codecOf = valueCodecs(new Map());
  const columns = Object.entries(columnTypes).map(([column, oid]) => ({
    name: column,
    type: '',
    isNullable: true,
    codec: codecOf(oid),
  }));
  return { schema: 'public', name, id, columns, key: [0], hasWholeOldRows: false };
}

/** The whole dump as one connection reads it: the peer has one, too. */
async function dumpToLines(url: string, table: Table): Promise<Run> {
  const open = await openConnections(url);
  const { signal } = new AbortController();
  const options = { node: 'bench', serverVersion: 150_000, connect: open.connect, onWait: () => undefined };
  await using snapshot = await openSnapshot([{ table, filter: undefined }], options, signal);
  const output = openSync('/dev/null', 'w');
  const json = rowJsonOf(table);
  const run = await timed(async () => {
    for (const part of snapshot.tables[0]?.parts ?? []) {
      for await (const rows of part.read(signal)) {
        let text = '';
        for (const row of rows) text += `${json(row)}\n`;
        writeSync(output, text);
      }
    }
  });
  open.close();
  return run;
}

async function psqlCopy({ host, port, passfile }: Connection): Promise<Run> {
  const where = [`--host=${host}`, `--port=${port}`, '--username=postgres', '--no-psqlrc', '--quiet'];
  return await timed(() => runProgram('psql', [...where, '--command=\\copy small to /dev/null'], passfile));
}

async function recvLogical({ host, port, passfile }: Connection, slot: string, end: string): Promise<Run> {
  const where = [`--host=${host}`, `--port=${port}`, '--username=postgres', '--dbname=postgres', `--slot=${slot}`];
  const what = ['--start', '--no-loop', `--endpos=${end}`, '--file=/dev/null', '--fsync-interval=0'];
  const options = ['--option=proto_version=1', '--option=publication_names=streamed', '--option=messages=true'];
  return await timed(() => runProgram('pg_recvlogical', [...where, ...what, ...options], passfile));
}

async function withSlot(
  make: () => Promise<string>,
  drop: (slot: string) => Promise<unknown>,
  use: (slot: string) => Promise<Run>,
): Promise<Run> {
  const slot = await make();
  const run = await use(slot);
  await drop(slot);
  return run;
}

async function runProgram(name: string, args: readonly string[], passfile: string): Promise<void> {
  const env = { ...process.env, PGPASSFILE: passfile };
  const child = spawn(postgresProgram(name), args, { stdio: ['ignore', 'ignore', 'inherit'], env });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`${name} ended with ${code}`);
}

async function timed(work: () => Promise<void>): Promise<Run> {
  const [begin, cpu] = [performance.now(), process.cpuUsage()];
  await work();
  const { user, system } = process.cpuUsage(cpu);
  return { seconds: (performance.now() - begin) / 1000, cpuSeconds: (user + system) / 1e6 };
}

await main();
