// A sample database of realistic shape: tables of a shop, filled from a seed, the same on every machine.
import type { PostgresClient } from './postgres-client.ts';
import { sampleSchema } from './sample-schema.ts';

/** How a sample is made; every field may be left out. */
export type SampleOptions = {
  /** Made when it is not there. Default: `app`. */
  readonly database?: string;
  /** People; all tables together have about fifteen times as many rows. Default: 100. */
  readonly scale?: number;
  /** Default: 1. */
  readonly seed?: number;
};

/** Makes the database, its tables and its rows. Names of keys have `/`, `%`, nothing, and characters beyond ASCII in them. */
export async function createSampleDatabase(client: PostgresClient, options: SampleOptions = {}): Promise<void> {
  const { database = 'app', scale = 100, seed = 1 } = options;
  const isThere = await client.psql(`SELECT 1 FROM pg_database WHERE datname = '${database}'`);
  if (isThere === '') await client.psql(`CREATE DATABASE "${database}"`);
  await client.psql(`BEGIN; ${sampleSchema} ${sampleRows(scale, seed)} COMMIT; ANALYZE;`, { database });
}

/** Awkward beginnings of keys; the number of a row follows, but for the first, where it is nothing at all. */
const keyStarts = [
  '',
  '/a/b/',
  '%2F',
  ' space ',
  'ünï/çödé \u{1f600} ',
  'tab\t',
  'quote\'"',
  '../',
  'back\\slash',
  '%N',
];

function sampleRows(scale: number, seed: number): string {
  const starts = `ARRAY[${keyStarts.map((start) => `E'${start.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`).join(', ')}]`;
  const many = (count: number): string => `generate_series(1, ${Math.max(1, Math.ceil(count))}) i`;
  return `
-- Rows are right as they are; triggers and foreign keys would take ten times as long.
SET LOCAL session_replication_role TO replica;
CREATE FUNCTION pg_temp.dice(i bigint, salt integer, sides bigint) RETURNS bigint LANGUAGE sql AS
  $$ SELECT (hashint8extended(i, ${seed} * 1000 + salt) & 4611686018427387903) % sides $$;
CREATE FUNCTION pg_temp.hex(i bigint, salt integer) RETURNS text LANGUAGE sql AS $$ SELECT md5(i || '/' || salt || '/${seed}') $$;
CREATE FUNCTION pg_temp.key(i bigint) RETURNS text LANGUAGE sql AS
  $$ SELECT CASE WHEN i = 1 THEN '' ELSE (${starts})[i % ${keyStarts.length} + 1] || i END $$;
CREATE FUNCTION pg_temp.long(i bigint, lines integer) RETURNS text LANGUAGE sql AS
  $$ SELECT coalesce(string_agg(pg_temp.hex(i, n), ' '), '') FROM generate_series(1, lines) n $$;
CREATE FUNCTION pg_temp.moment(i bigint, salt integer) RETURNS timestamptz LANGUAGE sql AS
  $$ SELECT '2024-01-01T00:00:00Z'::timestamptz + pg_temp.dice(i, salt, 94608000000000) * interval '1 microsecond' $$;

INSERT INTO countries SELECT chr(65 + i / 26) || chr(65 + i % 26), 'Land ' || i, i * 9007199254740993 % 99999999999
FROM generate_series(0, 99) i;
INSERT INTO people (id, email, first_name, last_name, born, country, phones, home, attributes, feels, is_active, balance, photo, created_at)
SELECT i, pg_temp.hex(i, 1) || '@example.org', 'First' || i, 'Läst ' || pg_temp.dice(i, 2, 1000),
  date '1930-01-01' + pg_temp.dice(i, 3, 30000)::integer, chr(65 + (i % 100) / 26) || chr(65 + (i % 100) % 26),
  CASE i % 4 WHEN 0 THEN '{}' WHEN 1 THEN ARRAY['+49 ' || i, NULL] ELSE ARRAY['{' || i || ',"x"}'] END,
  CASE WHEN i % 5 > 0 THEN ROW('Street "' || i || '", (left)', pg_temp.dice(i, 4, 200), '0' || i)::address END,
  jsonb_build_object('n', i, 'f', i / 7.0, 'deep', jsonb_build_array(NULL, true, 'é' || i), 'long', pg_temp.long(i, (i % 50 = 0)::integer * 100)),
  (enum_range(NULL::mood))[i % 4], i % 7 > 0, pg_temp.dice(i, 5, 100000000) / 100.0,
  CASE WHEN i % 9 = 0 THEN decode(pg_temp.long(i, 0) || repeat(pg_temp.hex(i, 6), 200), 'hex') END, pg_temp.moment(i, 7)
FROM ${many(scale)};
INSERT INTO documents SELECT pg_temp.key(i), i % 9, 'Title ' || i, pg_temp.long(i, CASE WHEN i % 3 = 0 THEN 120 ELSE 2 END),
  ARRAY['a', 'b' || i % 5], pg_temp.moment(i, 8) AT TIME ZONE 'UTC' FROM ${many(scale / 2)};
INSERT INTO document_links SELECT pg_temp.key(i), pg_temp.key(i / 2), CASE i % 11 WHEN 0 THEN 'NaN'::real WHEN 1 THEN 'infinity' ELSE i / 3.0 END
FROM generate_series(2, ${Math.max(2, Math.ceil(scale / 2))}) i;
INSERT INTO settings SELECT i % ${scale}, pg_temp.key(i / ${scale} + 1), to_jsonb(pg_temp.hex(i, 9)) FROM ${many(scale)};
INSERT INTO sensors SELECT pg_temp.hex(i, 10)::uuid, 'Sensor ' || i, point(i, -i / 3.0), ('10.0.' || i % 256 || '.1/24')::inet, '08:00:2b:01:02:03'
FROM ${many(scale / 10)};
INSERT INTO measurements SELECT pg_temp.hex(pg_temp.dice(i, 11, ${Math.ceil(scale / 10)}) + 1, 10)::uuid, pg_temp.moment(i, 12),
  CASE WHEN i % 97 = 0 THEN 'NaN' ELSE pg_temp.dice(i, 13, 1000000) / 7.0 END, ARRAY[i, NULL, -i]::real[]
FROM ${many(scale * 4)} ON CONFLICT DO NOTHING;
INSERT INTO event_log SELECT pg_temp.moment(i % 50, 14), 'kind ' || i % 3, json_build_object('n', i % 10) FROM ${many(scale)};
INSERT INTO counters SELECT 'counter ' || i, 0 FROM generate_series(1, 8) i;
INSERT INTO scratch SELECT i, 'note ' || i FROM generate_series(1, 20) i;
INSERT INTO scratch_lines SELECT i, i % 3 FROM generate_series(1, 20) i;
INSERT INTO "select" SELECT i, 'group ' || i % 7, i % 32768, (i % 256)::integer::bit(8), i * interval '1 hour -3 days' FROM ${many(scale / 4)};
INSERT INTO codes SELECT 'C' || i, pg_temp.hex(i, 15) FROM ${many(scale / 4)};

INSERT INTO sales.customers SELECT i, i, pg_temp.dice(i, 16, 10000), date '2020-01-01' + i % 1000 FROM ${many(scale / 2)};
INSERT INTO sales.products SELECT 'SKU/' || i, 'Product %' || i, pg_temp.dice(i, 17, 100000) / 100.0, daterange(date '2024-01-01', date '2024-01-01' + i % 500),
  ROW(i, pg_temp.dice(i, 18, 900))::sales.size, pg_temp.dice(i, 19, 500), json_build_object('b', i, 'a', 1.50)
FROM ${many(scale / 5)};
INSERT INTO sales.orders (id, customer, status, ship_to, placed_at) SELECT i, i % ${Math.ceil(scale / 2)} + 1, (enum_range(NULL::sales.status))[i % 4 + 1],
  ROW(NULL, i, '')::address, pg_temp.moment(i, 20) FROM ${many(scale)};
INSERT INTO sales.order_lines SELECT i, line, 'SKU/' || pg_temp.dice(i * 10 + line, 21, ${Math.ceil(scale / 5)}) + 1, line * 2, pg_temp.dice(i, 22, 9999) / 100.0
FROM ${many(scale)}, generate_series(1, (1 + i % 4)) line;
INSERT INTO sales.payments SELECT i, n, i * n / 3.0, pg_temp.moment(i, 23) FROM ${many(scale)}, generate_series(1, 2) n WHERE i % 3 > 0;
INSERT INTO sales.invoices SELECT (ARRAY['north', 'north/east', 'south', 'ü'])[i % 4 + 1], i, i, date '2026-01-01' + i % 90, (i * 1.11)::numeric::money
FROM ${many(scale / 2)};
INSERT INTO sales."Carriers" SELECT i, 'Carrier ' || i, i * 1000.5 FROM generate_series(1, 5) i;
INSERT INTO sales.shipments SELECT pg_temp.hex(i, 24)::uuid, i, i % 5 + 1, tstzrange(pg_temp.moment(i, 25), NULL), '[(0,0),(1,2)]' FROM ${many(scale / 3)};

INSERT INTO "Archive 2"."Old orders" SELECT i, i / 7.0, repeat('old ', (i % 5)::integer), pg_temp.moment(i, 26) AT TIME ZONE 'UTC' FROM ${many(scale)};
INSERT INTO "Archive 2"."100% sure/?" SELECT pg_temp.key(i), ('<a n="' || i || '"/>')::xml, to_tsvector('simple', 'word' || i) FROM ${many(scale / 5)};
INSERT INTO "Archive 2".blobs SELECT i, decode(repeat(pg_temp.hex(i, 27), (i % 200)::integer), 'hex'), decode(pg_temp.hex(i, 28), 'hex') FROM ${many(scale / 5)};
UPDATE sensors s SET readings_count = counts.n FROM (SELECT sensor, count(*) AS n FROM measurements GROUP BY 1) counts WHERE sensor = s.id;
UPDATE sales.orders o SET total = sums.total FROM (SELECT order_id, sum(value) AS total FROM sales.order_lines GROUP BY 1) sums WHERE order_id = o.id;
SELECT setval(pg_get_serial_sequence('people', 'id'), ${Math.max(1, Math.ceil(scale))}), setval(pg_get_serial_sequence('sales.orders', 'id'), ${Math.max(1, Math.ceil(scale))});
`;
}
