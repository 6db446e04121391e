// Whole databases by the command: made, dropped, fetched, put back, loaded; and backups that a server makes by itself.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { run, ServerProcess, succeed } from './sqlite-bed.ts';

const timeout = 120_000;

function judge(path: string, sql: string): string {
  return execFileSync('sqlite3', [path, sql], { encoding: 'utf8' });
}

// Proves: a database is made, listed, and dropped only by who says so; its file is kept.
test('create, list, drop', { timeout }, async () => {
  await using sandbox = makeSandbox();
  await using server = await ServerProcess.start([sandbox.join('db')]);
  const shop = `${server.url}/db/shop`;
  assert.equal(await succeed(['create', shop]), `created ${shop}\n`);
  assert.equal(await succeed(['create', shop]), `was there already: ${shop}\n`);
  await succeed(['shell', shop], { input: 'CREATE TABLE t (a); INSERT INTO t VALUES (7);' });
  assert.match(await succeed(['list', server.url]), /^(main .*\n)?shop {2}\d+.*\n$/);
  const silent = await run(['drop', shop]);
  assert.deepEqual([silent.code, /--yes/.test(silent.stderr)], [2, true], silent.stderr);
  assert.equal(await succeed(['drop', shop, '--dry-run']), `dry run: would drop ${shop}\n`);
  assert.equal(await succeed(['shell', shop], { input: 'SELECT a FROM t' }), '7\n');
  await succeed(['drop', shop, '--yes']);
  const gone = await run(['shell', shop], { input: 'SELECT 1' });
  assert.deepEqual([gone.code, /there is no database shop/.test(gone.stderr)], [40, true], gone.stderr);
  assert.equal((await run(['drop', shop, '--yes'])).code, 40);
  assert.equal((await run(['create', `${server.url}/db/-x`])).code, 2);
});

// Proves: a backup is an ordinary file, and never written over something; put back it takes the place of what is there only by who says so.
test('backup and restore', { timeout }, async () => {
  await using sandbox = makeSandbox();
  await using server = await ServerProcess.start([sandbox.join('db')]);
  const file = sandbox.join('a.db');
  await succeed(['shell', server.url], { input: 'CREATE TABLE t (a); INSERT INTO t VALUES (1), (2);' });
  const told = await succeed(['backup', server.url, file, '--json']);
  assert.deepEqual(Object.keys(JSON.parse(told.trimEnd().split('\n').at(-1) ?? '') as object), [
    'time',
    'type',
    'bytes',
    'position',
    'durationMs',
  ]);
  assert.equal(judge(file, 'PRAGMA integrity_check; SELECT sum(a) FROM t'), 'ok\n3\n');
  const again = await run(['backup', server.url, file]);
  assert.deepEqual([again.code, /exists/.test(again.stderr)], [40, true], again.stderr);
  await succeed(['shell', server.url], { input: 'DELETE FROM t;' });
  assert.equal((await run(['restore', file, server.url])).code, 2);
  assert.match(await succeed(['restore', file, server.url, '--dry-run']), /^dry run: would replace/);
  assert.equal(await succeed(['shell', server.url], { input: 'SELECT count(*) FROM t' }), '0\n');
  assert.match(await succeed(['restore', file, server.url, '--yes']), /at position \d+\.\d+/);
  assert.equal(await succeed(['shell', server.url], { input: 'SELECT sum(a) FROM t' }), '3\n');
  assert.match(await succeed(['restore', file, `${server.url}/db/other`]), /at position/);
  assert.equal(await succeed(['shell', `${server.url}/db/other`], { input: 'SELECT sum(a) FROM t' }), '3\n');
  writeFileSync(sandbox.join('text'), 'no database');
  const wrong = await run(['restore', sandbox.join('text'), `${server.url}/db/third`]);
  assert.ok(wrong.code !== 0 && /not a SQLite database|is no SQLite/i.test(wrong.stderr), wrong.stderr);
  assert.equal((await run(['restore', sandbox.join('missing'), server.url, '--yes'])).code, 40);
});

// Proves: a text of SQL becomes a database as a whole, or not at all; and nothing is left beside it.
test('load', { timeout }, async () => {
  await using sandbox = makeSandbox();
  await using server = await ServerProcess.start([sandbox.join('db')]);
  const native = sandbox.join('native.db');
  const seed =
    "CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 'a;b'), (2, x'00ff'); CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; END;";
  judge(native, seed);
  mkdirSync(sandbox.join('texts'));
  const [good, bad, half] = ['good', 'bad', 'half'].map((name) => sandbox.join('texts', `${name}.sql`)) as [
    string,
    string,
    string,
  ];
  const dump = judge(native, '.dump');
  writeFileSync(good, dump);
  writeFileSync(bad, dump.replace('COMMIT;', 'INSERT INTO nowhere VALUES (1);\nCOMMIT;'));
  writeFileSync(half, dump.replace('COMMIT;', ''));
  assert.match(await succeed(['load', good, `${server.url}/db/text`]), /at position/);
  assert.match(await succeed(['load', native, `${server.url}/db/file`]), /at position/);
  for (const name of ['text', 'file'])
    assert.equal(
      await succeed(['shell', `${server.url}/db/${name}`], { input: 'SELECT id, quote(v) FROM t' }),
      "1|'a;b'\n2|X'00FF'\n",
    );
  const failed = await run(['load', bad, `${server.url}/db/failed`]);
  assert.deepEqual(
    [failed.code, /bad\.sql, up to line \d+: no such table: nowhere/.test(failed.stderr)],
    [45, true],
    failed.stderr,
  );
  const cut = await run(['load', half, `${server.url}/db/failed`]);
  assert.deepEqual([cut.code, /does not end it/.test(cut.stderr)], [45, true], cut.stderr);
  assert.doesNotMatch(await succeed(['list', server.url]), /failed/);
  assert.deepEqual(readdirSync(sandbox.join('texts')).sort(), ['bad.sql', 'good.sql', 'half.sql']);
});

// Proves: a server makes backups by itself; an empty directory begins with the newest; a whole backup is put into a directory by who says so, and
// what was there is kept until told.
test('backups by themselves', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const [directory, backups] = [sandbox.join('db'), sandbox.join('backups')];
  const words = [directory, '--backup-to', backups, '--every', '1s', '--keep', '2'];
  {
    await using server = await ServerProcess.start(words);
    await succeed(['shell', server.url], { input: 'CREATE TABLE t (a); INSERT INTO t VALUES (1);' });
    // One that was begun before the write may end after it.
    const hasAll = async (): Promise<boolean> => {
      const { position, backups: told } = JSON.parse(await succeed(['status', server.url, '--json'])) as {
        position: string;
        backups: { newest?: { position: string } };
      };
      return told.newest?.position === position;
    };
    while (!(await hasAll())) await delay(100);
    await server.stop();
  }
  const [backup = ''] = readdirSync(backups).sort().reverse();
  rmSync(directory, { recursive: true });
  {
    await using server = await ServerProcess.start(words);
    assert.equal(await succeed(['shell', server.url], { input: 'SELECT a FROM t; INSERT INTO t VALUES (2);' }), '1\n');
    await server.stop();
  }
  const source = `${backups}/${backup}`;
  assert.equal((await run(['restore', source, directory])).code, 2);
  assert.match(await succeed(['restore', source, directory, '--yes']), /at position/);
  assert.equal(await succeed(['shell', directory], { input: 'SELECT group_concat(a) FROM t;' }), '1\n');
  assert.match(await succeed(['discard-old', directory, '--dry-run']), /would remove/);
  await succeed(['discard-old', directory, '--yes']);
  assert.match(await succeed(['discard-old', directory]), /nothing was put aside/);
  assert.equal(existsSync(directory), true);
});
