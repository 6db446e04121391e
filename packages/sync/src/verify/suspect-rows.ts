import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { openPassingDatabase } from '../passing-database.ts';
import type { HeldRow } from '../sink.ts';

/** What one side has of a key and the other has not. Both are there when the row is another one. */
export type UnequalRow = {
  readonly key: string;
  readonly expected: string | undefined;
  readonly held: string | undefined;
  /** How many rows that are alike it stands for; more than 1 only where nothing tells rows apart. */
  readonly count: number;
};

/** Rows of both sides that may differ, any number of them. */
export class SuspectRows implements Disposable {
  readonly #database: DatabaseSync;
  readonly #add: StatementSync;

  constructor() {
    this.#database = openPassingDatabase('CREATE TABLE suspects (key TEXT, value TEXT, count INTEGER)');
    this.#add = this.#database.prepare('INSERT INTO suspects VALUES (?, ?, ?)');
  }

  /** Below zero: the sink has it. */
  add({ key, value }: HeldRow, count: number): void {
    this.#add.run(key, value, count);
  }

  /** Those that the sides do not share, by key. */
  *unequal(): Generator<UnequalRow, void, undefined> {
    const rows = this.#database.prepare(
      'SELECT key, value, sum(count) AS count FROM suspects GROUP BY key, value HAVING sum(count) <> 0 ORDER BY key',
    );
    let key: string | undefined;
    let expected: CountedValue[] = [];
    let held: CountedValue[] = [];
    for (const row of rows.iterate()) {
      if (row['key'] !== key) {
        if (key !== undefined) yield* pairs(key, expected, held);
        key = row['key'] as string;
        expected = [];
        held = [];
      }
      const count = row['count'] as number;
      (count > 0 ? expected : held).push({ value: row['value'] as string, count: Math.abs(count) });
    }
    if (key !== undefined) yield* pairs(key, expected, held);
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }
}

type CountedValue = { readonly value: string; readonly count: number };

function* pairs(
  key: string,
  expected: readonly CountedValue[],
  held: readonly CountedValue[],
): Generator<UnequalRow, void, undefined> {
  const isPair = expected.length === 1 && held.length === 1 && expected[0]!.count === held[0]!.count;
  if (isPair) {
    yield { key, expected: expected[0]!.value, held: held[0]!.value, count: expected[0]!.count };
    return;
  }
  // One row may be paired; a sink that has others of the same key has them too many.
  const [first, ...more] = held;
  const [wanted, ...others] = expected;
  if (wanted !== undefined && first !== undefined && wanted.count === 1) {
    yield { key, expected: wanted.value, held: first.value, count: 1 };
    if (first.count > 1) yield { key, expected: undefined, held: first.value, count: first.count - 1 };
  } else {
    if (wanted !== undefined) yield { key, expected: wanted.value, held: undefined, count: wanted.count };
    if (first !== undefined) yield { key, expected: undefined, held: first.value, count: first.count };
  }
  for (const { value, count } of others) yield { key, expected: value, held: undefined, count };
  for (const { value, count } of more) yield { key, expected: undefined, held: value, count };
}
