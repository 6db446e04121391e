import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { BatonError } from '@batondb/core/errors';
import type { OwnedSink, StreamEvent } from '@batondb/sync';
import { commandSink } from '@batondb/sync/ndjson/command-sink';
import { readLines } from './ndjson-reader.ts';
import { describeSink } from './sink-conformance.ts';
import { contentsOf } from './sink-model.ts';
import { sinkTable } from './sink-tables.ts';

// A command that gets lines and keeps the position.

const a = sinkTable('a', ['id', 'x']);
const receiver = `'${process.execPath}' '${join(import.meta.dirname, '../../../docs/examples/sync-receiver.ts')}'`;

function own(command: string): Promise<OwnedSink> {
  return commandSink({ command, source: 'a source' }).own(
    new AbortController().signal,
    () => {},
    () => {},
  );
}

async function directoryFor(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'baton-exec-'));
  t.after(() => rm(directory, { recursive: true }));
  return directory;
}

async function apply(owned: OwnedSink, from: number, to: number): Promise<string[]> {
  async function* stream(): AsyncGenerator<readonly StreamEvent[]> {
    for (let number = from; number <= to; number++) {
      yield [
        { kind: 'insert', table: a, row: [String(number), 'x'] },
        { kind: 'reached', position: String(number) },
      ];
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
  const told: string[] = [];
  for await (const position of owned.apply(stream())) told.push(position);
  return told;
}

describeSink({
  name: 'exec',
  comparesRows: false,
  manyRows: 25_000,
  hasOneOwner: false,
  knowsRows: false,
  keepsUnkeyed: true,
  followsRenames: true,
  rounds: 1,
  place: async () => {
    const directory = await mkdtemp(join(tmpdir(), 'baton-exec-sink-'));
    return {
      sink: () => commandSink({ command: `${receiver} ${directory}`, source: 'a source' }),
      contents: async () => readLines(await readFile(`${directory}/lines`, 'utf8')),
      [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
    };
  },
});

// Proves: a command that keeps what it gets is asked where it is, and goes on there; when it dies, the error has its last words and passes, and nothing that it
// did not acknowledge counts as held (Y3).
test('a command that dies and comes again', { timeout: 60_000 }, async (t) => {
  const directory = await directoryFor(t);
  {
    await using owned = await own(`sed -u 30q | ${receiver} ${directory}; echo had enough >&2; exit 3`);
    assert.equal(owned.state.position, undefined);
    await owned.begin('0', [a], false);
    const load = await owned.load(a);
    await load.write([['0', null]]);
    await load.finish('0');
    await assert.rejects(apply(owned, 1, 1000), (error) => {
      return (
        error instanceof BatonError &&
        error.code === 'CHILD_FAILED' &&
        error.retryable &&
        /had enough/.test(error.message)
      );
    });
  }
  const kept = (JSON.parse(await readFile(`${directory}/state.json`, 'utf8')) as { position: string }).position;
  await using owned = await own(`${receiver} ${directory}`);
  assert.equal(owned.state.position, kept);
  assert.equal(owned.state.tables.get('public.a')?.dumpedAt, '0');
  const told = await apply(owned, Number(kept) + 1, 30);
  assert.equal(told.at(-1), '30');
  const rows = [['0', null], ...Array.from({ length: 30 }, (_, number) => [String(number + 1), 'x'])];
  assert.deepEqual(readLines(await readFile(`${directory}/lines`, 'utf8')), contentsOf([{ table: a, rows }]));
});

// Proves: a command that says nothing sensible is told what to say, and one that is not there is named.
test('commands that do not know the protocol', { timeout: 60_000 }, async () => {
  const isError = (code: string, message: RegExp) => (error: unknown) =>
    error instanceof BatonError && error.code === code && message.test(error.message);
  await assert.rejects(own('cat'), isError('PROTOCOL', /cat wrote what is no position: \{"op":"hello"/));
  await assert.rejects(own('/nowhere/to/be/found'), isError('CHILD_FAILED', /ended with exit code 127: .*not found/));
  await assert.rejects(own('exit 0'), isError('CHILD_FAILED', /ended with exit code 0/));
});
