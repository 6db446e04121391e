// Proves: the judges of replicas find no difference where there is none, and each that there is.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { compareWithEtcd } from '../src/compare-etcd.ts';
import { compareWithNdjson } from '../src/compare-ndjson.ts';
import { type Difference, describeDifferences } from '../src/compare-rows.ts';
import { compareWithSqlite } from '../src/compare-sqlite.ts';
import { type EtcdCluster, startEtcd } from '../src/etcd.ts';
import { createEveryType, insertEveryType } from '../src/every-type.ts';
import { canonicalText, parseExactJson } from '../src/exact-json.ts';
import { type PostgresServer, startPostgres } from '../src/postgres.ts';
import { mustRun } from '../src/processes.ts';
import { makeSandbox, type Sandbox } from '../src/sandbox.ts';
import { openSourceDatabase, type SourceDatabase, type SourceTable } from '../src/source-rows.ts';

let sandbox: Sandbox;
let server: PostgresServer;
let etcd: EtcdCluster;
let source: SourceDatabase;
const isSmall = ({ name }: SourceTable): boolean => name === 'small';

/** What the rows below have to be in a sink of JSON; exact to the last digit of a double and of a decimal. */
const first =
  `{"k":"a/b","n":1,"id":"9007199254740993","price":"1.50","ratio":0.1,"bytes":"AP8=","at":"2026-11-21T10:00:00.000000Z",
  "list":[[1,null],[3,4]],"data":{"b":1.0,"a":12345678901234567890},"pair":{"x":1,"y":null},"is":true}`.replaceAll(
    '\n',
    '',
  );
const second =
  `{"k":"","n":2,"id":"1","price":"NaN","ratio":"-Infinity","bytes":"","at":"0044-03-15 12:00:00+00 BC","list":"[0:1]={5,6}",
  "data":null,"pair":null,"is":null}`.replaceAll('\n', '');

before(async () => {
  sandbox = makeSandbox();
  server = await startPostgres(sandbox);
  etcd = await startEtcd(sandbox);
  await server.psql(`${createEveryType} ${insertEveryType(1)}
    CREATE TYPE two AS (x integer, y text);
    CREATE TABLE small (
      k text, n integer, id bigint, price numeric, ratio real, bytes bytea, at timestamptz, list integer[], data jsonb, pair two, "is" boolean,
      twice integer GENERATED ALWAYS AS (n * 2) STORED, PRIMARY KEY (n, k)
    );
    INSERT INTO small VALUES ('a/b', 1, 9007199254740993, 1.50, 0.1, '\\x00ff', '2026-11-21 12:00:00+02', '{{1,NULL},{3,4}}',
      '{"a": 12345678901234567890, "b": 1}', '(1,)', true);
    INSERT INTO small VALUES ('', 2, 1, 'NaN', '-Infinity', '', '0044-03-15 12:00:00+00 BC', '[0:1]={5,6}', NULL, NULL, NULL);`);
  source = await openSourceDatabase(server, 'postgres');
});

after(async () => {
  await etcd?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
  await sandbox?.[Symbol.asyncDispose]();
});

const brief = ({ table, key, column }: Difference): string => [table, key, column].join(' ');

test('rows in etcd', { timeout: 60_000 }, async () => {
  const compare = (): Promise<Difference[]> => compareWithEtcd(source, etcd, '/p', isSmall);
  await etcd.ctl('put', '/p/d/public/small/1/a%2Fb', first);
  await etcd.ctl('put', '/p/d/public/small/2/', second);
  await etcd.ctl('put', '/p/m/pos', '{}');
  assert.deepEqual(await compare(), []);
  await etcd.ctl('put', '/p/d/public/small/1/a%2Fb', first.replace('67890', '67891'));
  assert.deepEqual((await compare()).map(brief), ['public.small 1e0,"a/b" data']);
  await etcd.ctl('put', '/p/d/public/small/3/x', second);
  await etcd.ctl('del', '/p/d/public/small/2/');
  const differences = await compare();
  assert.equal(differences.length, 3, describeDifferences(differences));
});

test('rows in a SQLite file', { timeout: 60_000 }, async () => {
  const path = sandbox.join('replica.db');
  const sql = (text: string): Promise<unknown> => mustRun(['sqlite3', path], { input: text });
  await sql(`CREATE TABLE small (k TEXT, n INTEGER, id INTEGER, price TEXT, ratio REAL, bytes BLOB, at TEXT, list TEXT, data TEXT, pair TEXT,
    "is" INTEGER, PRIMARY KEY (n, k));
    INSERT INTO small VALUES ('a/b', 1, 9007199254740993, '1.50', 0.1, x'00ff', '2026-11-21T10:00:00.000000Z', '[[1,null],[3,4]]',
      '{"b":1,"a":12345678901234567890}', '{"x":1,"y":null}', 1);
    INSERT INTO small VALUES ('', 2, 1, 'NaN', -9e999, x'', '0044-03-15 12:00:00+00 BC', '"[0:1]={5,6}"', NULL, NULL, NULL);`);
  const compare = (): Promise<Difference[]> => compareWithSqlite(source, path, isSmall);
  assert.deepEqual(await compare(), []);
  await sql("UPDATE small SET price = '1.5' WHERE n = 1");
  assert.deepEqual((await compare()).map(brief), ['public.small 1e0,"a/b" price']);
  await sql("DELETE FROM small WHERE n = 1; UPDATE small SET bytes = 'text'");
  assert.deepEqual((await compare()).map(brief), ['public.small 1e0,"a/b" ', 'public.small 2e0,"" bytes']);
});

test('lines of NDJSON, folded', { timeout: 60_000 }, async () => {
  const path = sandbox.join('lines');
  const line = (op: string, members: string): string => `{"op":"${op}","table":["public","small"]${members}}`;
  const columns = JSON.stringify(Object.keys(JSON.parse(first) as object).map((name) => ({ name })));
  const end = line('dumped', ',"position":"p"');
  const gone = line('delete', ',"key":{"n":2,"k":""}');
  const lines = [
    '{"op":"hello","version":1}',
    line('table', `,"columns":${columns},"key":["n","k"]`),
    line('dump', ''),
    line('read', `,"row":${first.replace('"n":1', '"n":7')}`),
    line('dump', ''),
    line('read', `,"row":${first.replace('"n":1', '"n":9')}`),
    end,
    line('update', `,"old":{"n":9,"k":"a/b"},"unchanged":["bytes"],"row":${first.replace('"bytes":"AP8=",', '')}`),
    line('insert', `,"row":${second.replace('"price":"NaN"', '"price":"1"')}`),
    gone,
    line('insert', `,"row":${second}`),
    '{"op":"commit","position":"o"}',
    line('insert', `,"row":${second.replace('"n":2', '"n":4')}`),
    '{"op":"rollback"}',
    '{"op":"commit","position":"p"}',
    line('insert', `,"row":${second.replace('"n":2', '"n":3')}`),
    '{"op":"commit","position":"p","open":true}',
  ];
  const compare = async (changed: readonly string[]): Promise<string[]> => {
    writeFileSync(path, changed.map((each) => `${each}\n`).join(''));
    return (await compareWithNdjson(source, path, isSmall)).map(brief);
  };
  assert.deepEqual(await compare(lines), []);
  assert.deepEqual(await compare(lines.with(-1, '{"op":"commit","position":"p"}')), ['public.small 3e0,"" ']);
  assert.equal(
    (await compare(lines.toSpliced(lines.indexOf(end), 1))).length,
    1,
    'without the end of the dump its old rows stay',
  );
  assert.equal(
    (await compare(lines.with(lines.indexOf(gone), '{"op":"truncate","tables":[["public","small"]]}'))).length,
    1,
  );
});

test('JSON is compared without rounding', () => {
  const text = (json: string): string => canonicalText(parseExactJson(json));
  assert.equal(text('{"b":1.50,"a":[-0,1e2]}'), text('{"a":[0,100],"b":15e-1}'));
  assert.notEqual(text('0.10000000000000000001'), text('0.1'));
  assert.notEqual(text('"1"'), text('1'));
});

test('every type is there with every value', async () => {
  const [table] = source.tables.filter(({ name }) => name === 'every_type');
  assert.ok((table?.columns.length ?? 0) > 110);
  for await (const { rows } of source.read(({ name }) => name === 'every_type')) {
    assert.ok(rows.every(({ values }) => values.size === table?.columns.length));
    assert.ok([...(rows.at(-1)?.values ?? [])].every(([name, value]) => name === 'id' || value === 'null'));
  }
});
