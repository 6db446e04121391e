// Changes of tables and of their rows, chosen by a seed. Many fail, as in life: a column is not there, a name is taken.

import pg from 'pg';
import type { Random } from './random.ts';

/** Both are published; tables move between them. */
export const stormSchemas = ['storm', 'storm2'] as const;

const tables = ['t0', 't1', 't2', 't3'] as const;
const columns = ['c0', 'c1', 'c2', 'c3'] as const;
const types = ['text', 'int', 'numeric(10,2)', 'jsonb', 'text[]', 'timestamptz'] as const;
/** What may be wrong with a statement that knows nothing of what is there. */
const usualErrors = /^(42|22|23|2B|0A|55|40)/;

function create(name: string): string {
  return `CREATE TABLE ${name} (id int PRIMARY KEY, s int NOT NULL DEFAULT 0, c0 text, c1 int DEFAULT 1)`;
}

export const createStorm: string = `
  ${stormSchemas.map((schema) => `CREATE SCHEMA ${schema}`).join('; ')};
  ${tables.map((table) => `${create(`storm.${table}`)}; INSERT INTO storm.${table} SELECT i, 0, 'c' || i FROM generate_series(1, 300) i`).join('; ')};
  CREATE TABLE storm.parts (id int PRIMARY KEY, s int NOT NULL DEFAULT 0, c0 text) PARTITION BY RANGE (id);
  CREATE TABLE storm.parts_rest PARTITION OF storm.parts DEFAULT;
  INSERT INTO storm.parts SELECT i, 0, 'p' || i FROM generate_series(1, 300) i;`;

/** A value of any type, as far as it goes. */
function value(random: Random): string {
  return random.pick([
    'NULL',
    'DEFAULT',
    `'${random.integer(0, 99)}'`,
    `'{"a": ${random.integer(0, 9)}}'`,
    "'{x,NULL}'",
    'now()',
  ]);
}

function changeRows(random: Random, table: string): string {
  const id = random.integer(1, 400);
  const column = random.pick(columns);
  return random.pick([
    `INSERT INTO ${table} (id, ${column}) VALUES (${id}, ${value(random)}) ON CONFLICT DO NOTHING`,
    `INSERT INTO ${table} (id) SELECT generate_series(${id}, ${id + 20}) ON CONFLICT DO NOTHING`,
    `UPDATE ${table} SET ${column} = ${value(random)} WHERE id BETWEEN ${id} AND ${id + 30}`,
    `UPDATE ${table} SET id = -id, s = s + 1 WHERE id BETWEEN ${id} AND ${id + 5}`,
    `DELETE FROM ${table} WHERE id BETWEEN ${id} AND ${id + 3}`,
    ...(random.fraction() < 0.1 ? [`TRUNCATE ${table}`] : []),
  ]);
}

function changeColumns(random: Random, table: string): string {
  const [column, other] = [random.pick(columns), random.pick(columns)];
  const type = random.pick(types);
  return random.pick([
    `ALTER TABLE ${table} ADD ${column} ${type}`,
    `ALTER TABLE ${table} ADD ${column} ${type}, ADD ${other} text DEFAULT 'new'`,
    `ALTER TABLE ${table} ADD ${column} text DEFAULT 'gone', ALTER ${column} DROP DEFAULT`,
    `ALTER TABLE ${table} ADD ${column} text; ALTER TABLE ${table} ALTER ${column} SET DEFAULT 'later'`,
    `ALTER TABLE ${table} ADD ${column} float8 NOT NULL DEFAULT random()`,
    `ALTER TABLE ${table} ADD ${column} int GENERATED ALWAYS AS (id * 2) STORED`,
    `ALTER TABLE ${table} ALTER ${column} DROP EXPRESSION`,
    `ALTER TABLE ${table} DROP ${column}`,
    `ALTER TABLE ${table} DROP ${column}, ADD ${column} ${type}`,
    `ALTER TABLE ${table} RENAME ${column} TO ${other}`,
    `ALTER TABLE ${table} RENAME ${column} TO passing; ALTER TABLE ${table} RENAME ${other} TO ${column}; ALTER TABLE ${table} RENAME passing TO ${other}`,
    `ALTER TABLE ${table} ALTER ${column} DROP DEFAULT, ALTER ${column} TYPE ${type} USING NULL`,
    `ALTER TABLE ${table} ALTER ${column} TYPE text USING ${column}::text || '!'`,
  ]);
}

function changeTable(random: Random, table: string): string {
  const other = random.pick(tables);
  const name = table.slice(table.indexOf('.') + 1);
  return random.pick([
    `ALTER TABLE ${table} RENAME id TO number; UPDATE ${table} SET number = number + 1000; ALTER TABLE ${table} RENAME number TO id`,
    `ALTER TABLE ${table} DROP CONSTRAINT ${name}_pkey, ADD CONSTRAINT ${name}_pkey PRIMARY KEY (${random.pick(['id', 's, id', 'id, s'])})`,
    `ALTER TABLE ${table} ALTER id TYPE ${random.pick(['int', 'bigint'])}`,
    `ALTER TABLE ${table} REPLICA IDENTITY ${random.pick(['FULL', 'DEFAULT'])}`,
    `ALTER TABLE ${table} RENAME TO ${other}`,
    `ALTER TABLE ${table} RENAME TO passing; ALTER TABLE storm.${other} RENAME TO ${name}; ALTER TABLE storm.passing RENAME TO ${other}`,
    `ALTER TABLE ${table} SET SCHEMA storm2`,
    `ALTER TABLE storm2.${name} SET SCHEMA storm`,
    `DROP TABLE ${table}; ${create(table)}; INSERT INTO ${table} (id) SELECT generate_series(1, 50)`,
    `DROP TABLE storm2.${name}`,
    `${create(table)}`,
    `VACUUM FULL ${table}`,
  ]);
}

function changeParts(random: Random): string {
  const part = random.integer(1, 3);
  const bounds = `FROM (${part * 1000}) TO (${part * 1000 + 1000})`;
  return random.pick([
    `CREATE TABLE storm.part_${part} PARTITION OF storm.parts FOR VALUES ${bounds}`,
    `INSERT INTO storm.parts SELECT i, 0, 'p' FROM generate_series(${part * 1000}, ${part * 1000 + 50}) i ON CONFLICT DO NOTHING`,
    `UPDATE storm.parts SET id = id + 1000 WHERE id BETWEEN ${part * 1000} AND ${part * 1000 + 5}`,
    `ALTER TABLE storm.parts DETACH PARTITION storm.part_${part}; DROP TABLE storm.part_${part}`,
    `TRUNCATE storm.part_${part}`,
    `DELETE FROM storm.parts WHERE id > ${part * 1000 + 500}`,
    `CREATE TABLE storm.aside_${part} (LIKE storm.parts INCLUDING ALL); INSERT INTO storm.aside_${part} (id, c0) SELECT i, 'aside' FROM generate_series(${part * 1000 + 600}, ${part * 1000 + 620}) i;
      ALTER TABLE storm.parts ATTACH PARTITION storm.aside_${part} FOR VALUES ${bounds}; ALTER TABLE storm.aside_${part} RENAME TO part_${part}`,
    changeColumns(random, 'storm.parts'),
  ]);
}

function step(random: Random): string {
  const table = `storm.${random.pick(tables)}`;
  const kind = random.fraction();
  if (kind < 0.5) return changeRows(random, random.pick([table, table, table, 'storm.parts']));
  if (kind < 0.75) return changeColumns(random, table);
  return kind < 0.9 ? changeTable(random, table) : changeParts(random);
}

/** Runs so many transactions of one to four steps each, some of which are rolled back. Returns how many steps the server took. */
export async function runStorm(url: string, random: Random, transactions: number): Promise<number> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  let taken = 0;
  for (let number = 0; number < transactions; number++) {
    const steps = Array.from({ length: random.pick([1, 1, 2, 4]) }, () => step(random));
    const isAlone = steps.some((each) => each.startsWith('VACUUM'));
    if (!isAlone) await client.query('BEGIN');
    for (const sql of isAlone ? steps.filter((each) => each.startsWith('VACUUM')) : steps) {
      if (!isAlone) await client.query('SAVEPOINT step');
      try {
        await client.query(sql);
        taken++;
      } catch (error) {
        if (!usualErrors.test((error as { readonly code?: string }).code ?? '')) throw error;
        if (!isAlone) await client.query('ROLLBACK TO step');
      }
    }
    if (!isAlone) await client.query(random.fraction() < 0.1 ? 'ROLLBACK' : 'COMMIT');
  }
  await client.end();
  return taken;
}
