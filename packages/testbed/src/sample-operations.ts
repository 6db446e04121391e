// What a load does to the sample database: statements chosen by a seed. Pure, so that a seed repeats them.
import type { Random } from './random.ts';

export type Statement = { readonly text: string; readonly values: readonly (string | number)[] };

/** How a load's transactions are made up. */
export type OperationLimits = {
  /** Keys of rows that were there at the beginning go up to about this. */
  readonly keyMax: number;
  /** Rows of the rare large transaction. */
  readonly largeRows: number;
};

type Operation = (random: Random, limits: OperationLimits) => readonly Statement[];

function run(text: string, ...values: readonly (string | number)[]): readonly Statement[] {
  return [{ text, values }];
}

/** A key, often one of few and seldom a harmless one. */
function awkwardKey(random: Random): string {
  const start = random.pick(['', '/', 'a/b%', '%2F', 'ü ', '\u{1f600}', "'", '\\', '"', '%N', 'tab\t', 'plain']);
  return random.fraction() < 0.1 ? start : `${start}${random.integer(1, 60)}`;
}

/** Text that is stored out of line when it is long. */
function prose(random: Random, words: number): string {
  return Array.from({ length: words }, () => random.word().toString(36)).join(' ');
}

const anOrder = '(SELECT id FROM sales.orders WHERE id >= $1 ORDER BY id LIMIT 1)';
const aDocument = '(SELECT path FROM documents WHERE path >= $1 ORDER BY path LIMIT 1)';

/** How often, and what. */
const operations: readonly (readonly [number, Operation])[] = [
  [
    8,
    (random, { keyMax }) => [
      ...run(
        `INSERT INTO sales.orders (customer, placed_at) SELECT id, now() FROM sales.customers WHERE id >= $1 ORDER BY id LIMIT 1`,
        random.integer(1, keyMax),
      ),
      ...run(
        `INSERT INTO sales.order_lines SELECT o.id, l, p.sku, $1::integer, p.price
         FROM (SELECT max(id) AS id FROM sales.orders) o, generate_series(1, $2::integer) l,
           (SELECT sku, price FROM sales.products ORDER BY sku LIMIT 1) p WHERE o.id IS NOT NULL ON CONFLICT DO NOTHING`,
        random.integer(1, 9),
        random.integer(1, 4),
      ),
    ],
  ],
  [
    8,
    (random, { keyMax }) =>
      run(
        `UPDATE people SET balance = coalesce(balance, 0) + $2::numeric, attributes = attributes || jsonb_build_object('seen', $2::numeric),
           last_name = CASE WHEN $3::integer = 0 THEN last_name || 'x' ELSE last_name END WHERE id = $1`,
        random.integer(1, keyMax),
        random.integer(-100, 100) / 8,
        random.integer(0, 40),
      ),
  ],
  [
    3,
    (random) =>
      run(
        `INSERT INTO people (email, first_name, last_name, country, phones, feels)
         VALUES ($1, 'New', $2::text, (SELECT min(code) FROM countries), ARRAY[$2::text, NULL], 'happy')`,
        `${random.word()}.${random.word()}@example.org`,
        awkwardKey(random),
      ),
  ],
  [1, (random, { keyMax }) => run('DELETE FROM people WHERE id = $1', random.integer(1, keyMax))],
  [4, (random, { keyMax }) => run(`DELETE FROM sales.orders WHERE id = ${anOrder}`, random.integer(1, keyMax))],
  [
    5,
    (random, { keyMax }) =>
      run(
        `UPDATE sales.orders SET status = 'paid', ship_to.number = $2 WHERE id = ${anOrder}`,
        random.integer(1, keyMax),
        random.integer(1, 99),
      ),
  ],
  // A long text stays as it is while its row changes, then it changes.
  [6, (random) => run(`UPDATE documents SET version = version + 1 WHERE path = ${aDocument}`, awkwardKey(random))],
  [
    3,
    (random) =>
      run(
        `UPDATE documents SET body = $2 WHERE path = ${aDocument}`,
        awkwardKey(random),
        prose(random, random.pick([3, 900])),
      ),
  ],
  [
    4,
    (random) =>
      run(
        `INSERT INTO documents VALUES ($1, 0, 'loaded', $2, '{}', now()) ON CONFLICT (path) DO UPDATE SET title = EXCLUDED.title || documents.version`,
        awkwardKey(random),
        prose(random, random.pick([3, 900])),
      ),
  ],
  // Keys change, also those that others point to.
  [
    4,
    (random) => run(`UPDATE documents SET path = $2 WHERE path = ${aDocument}`, awkwardKey(random), awkwardKey(random)),
  ],
  [
    1,
    (random) =>
      run(
        `UPDATE sales.products SET sku = $2 WHERE sku = (SELECT sku FROM sales.products WHERE sku >= $1 ORDER BY sku LIMIT 1)`,
        `SKU/${random.integer(1, 9)}`,
        `SKU/${random.integer(1, 60)}`,
      ),
  ],
  [
    3,
    (random) =>
      run(
        'UPDATE sales.products SET stock = stock - 1, price = price + 0.01 WHERE sku = $1',
        `SKU/${random.integer(1, 20)}`,
      ),
  ],
  [
    3,
    (random, { keyMax }) => {
      const key = random.integer(1, keyMax);
      return [
        ...run('UPDATE "select" SET "order" = -"order" - 1000000 WHERE "order" BETWEEN $1 AND $1 + 2', key),
        ...run('UPDATE "select" SET "order" = -"order" - 1000000 + 1 WHERE "order" < -1000000'),
      ];
    },
  ],
  [
    2,
    (random, { keyMax }) =>
      run(`UPDATE codes SET code = $2 WHERE code = $1`, `C${random.integer(1, keyMax)}`, awkwardKey(random)),
  ],
  // Rows move between partitions.
  [
    4,
    (random) =>
      run(
        `UPDATE measurements SET measured_at = measured_at + $1::integer * interval '200 days'
         WHERE (sensor, measured_at) = (SELECT sensor, measured_at FROM measurements WHERE sensor >= $2 LIMIT 1)`,
        random.pick([-1, 1]),
        `${random.word().toString(16).padStart(8, '0')}-0000-0000-0000-000000000000`,
      ),
  ],
  [
    6,
    (random) =>
      run(
        `INSERT INTO measurements SELECT id, now(), $1::float8, ARRAY[$1::real, NULL] FROM sensors WHERE id >= $2 ORDER BY id LIMIT 1
         ON CONFLICT DO NOTHING`,
        random.pick(['NaN', '-Infinity', String(random.fraction())]),
        `${random.word().toString(16).padStart(8, '0')}-0000-0000-0000-000000000000`,
      ),
  ],
  [
    2,
    (random, { keyMax }) =>
      run(
        'UPDATE sales.invoices SET region = $2 WHERE number = $1',
        random.integer(1, keyMax),
        random.pick(['north', 'south', 'north/east', '']),
      ),
  ],
  // Rows that nothing tells apart.
  [4, (random) => run(`INSERT INTO event_log VALUES (now(), $1, '{"loaded": 1.0}')`, `kind ${random.integer(0, 3)}`)],
  [
    3,
    (random) =>
      run(
        random.pick([
          'DELETE FROM event_log WHERE ctid = (SELECT ctid FROM event_log OFFSET $1 LIMIT 1)',
          `UPDATE event_log SET kind = kind || '.' WHERE ctid = (SELECT ctid FROM event_log OFFSET $1 LIMIT 1)`,
        ]),
        random.integer(0, 30),
      ),
  ],
  [5, (random) => run('UPDATE counters SET value = value + 1 WHERE name = $1', `counter ${random.integer(1, 8)}`)],
  [
    3,
    (random) =>
      run(
        `INSERT INTO "Archive 2"."100% sure/?" VALUES ($1, '<n/>', NULL) ON CONFLICT ("a ""key""") DO UPDATE SET words = to_tsvector('simple', $2)`,
        awkwardKey(random),
        prose(random, 3),
      ),
  ],
  [2, (random) => run(`DELETE FROM "Archive 2"."100% sure/?" WHERE "a ""key""" = $1`, awkwardKey(random))],
  [
    3,
    (random, { keyMax }) =>
      run(
        'INSERT INTO settings VALUES ($1, $2, to_jsonb($3::text)) ON CONFLICT (name, owner) DO UPDATE SET value = EXCLUDED.value',
        random.integer(1, keyMax),
        awkwardKey(random),
        prose(random, 2),
      ),
  ],
  [
    1,
    (random) => [
      ...run('INSERT INTO scratch SELECT coalesce(max(id), 0) + 1, $1 FROM scratch', 'goes again'),
      ...run('TRUNCATE scratch, scratch_lines'),
      ...run(
        'INSERT INTO scratch SELECT i, $2 FROM generate_series(1, $1::integer) i',
        random.integer(0, 9),
        awkwardKey(random),
      ),
    ],
  ],
];

const weightSum: number = operations.reduce((sum, [weight]) => sum + weight, 0);

function anyOperation(random: Random, limits: OperationLimits): readonly Statement[] {
  let place = random.integer(1, weightSum);
  for (const [weight, operation] of operations) {
    place -= weight;
    if (place <= 0) return operation(random, limits);
  }
  throw new Error('the weights add up to less than their sum');
}

function largeOperation(random: Random, { largeRows }: OperationLimits): readonly Statement[] {
  const first = 1_000_000 + random.integer(0, 1000) * 10;
  return [
    ...run(
      `INSERT INTO "Archive 2"."Old orders" SELECT $1::bigint + i, i / 8.0, repeat('much ', i % 20), now() FROM generate_series(1, $2::integer) i
       ON CONFLICT (id) DO UPDATE SET "total amount" = "Old orders"."total amount" + 1`,
      first,
      random.integer(largeRows >> 1, largeRows),
    ),
    ...run('DELETE FROM "Archive 2"."Old orders" WHERE id > 1000000 AND id % 3 = $1', random.integer(0, 2)),
  ];
}

/** The statements of one transaction, without BEGIN and its end; some of them in savepoints, some of which are rolled back. */
export function sampleTransaction(random: Random, limits: OperationLimits): readonly Statement[] {
  if (random.fraction() < 0.01) return largeOperation(random, limits);
  const statements: Statement[] = [];
  const count = random.pick([1, 1, 2, 3, 8]);
  for (let number = 0; number < count; number++) {
    const inner = anyOperation(random, limits);
    if (random.fraction() > 0.15) statements.push(...inner);
    else {
      const end = random.pick(['ROLLBACK TO inside', 'RELEASE inside']);
      statements.push(...run('SAVEPOINT inside'), ...inner, ...run(end));
    }
  }
  return statements;
}
