import assert from 'node:assert/strict';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { BatonError } from '@batondb/core/errors';
import type { OwnedSink, StreamEvent } from '@batondb/sync';
import { ndjsonFileSink } from '@batondb/sync/ndjson/file-sink';
import { sinkTable } from './sink-tables.ts';

// Files of lines that were torn, damaged, or written by somebody else.

const a = sinkTable('a', ['id', 'x']);

async function fileFor(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'baton-lines-'));
  t.after(() => rm(directory, { recursive: true }));
  return join(directory, 'rows.ndjson');
}

function own(path: string, source = 'a source'): Promise<OwnedSink> {
  return ndjsonFileSink({ path, source }).own(
    new AbortController().signal,
    () => {},
    () => {},
  );
}

/** Transactions, each a group of its own. */
async function write(owned: OwnedSink, ...positions: string[]): Promise<void> {
  for (const position of positions) {
    async function* stream(): AsyncGenerator<readonly StreamEvent[]> {
      yield [
        { kind: 'insert', table: a, row: [position, 'ä "quoted"'] },
        { kind: 'reached', position },
      ];
    }
    for await (const _position of owned.apply(stream()));
  }
}

/** Where each commit line of a file ends, and its position. */
function commitsOf(bytes: Buffer): { readonly position: string; readonly end: number }[] {
  let end = 0;
  return bytes
    .toString()
    .split('\n')
    .flatMap((line) => {
      end += Buffer.byteLength(line) + 1;
      const isCommit = line.startsWith('{"op":"commit"') && end <= bytes.length;
      return isCommit ? [{ position: (JSON.parse(line) as { position: string }).position, end }] : [];
    });
}

// Proves: wherever a file was torn, it is cut back to its last whole commit, and goes on there (Y1).
test('a file that was torn at any byte', async (t) => {
  const path = await fileFor(t);
  {
    await using owned = await own(path);
    await owned.begin('p0', [a], true);
    await write(owned, '1', '2', '3');
  }
  const whole = await readFile(path);
  const commits = commitsOf(whole);
  assert.deepEqual(
    commits.map(({ position }) => position),
    ['p0', '1', '2', '3'],
  );
  const torn = `${path}.torn`;
  for (let size = 0; size <= whole.length; size += 7) {
    await writeFile(torn, whole.subarray(0, size));
    const last = commits.findLast(({ end }) => end <= size);
    await using owned = await own(torn);
    assert.equal(owned.state.position, last?.position, `after ${size} bytes`);
    assert.equal(owned.state.tables.size, last === undefined ? 0 : 1);
    assert.equal((await readFile(torn)).length, last?.end ?? 0);
  }
});

// Proves: a commit line of which something before it was lost does not count: a machine without power keeps what it likes of what was not synced.
test('a commit line without what it commits', async (t) => {
  const path = await fileFor(t);
  {
    await using owned = await own(path);
    await owned.begin('p0', [a], true);
    await write(owned, '1', '2');
  }
  const bytes = await readFile(path);
  const [, first] = commitsOf(bytes);
  // The row of transaction 2, as zeros.
  bytes.fill(0, first!.end, first!.end + 40);
  await writeFile(path, bytes);
  await using owned = await own(path);
  assert.equal(owned.state.position, '1');
  await write(owned, '2');
  assert.deepEqual(
    commitsOf(await readFile(path)).map(({ position }) => position),
    ['p0', '1', '2'],
  );
});

// Proves: what is remembered of many tables is found through a chain of bounded length, and each change of it costs what has changed.
test('the state of many tables', async (t) => {
  const path = await fileFor(t);
  const tables = Array.from({ length: 200 }, (_, number) => sinkTable(`t${number}`, ['id', 'x']));
  {
    await using owned = await own(path);
    await owned.begin('p0', tables, false);
    for (const [number, table] of tables.entries()) await (await owned.load(table)).finish(`d${number}`);
  }
  await using owned = await own(path);
  assert.deepEqual(
    [...owned.state.tables.values()].map(({ name, dumpedAt }) => `${name} ${dumpedAt}`).toSorted(),
    tables.map(({ name }, number) => `${name} d${number}`).toSorted(),
  );
});

// Proves: files of others are refused and left as they are; so is one that was cut or moved while it was written.
test('a file that is not ours is refused', async (t) => {
  const path = await fileFor(t);
  const isUsage = (message: RegExp) => (error: unknown) =>
    error instanceof BatonError && error.code === 'USAGE' && message.test(error.message);
  await writeFile(path, '{"some":"thing"}\n');
  await assert.rejects(own(path), isUsage(/holds something else/));
  assert.equal(await readFile(path, 'utf8'), '{"some":"thing"}\n');
  await rm(path);
  await using owned = await own(path);
  await owned.begin('p0', [a], true);
  await copyFile(path, `${path}.copy`);
  await assert.rejects(own(`${path}.copy`, 'another one'), isUsage(/has the rows of "a source", not of "another one"/));
  await writeFile(path, '');
  await assert.rejects(write(owned, '1'), (error) => error instanceof BatonError && error.code === 'CHANGED');
});
