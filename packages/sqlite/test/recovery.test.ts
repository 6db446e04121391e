// The log of a stopped node: what is told of it, and what recovery makes of one that is damaged. Real segments, damaged byte by byte.
import assert from 'node:assert/strict';
import { copyFileSync, cpSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { checkLog, openNode, recoverLog } from '../src/index.ts';
import { decodeState, encodeState } from '../src/machine/state-record.ts';

const timeout = 60_000;
const rowsPerSegment = 3;
const segmentBytes = 65_536;
const stamp = 'test';

/** A directory as a crash leaves it: one row a transaction, over several segments, and the position of each row. */
async function makeCrashed(sandbox: Sandbox): Promise<{ readonly directory: string; readonly rows: number }> {
  const live = sandbox.join('live');
  const directory = sandbox.join('crashed');
  await using node = await openNode({ directory: live, segmentBytes, checkpointBytes: 2 ** 40, readers: 1 });
  await node.execute('CREATE TABLE t (id INTEGER PRIMARY KEY, v)');
  const rows = rowsPerSegment * 6;
  for (let id = 1; id <= rows; id++) await node.execute('INSERT INTO t VALUES (?, zeroblob(9000))', [id]);
  await node.createDatabase('other');
  cpSync(live, directory, { recursive: true });
  return { directory, rows };
}

function segmentsOf(directory: string): string[] {
  const log = join(directory, '.baton', 'log');
  return readdirSync(log)
    .filter((name) => name.endsWith('.segment'))
    .sort()
    .map((name) => join(log, name));
}

/** Changes some bytes of a file. */
function damage(path: string, offset: number, bytes: number, value: number | 'flip'): void {
  const content = readFileSync(path);
  for (let at = offset; at < offset + bytes; at++) content[at] = value === 'flip' ? (content[at] ?? 0) ^ 0xff : value;
  writeFileSync(path, content);
}

/** Every file below a directory with its content, to see whether something changed. */
function contentOf(directory: string): ReadonlyMap<string, string> {
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((name) => !name.endsWith('lock'));
  const files = names.filter((name) => statSync(join(directory, name)).isFile());
  return new Map(files.sort().map((name) => [name, readFileSync(join(directory, name), 'latin1')]));
}

async function rowsIn(directory: string): Promise<number[]> {
  await using node = await openNode({ directory, segmentBytes, readers: 1 });
  assert.deepEqual((await node.query('PRAGMA integrity_check')).rows, [['ok']]);
  return (await node.query('SELECT id FROM t ORDER BY id')).rows.map(([id]) => Number(id));
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}

// Proves: a log that a crash left is whole and told with its databases and positions; neither look changes a byte.
test('a whole log', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const { directory, rows } = await makeCrashed(sandbox);
  const before = contentOf(directory);
  const report = checkLog(directory);
  assert.equal(report.verdict, 'whole');
  assert.deepEqual(
    report.databases.map(({ name, sequence }) => [name, sequence]),
    [
      ['main', rows + 1],
      ['other', 0],
    ],
  );
  assert.ok(report.segments.length >= 3, `${report.segments.length} segments`);
  assert.equal(report.segments.at(-1)?.last, report.recoverable.index);
  assert.deepEqual(recoverLog(directory, { dryRun: false, stamp }), { report });
  assert.deepEqual(contentOf(directory), before);
  assert.deepEqual(await rowsIn(directory), upTo(rows));
});

// Proves: one byte in the middle is damage, which no start accepts; recovery keeps everything before it and a copy of all that was there (F1).
test('one wrong byte in the middle', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const { directory } = await makeCrashed(sandbox);
  const [, second = ''] = segmentsOf(directory);
  damage(second, 5000, 1, 'flip');
  await assert.rejects(openNode({ directory, segmentBytes }), { code: 'LOG_DAMAGED', hint: /log check/ });
  const before = contentOf(directory);
  const report = checkLog(directory);
  assert.equal(report.verdict, 'damaged');
  assert.equal(report.lost?.from, report.recoverable.index + 1);
  assert.ok(report.cut.length > 0);
  const planned = recoverLog(directory, { dryRun: true, stamp });
  assert.deepEqual(contentOf(directory), before);
  const { keptAt = '' } = recoverLog(directory, { dryRun: false, stamp });
  assert.equal(keptAt, planned.keptAt);
  for (const name of readdirSync(keptAt)) {
    const original = name === 'state' ? '.baton/state' : join('.baton/log', name);
    assert.equal(readFileSync(join(keptAt, name), 'latin1'), before.get(original), name);
  }
  const after = checkLog(directory);
  assert.equal(after.verdict, 'whole');
  assert.deepEqual(after.recoverable, report.recoverable);
  assert.notEqual(after.logId, report.logId);
  const [main] = report.databases;
  assert.deepEqual(await rowsIn(directory), upTo((main?.sequence ?? 0) - 1));
});

// Proves: a segment that is missing is damage, with the entries that were in it; recovery ends before it.
test('a segment that is missing', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const { directory } = await makeCrashed(sandbox);
  const { segments } = checkLog(directory);
  const [first, second] = segments;
  rmSync(second!.path);
  const report = checkLog(directory);
  assert.deepEqual([report.verdict, report.recoverable.index], ['damaged', first!.last]);
  assert.equal(report.lost?.from, second!.first);
  recoverLog(directory, { dryRun: false, stamp });
  assert.deepEqual(await rowsIn(directory), upTo(report.databases[0]!.sequence - 1));
});

// Proves: an end of zeros is a torn tail: what is before it is whole, and a start takes it.
test('an end of zeros', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const { directory } = await makeCrashed(sandbox);
  const last = segmentsOf(directory).at(-1) ?? '';
  damage(last, 0, statSync(last).size, 0);
  const report = checkLog(directory);
  assert.equal(report.verdict, 'whole');
  assert.deepEqual(await rowsIn(directory), upTo(report.databases[0]!.sequence - 1));
});

// Proves: a record that is not what its digest says is told, and neither look nor recovery guesses.
test('a damaged checkpoint record', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const { directory } = await makeCrashed(sandbox);
  damage(join(directory, '.baton', 'state'), 90, 1, 'flip');
  const before = contentOf(directory);
  assert.throws(() => checkLog(directory), { code: 'LOG_DAMAGED', hint: 'restore a backup' });
  assert.throws(() => recoverLog(directory, { dryRun: false, stamp }), { code: 'LOG_DAMAGED' });
  assert.deepEqual(contentOf(directory), before);
});

// Proves: where the databases' files hold parts of what is lost, nothing is cut: what would be left is no state that ever was (F2).
test('a fold that was under way', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const { directory } = await makeCrashed(sandbox);
  const statePath = join(directory, '.baton', 'state');
  const { recoverable } = checkLog(directory);
  const record = decodeState(readFileSync(statePath), statePath);
  writeFileSync(statePath, encodeState({ ...record, foldingThrough: recoverable }));
  assert.equal(checkLog(directory).verdict, 'whole');
  damage(segmentsOf(directory)[1] ?? '', 5000, 1, 'flip');
  assert.equal(checkLog(directory).verdict, 'hopeless');
  const before = contentOf(directory);
  assert.throws(() => recoverLog(directory, { dryRun: false, stamp }), {
    code: 'LOG_DAMAGED',
    hint: 'restore a backup',
  });
  assert.deepEqual(contentOf(directory), before);
});

// Proves: recovery that a crash cut short anywhere can be run again, and comes to the same.
test('recovery that is cut short', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const { directory } = await makeCrashed(sandbox);
  const [, second = ''] = segmentsOf(directory);
  damage(second, 5000, 1, 'flip');
  const damaged = sandbox.join('damaged');
  cpSync(directory, damaged, { recursive: true });
  recoverLog(directory, { dryRun: false, stamp });
  const recovered = checkLog(directory).recoverable;
  // As a crash leaves it after the copy, after the new name, and after each segment that was cut.
  const steps = ['.baton/state', ...segmentsOf(directory).map((path) => path.slice(directory.length + 1))];
  for (const [count] of steps.entries()) {
    const partly = sandbox.join(`partly-${count}`);
    cpSync(damaged, partly, { recursive: true });
    for (const name of steps.slice(0, count + 1)) copyFileSync(join(directory, name), join(partly, name));
    recoverLog(partly, { dryRun: false, stamp: 'again' });
    assert.deepEqual(checkLog(partly).recoverable, recovered, `after ${count} steps`);
    assert.equal(checkLog(partly).verdict, 'whole');
  }
});

// Proves: a directory that a node has in use is left alone, and one that is no node's is not made into one.
test('directories that are refused', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const directory = sandbox.join('node');
  assert.throws(() => checkLog(directory), { code: 'NOT_FOUND' });
  assert.equal(existsSync(directory), false);
  await using _node = await openNode({ directory, readers: 1 });
  assert.throws(() => checkLog(directory), { code: 'IN_USE' });
  assert.throws(() => recoverLog(directory, { dryRun: false, stamp }), { code: 'IN_USE' });
});
