import { openNode, type SqliteNode } from '@batondb/sqlite';
import { clients, fill, type Method, ownCpuSeconds, rangeRows, rowNumbers, schema, statements } from './method.ts';

// A node in this process. Its writer is a thread, so that a write is a message there and back.

/** Opens a node and measures the workloads of an embedded database. */
export async function embeddedMethods(
  directory: string,
): Promise<AsyncDisposable & { readonly methods: readonly Method[] }> {
  const node = await openNode({ directory: `${directory}/embedded` });
  await prepare(node);
  const reader = await node.reader();
  const numbers = rowNumbers();
  const method = (
    workload: Method['workload'],
    name: string,
    title: string,
    run: (endMs: number) => Promise<number>,
  ): Method => ({ workload, name, title, cpuSeconds: ownCpuSeconds, run });
  const insert = (): Promise<unknown> => node.execute(statements.insert, ['a name', 1]);
  const hundred = Array.from({ length: 100 }, (_, row) => ({ sql: statements.insert, args: ['a name', row] }));
  const methods = [
    ...([1, 16, 256] as const).map((count) =>
      method(`write-${count}`, 'embedded', `baton embedded, ${count} at a time`, (endMs) =>
        clients(count, endMs, insert),
      ),
    ),
    method('batch-100', 'embedded', 'baton embedded, batch()', (endMs) => clients(1, endMs, () => node.batch(hundred))),
    method('point-read', 'embedded', 'baton embedded, reader()', (endMs) =>
      inTurn(endMs, () => reader.rows(statements.point, [numbers.next().value]).length),
    ),
    method('point-read', 'query', 'baton embedded, query(), 16 at a time', (endMs) =>
      clients(16, endMs, () => node.query(statements.point, [numbers.next().value])),
    ),
    method('range-scan', 'embedded', 'baton embedded, reader()', (endMs) =>
      inTurn(endMs, () => {
        const from = numbers.next().value;
        return reader.rows(statements.range, [from, from + rangeRows]).length;
      }),
    ),
  ];
  return { methods, [Symbol.asyncDispose]: () => node.close() };
}

/** Makes the tables of a node, and folds them, as they would be after some time. */
export async function prepare(node: SqliteNode): Promise<void> {
  for (const sql of [...schema, fill]) await node.execute(sql);
  await node.checkpoint();
}

function inTurn(endMs: number, operation: () => number): Promise<number> {
  let done = 0;
  while (performance.now() < endMs) done += operation();
  return Promise.resolve(done);
}
