// Proves: a value of every type has one text in a dump and in the stream, and is told as the documents say.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startPostgres } from '@batondb/testbed/postgres';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { parseLsn } from '../src/postgres/position.ts';
import { readCodecs } from '../src/postgres/type-catalog.ts';
import { oddValues, ownTypes } from './odd-values.ts';
import { PostgresReading } from './postgres-reading.ts';

const timeout = 120_000;

test('every type, by COPY and by the stream', { timeout }, async () => {
  await using sandbox = makeSandbox();
  await using server = await startPostgres(sandbox);
  const columns = oddValues.map(([type], place) => `v${place} ${type}`);
  const values = oddValues.map(([, sql]) => sql);
  await server.psql(`${ownTypes}
    CREATE TABLE odd (id int PRIMARY KEY, ${columns.join(', ')});
    ALTER TABLE odd REPLICA IDENTITY FULL;
    CREATE PUBLICATION everything FOR TABLE odd;
    SELECT FROM pg_create_logical_replication_slot('slot', 'pgoutput');
    INSERT INTO odd VALUES (1, ${values.join(', ')});
    UPDATE odd SET id = 2`);
  await using reading = new PostgresReading(server.url({ withPassword: true }));
  const [dumped = []] = await reading.rows('SELECT * FROM public.odd', oddValues.length + 1);
  const until = parseLsn(await server.psql('SELECT pg_current_wal_insert_lsn()'));
  const messages = await reading.messages('slot', 'everything', until, 3);
  const insert = messages.find(({ kind }) => kind === 'insert');
  const update = messages.find(({ kind }) => kind === 'update');
  const relation = messages.find(({ kind }) => kind === 'relation');
  assert(insert?.kind === 'insert' && update?.kind === 'update' && relation?.kind === 'relation');
  assert.equal(update.oldKind, 'row');
  const oids = relation.columns.map(({ typeOid }) => typeOid);
  const codecOf = await readCodecs(await reading.connect(), oids, 'the server');
  for (const [place, [type, sql, json]] of oddValues.entries()) {
    const text = dumped[place + 1] as string | null;
    const what = `${type} ${sql}`;
    assert.equal(insert.row[place + 1], text, what);
    assert.equal(update.old?.[place + 1], text, what);
    // The row is so long that some values are kept outside of it, and are not sent again.
    assert(update.row[place + 1] === text || update.row[place + 1] === undefined, what);
    const told: string = text === null ? 'null' : codecOf(oids[place + 1] ?? 0).json(text);
    assert.equal(told, json, what);
    JSON.parse(told);
  }
});
