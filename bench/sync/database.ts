import { type PostgresServer, startPostgres } from '@batondb/testbed/postgres';
import type { Sandbox } from '@batondb/testbed/sandbox';

// The server that is read from, with what is dumped and what waits in its slots.

/** What waits in a slot that nobody reads: each reading has a copy of it. */
export type Backlog = { readonly slot: string; readonly end: string; readonly rows: number };

const columns = 'id bigint PRIMARY KEY, account int, name text, amount numeric(12,2), at timestamptz';
const settings = { shared_buffers: '256MB', max_wal_size: '8GB', max_connections: 100 };

export async function startDatabase(sandbox: Sandbox): Promise<PostgresServer> {
  await using started = new AsyncDisposableStack();
  const server = started.use(await startPostgres(sandbox, { settings }));
  await server.psql(`CREATE TABLE streamed (${columns});
    CREATE TABLE lagged (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, account int, at timestamptz);
    CREATE PUBLICATION bench FOR TABLE streamed, lagged;
    CREATE PUBLICATION dump`);
  started.move();
  return server;
}

/** A table of so many rows that is published to be dumped. */
export async function makeTable(server: PostgresServer, name: string, rows: number): Promise<void> {
  await server.psql(`CREATE TABLE ${name} (${columns}); INSERT INTO ${name} ${rowsSql('1', String(rows))};
    VACUUM ANALYZE ${name}; ALTER PUBLICATION dump ADD TABLE ${name}`);
}

/** A slot, and behind it `rows` inserts in transactions of so many. */
export async function makeBacklog(
  server: PostgresServer,
  each: number,
  rows: number,
  suffix: string,
): Promise<Backlog> {
  const slot = `backlog_${each}${suffix}`;
  await server.psql('TRUNCATE streamed');
  await makeSlot(server, slot);
  const count = Math.ceil(rows / each);
  await server.psql(`DO $$ BEGIN FOR i IN 0..${count - 1} LOOP
      INSERT INTO streamed ${rowsSql(`i * ${each} + 1`, `(i + 1) * ${each}`)}; COMMIT; END LOOP; END $$`);
  const end = await server.psql('SELECT pg_current_wal_insert_lsn()');
  // What comes after the end tells a reader that it is there.
  await server.psql('INSERT INTO streamed VALUES (0); CHECKPOINT');
  return { slot, end, rows: count * each };
}

/** Lets `use` have a slot with this backlog. */
export async function withBacklog<T>(
  server: PostgresServer,
  { slot }: Backlog,
  use: (copy: string) => Promise<T>,
): Promise<T> {
  const copy = `${slot}_copy`;
  await server.psql(`SELECT FROM pg_copy_logical_replication_slot('${slot}', '${copy}')`);
  try {
    return await use(copy);
  } finally {
    await dropSlot(server, copy);
  }
}

export async function makeSlot(server: PostgresServer, name: string): Promise<void> {
  await server.psql(`SELECT FROM pg_create_logical_replication_slot('${name}', 'pgoutput')`);
}

/** Whoever read it may need a moment to be gone. */
export async function dropSlot(server: PostgresServer, name: string): Promise<void> {
  const left = `SELECT count(*) FROM pg_replication_slots WHERE slot_name = '${name}' AND active`;
  while ((await server.psql(left)) !== '0') await new Promise((resolve) => setTimeout(resolve, 50));
  await server.psql(`SELECT pg_drop_replication_slot('${name}')`);
}

function rowsSql(from: string, to: string): string {
  return `SELECT g, g % 1000, 'name ' || g, g / 100.0, '2026-01-01'::timestamptz + g * interval '1 second' FROM generate_series(${from}, ${to}) g`;
}
