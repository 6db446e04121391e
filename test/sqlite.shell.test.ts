// `baton sqlite shell` as a process: scripts, forms of rows, import and dump, and a person at a terminal.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { type Ended, Person, run, ServerProcess } from './sqlite-bed.ts';

const timeout = 120_000;

/** Runs a script on a directory of its own. */
function shell(sandbox: Sandbox, input: string, ...more: readonly string[]): Promise<Ended> {
  execFileSync('mkdir', ['-p', sandbox.join('db')]);
  return run(['shell', sandbox.join('db'), ...more], { input });
}

/** What SQLite's own shell says. */
function judge(path: string, input: string): string {
  return execFileSync('sqlite3', ['-batch', path], { input, encoding: 'utf8', maxBuffer: 2 ** 28 });
}

// Proves: a script runs up to its first error, with the exit code of it; triggers, comments and quotes do not end statements; nor does the end of
// the input need a semicolon.
test('scripts', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const script = `
    CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); -- a comment; with a semicolon
    CREATE TABLE log (v);
    CREATE TEMP TABLE ";'" (v); /* ; */
    CREATE TRIGGER noted AFTER INSERT ON t BEGIN
      INSERT INTO log VALUES (new.v || ';');
      INSERT INTO log VALUES ('END;');
    END;
    INSERT INTO t (v) VALUES ('a;
b'); SELECT count(*) FROM log;;
    EXPLAIN QUERY PLAN SELECT 1;
    SELECT v FROM log WHERE v LIKE 'END%'`;
  const whole = await shell(sandbox, script);
  assert.deepEqual([whole.code, whole.stderr], [0, '']);
  assert.match(whole.stdout, /^2\n.*SCAN CONSTANT ROW\nEND;\n$/);
  const broken = await shell(sandbox, "SELECT 1;\nINSERT INTO t VALUES (1, 'again');\nSELECT 2;\n");
  assert.deepEqual(broken, {
    code: 45,
    stdout: '1\n',
    stderr: 'baton: UNIQUE constraint failed: t.id (SQLITE_CONSTRAINT_PRIMARYKEY)\n',
  });
  const unknown = await shell(sandbox, '.tabels\n');
  assert.deepEqual(
    [unknown.code, unknown.stderr],
    [2, 'baton: there is no command .tabels\n  hint: did you mean .tables?\n'],
  );
  assert.equal((await shell(sandbox, 'SELECT 1;\n.quit\nSELECT 2;')).stdout, '1\n');
});

// Proves: integers of 64 bits, bytes, numbers at their limits and texts with everything in them are told exactly in each form.
test('forms of rows', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const values = `SELECT 9223372036854775807 AS big, -9223372036854775808 AS small, x'00ff' AS bytes, 0.1 AS real, 1e999 AS inf, NULL AS n, 'a,"b"' || char(10) || 'c' AS text;`;
  const shown = async (mode: string): Promise<string> =>
    (await shell(sandbox, `.mode ${mode}\n.headers on\n${values}`)).stdout;
  assert.equal(
    await shown('csv'),
    'big,small,bytes,real,inf,n,text\r\n9223372036854775807,-9223372036854775808,X\'00FF\',0.1,9e999,,"a,""b""\nc"\r\n',
  );
  assert.equal(
    await shown('json'),
    '[{"big":9223372036854775807,"small":-9223372036854775808,"bytes":"X\'00FF\'","real":0.1,"inf":1e999,"n":null,"text":"a,\\"b\\"\\nc"}]\n',
  );
  assert.match(await shown('line'), /^ {2}big = 9223372036854775807\nsmall = -9223372036854775808\n/);
  assert.match(await shown('list'), /^big\|small\|bytes\|real\|inf\|n\|text\n9223372036854775807\|/);
  const table = (await shown('table')).split('\n');
  assert.equal(table.length, 4);
  assert.match(
    table[2] ?? '',
    /^9223372036854775807 {2}-9223372036854775808 {2}X'00FF' {2} 0.1 {2}9e999 {2}NULL {2}a,"b"\\nc$/,
  );
  assert.equal((await shell(sandbox, '.mode json\nSELECT 1 WHERE 0;')).stdout, '[]\n');
  const many =
    'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) SELECT i, hex(zeroblob(20)) FROM n;';
  assert.equal((await shell(sandbox, many, '--mode', 'csv')).stdout.split('\r\n').length, 100_001);
});

const schema = `
CREATE TABLE plain (id INTEGER PRIMARY KEY AUTOINCREMENT, v, "odd name" TEXT DEFAULT 'x''y');
CREATE TABLE made (a, b GENERATED ALWAYS AS (a * 2) STORED, c GENERATED ALWAYS AS (a + 1));
CREATE TABLE without (k TEXT PRIMARY KEY, v) WITHOUT ROWID;
CREATE TABLE parent (id PRIMARY KEY); CREATE TABLE child (p REFERENCES parent(id) DEFERRABLE);
CREATE TABLE noted (what);
CREATE VIRTUAL TABLE words USING fts5(title, body);
CREATE VIRTUAL TABLE boxes USING rtree(id, x0, x1, y0, y1);
CREATE INDEX by_v ON plain (v, "odd name" DESC);
CREATE VIEW seen AS SELECT id, v FROM plain WHERE v IS NOT NULL;
CREATE TRIGGER note AFTER INSERT ON plain BEGIN INSERT INTO noted VALUES (new.v); END;
INSERT INTO plain (v, "odd name") VALUES (9223372036854775807, 'ä"''
;'), (0.1, ''), (1e999, NULL), (-0.0, 'nul' || char(0) || 'inside'), (x'0001ff', 'x'), (3.0, '3'), (-9223372036854775808, NULL), (5e-324, ''), (1e21, '');
DELETE FROM plain WHERE v = 3.0;
INSERT INTO plain (v) VALUES ('last'); DELETE FROM plain WHERE v = 'last';
INSERT INTO made (a) VALUES (1), (2.5);
INSERT INTO without VALUES ('b', 1), ('a', 2);
INSERT INTO child VALUES (1); INSERT INTO parent VALUES (1);
INSERT INTO words (rowid, title, body) VALUES (7, 'On trees', 'oak and beech'), (9, 'On rivers', 'rhine');
INSERT INTO boxes VALUES (1, 0, 1, 0, 1), (2, 5, 6, 5, 6);
ANALYZE;
PRAGMA user_version = 7;
`;

const looks = `
SELECT id, quote(v), quote("odd name"), typeof(v) FROM plain ORDER BY id;
SELECT * FROM made; SELECT * FROM without; SELECT * FROM seen; SELECT what FROM noted;
SELECT rowid, title FROM words WHERE words MATCH 'oak OR rhine' ORDER BY rowid;
SELECT id FROM boxes WHERE x0 > 2;
SELECT seq FROM sqlite_sequence; SELECT * FROM sqlite_stat1 ORDER BY 1, 2;
SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' AND name NOT LIKE 'words_%' AND name NOT LIKE 'boxes_%' ORDER BY 1, 2;
PRAGMA integrity_check; PRAGMA foreign_key_check;
`;

// Proves: SQLite's own shell makes the same database of a dump, with virtual tables, generated columns, triggers, counters and odd values; and
// so does another node.
test('a dump', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const made = await shell(sandbox, schema);
  assert.deepEqual([made.code, made.stderr], [0, '']);
  const dumped = await shell(sandbox, '.dump\n');
  assert.equal(dumped.code, 0, dumped.stderr);
  judge(sandbox.join('stock.db'), `.bail on\n${dumped.stdout}`);
  const expected = judge(sandbox.join('db', 'main.db'), looks);
  assert.match(expected, /9223372036854775807/);
  assert.equal(judge(sandbox.join('stock.db'), looks), expected);
  writeFileSync(sandbox.join('dump.sql'), dumped.stdout);
  await using other = makeSandbox();
  const loaded = await shell(other, `.read ${sandbox.join('dump.sql')}\n`);
  assert.deepEqual([loaded.code, loaded.stderr], [0, '']);
  assert.equal(judge(other.join('db', 'main.db'), looks), expected);
  assert.equal((await shell(other, '.dump\n')).stdout, dumped.stdout);
});

// Proves: rows of a CSV file are imported, all or none; a table is made of the first row; output goes where it is sent; names are listed.
test('import, output, names', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const rows = Array.from({ length: 2500 }, (_, index) => `${index},"v ""${index}"",\n x"`);
  writeFileSync(sandbox.join('a.csv'), ['id,text', ...rows].join('\r\n'));
  writeFileSync(sandbox.join('bad.csv'), '1,a\n2\n');
  writeFileSync(sandbox.join('open.csv'), '1,"a\n2,b\n');
  const csv = (name: string): string => sandbox.join(name);
  const made = await shell(
    sandbox,
    `.import ${csv('a.csv')} "new table"\n.import ${csv('a.csv')} "new table"\nCREATE INDEX i ON "new table"(id);\n.tables\n.indexes\n.schema\n.output ${csv('out')}\nSELECT count(*), sum(text = 'v "7",' || char(10) || ' x') FROM "new table";\n.output\nSELECT 'back';\n.databases\n`,
  );
  assert.deepEqual(
    [made.code, made.stdout],
    [
      0,
      'new table\ni\nCREATE TABLE "new table"("id" TEXT, "text" TEXT);\nCREATE INDEX i ON "new table"(id);\nback\nmain\n',
    ],
    made.stderr,
  );
  assert.equal(readFileSync(csv('out'), 'utf8'), '5001|2\n');
  for (const [name, message] of [
    ['bad.csv', /row 2 has 1 values; the table new table has 2 columns/],
    ['open.csv', /the quote that begins row 1 is never closed/],
  ] as const) {
    const refused = await shell(sandbox, `.import ${csv(name)} "new table"\n`);
    assert.deepEqual([refused.code, message.test(refused.stderr)], [2, true], refused.stderr);
  }
  assert.equal((await shell(sandbox, 'SELECT count(*) FROM "new table";')).stdout, '5001\n');
  assert.equal((await shell(sandbox, `.import ${csv('missing')} t\n`)).code, 40);
});

// Proves: at a terminal Ctrl-C interrupts the statement and not the shell, statements go over lines, errors end nothing, and what was typed is kept
// for its owner alone.
test('a person at a terminal', { timeout }, async () => {
  await using sandbox = makeSandbox();
  await using server = await ServerProcess.start([sandbox.join('db')]);
  await using person = new Person(server.url, sandbox.join('state'));
  await person.sees(/main> $/);
  person.types('SELECT 1 AS a,\r2 AS b;\r');
  await person.sees(/a {2}b\n─ {2}─\n1 {2}2\nmain> $/);
  person.types('WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n;\r');
  await delay(500);
  person.types('\x03');
  await person.sees(/interrupted\nmain> /);
  person.types("BEGIN;\rSELECT nope;\rSELECT 'left\r");
  await person.sees(/no such column: nope \(SQLITE_ERROR\)[\s\S]*\.\.\.> $/);
  person.types('\x03');
  await person.sees(/\^C\n[\s\S]*main\*> $/);
  person.types('\x04');
  assert.equal(await person.ended, 0);
  const history = sandbox.join('state', 'baton', 'sqlite-history');
  assert.equal(statSync(history).mode & 0o777, 0o600);
  assert.match(readFileSync(history, 'utf8'), /^SELECT 1 AS a,\n2 AS b;\nWITH/);
});

// Proves: a server that is started again is found again; what was open is told to be gone.
test('a server that goes away under a shell', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const socket = `unix:${sandbox.join('s')}`;
  await using first = await ServerProcess.start([sandbox.join('db')], socket);
  await using person = new Person(socket, sandbox.join('state'));
  await person.sees(/main> $/);
  person.types('BEGIN;\r');
  await person.sees(/main\*> $/);
  await first.kill();
  person.types('SELECT 1;\r');
  await person.sees(/broke[\s\S]*rolled back[\s\S]*main> $/);
  await using _second = await ServerProcess.start([sandbox.join('db')], socket);
  person.types('SELECT 40 + 2 AS x;\r');
  await person.sees(/42\nmain> $/);
  person.types('.quit\r');
  assert.equal(await person.ended, 0);
});
