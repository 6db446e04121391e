import { createRequire } from 'node:module';
import type Database from 'better-sqlite3';
import { fill, type Method, ownCpuSeconds, rangeRows, rowNumbers, schema, statements } from './method.ts';

// better-sqlite3: the same SQLite, compiled for this machine, in the thread of the caller.

const peerRequire = createRequire(new URL('../peers/better-sqlite3/package.json', import.meta.url));

/** Opens a database of its own for each durability and measures the workloads of an embedded database. */
export function nativeMethods(directory: string): Disposable & { readonly methods: readonly Method[] } {
  const full = open(`${directory}/native-full.db`, 'FULL');
  const off = open(`${directory}/native-off.db`, 'OFF');
  const methods = [
    ...methodsOf(full, 'native-full', 'better-sqlite3, synchronous FULL'),
    ...methodsOf(off, 'native-off', 'better-sqlite3, synchronous OFF').filter(
      ({ workload }) => workload === 'write-1' || workload === 'batch-100',
    ),
  ];
  return {
    methods,
    [Symbol.dispose]() {
      full.close();
      off.close();
    },
  };
}

function open(path: string, synchronous: 'FULL' | 'OFF'): Database.Database {
  const Peer = peerRequire('better-sqlite3') as typeof Database;
  const database = new Peer(path);
  database.pragma('journal_mode = WAL');
  database.pragma(`synchronous = ${synchronous}`);
  for (const sql of [...schema, fill]) database.exec(sql);
  return database;
}

function methodsOf(database: Database.Database, name: string, title: string): Method[] {
  const insert = database.prepare(statements.insert);
  const point = database.prepare(statements.point);
  const range = database.prepare(statements.range);
  const insertMany = database.transaction((count: number) => {
    for (let row = 0; row < count; row++) insert.run('a name', row);
  });
  const numbers = rowNumbers();
  const operations: readonly (readonly [Method['workload'], () => number])[] = [
    ['write-1', () => insert.run('a name', 1).changes],
    ['batch-100', () => (insertMany(100), 1)],
    ['point-read', () => Number(point.get(numbers.next().value) !== undefined)],
    [
      'range-scan',
      () => {
        const from = numbers.next().value;
        return range.all(from, from + rangeRows).length;
      },
    ],
  ];
  return operations.map(([workload, operation]) => ({
    name,
    title,
    workload,
    cpuSeconds: ownCpuSeconds,
    run: (endMs) => {
      let done = 0;
      while (performance.now() < endMs) done += operation();
      return done;
    },
  }));
}
