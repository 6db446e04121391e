import type { Sink, StreamEvent } from '@batondb/sync';
import { ndjsonFileSink } from '@batondb/sync/ndjson/file-sink';
import { sqliteSink } from '@batondb/sync/sqlite/sink';
import { sinkTable } from './sink-tables.ts';

// A process that writes transactions to a sink until it is killed. Transaction n sets row n, changes row n - 1, and counts in a table without a key. It prints
// each position that it was told is durable.

export const numbers = sinkTable('numbers', ['id', 'x']);
export const counts = sinkTable('counts', ['id'], { key: [], hasWholeOldRows: true });

export function processSink(kind: string, path: string): Sink {
  const options = { path, source: 'a process' };
  return kind === 'sqlite' ? sqliteSink(options) : ndjsonFileSink(options);
}

export function transaction(number: number): readonly StreamEvent[] {
  const position = String(number);
  return [
    { kind: 'begin', transaction: position, commitsAt: position, committedAtMs: undefined },
    { kind: 'insert', table: numbers, row: [position, `new ${'x'.repeat(number % 100)}`] },
    { kind: 'update', table: numbers, row: [String(number - 1), `changed by ${number}`] },
    ...(number > 1 ? [{ kind: 'delete' as const, table: counts, old: [String(number - 1)] }] : []),
    { kind: 'insert', table: counts, row: [position] },
    { kind: 'commit', position, committedAtMs: undefined },
  ];
}

async function* transactions(from: number): AsyncGenerator<readonly StreamEvent[]> {
  for (let number = from; ; number++) {
    const events = transaction(number);
    yield events.slice(0, 2);
    yield events.slice(2);
    if (number % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
}

async function run(kind: string, path: string): Promise<void> {
  await using owned = await processSink(kind, path).own(
    new AbortController().signal,
    () => {},
    () => {},
  );
  if (owned.state.position === undefined) await owned.begin('0', [numbers, counts], true);
  const from = Number(owned.state.position) + 1;
  for await (const position of owned.apply(transactions(from))) process.stdout.write(`${position}\n`);
}

const [kind, path] = process.argv.slice(2);
if (kind !== undefined && path !== undefined && process.argv[1]?.includes('sink-process')) await run(kind, path);
