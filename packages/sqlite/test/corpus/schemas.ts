import { type Chapter, lines } from './chapter.ts';

// Tables, views, indexes, and what changes them.

const tables: Chapter = {
  name: 'tables',
  statements: lines(`
    CREATE TABLE plain (a, b, c)
    CREATE TABLE plain (a)
    CREATE TABLE IF NOT EXISTS plain (a)
    CREATE TABLE strict_one (i INT, r REAL, t TEXT, b BLOB, a ANY) STRICT
    INSERT INTO strict_one VALUES (1, 2, 3, x'04', 5)
    INSERT INTO strict_one VALUES ('x', 2, 3, x'04', 5)
    INSERT INTO strict_one VALUES (1, 'x', 3, x'04', 5)
    INSERT INTO strict_one VALUES (1, 2, x'03', x'04', 5)
    INSERT INTO strict_one VALUES (1, 2, 3, '4', 5)
    INSERT INTO strict_one VALUES ('12', '3.5', 4.5, NULL, '5')
    SELECT i, typeof(i), r, typeof(r), t, typeof(t), a, typeof(a) FROM strict_one
    CREATE TABLE wrong_strict (a NOTYPE) STRICT
    CREATE TABLE without_rowid (a TEXT, b INT, v, PRIMARY KEY (a, b DESC)) WITHOUT ROWID
    INSERT INTO without_rowid VALUES ('x', 1, 'one'), ('x', 2, 'two'), ('a', 9, 'nine')
    SELECT * FROM without_rowid
    SELECT rowid FROM without_rowid
    INSERT INTO without_rowid VALUES ('x', 1, 'again')
    INSERT INTO without_rowid VALUES (NULL, 1, 'null')
    CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT, v)
    INSERT INTO counted (v) VALUES ('a'), ('b'), ('c')
    DELETE FROM counted
    INSERT INTO counted (v) VALUES ('d')
    SELECT * FROM counted
    SELECT * FROM sqlite_sequence
    UPDATE sqlite_sequence SET seq = 100
    INSERT INTO counted (v) VALUES ('e') RETURNING id
    INSERT INTO counted VALUES (9223372036854775807, 'last')
    INSERT INTO counted (v) VALUES ('beyond')
    CREATE TABLE generated (a INT, b INT, sum INT GENERATED ALWAYS AS (a + b) STORED, product AS (a * b) VIRTUAL, CHECK (sum < 100))
    INSERT INTO generated (a, b) VALUES (2, 3), (4, 5)
    INSERT INTO generated (a, b) VALUES (99, 99)
    INSERT INTO generated (sum) VALUES (1)
    CREATE INDEX generated_product ON generated (product)
    UPDATE generated SET a = a * 2
    SELECT * FROM generated WHERE product > 10
    SELECT * FROM generated
    PRAGMA table_xinfo(generated)
    CREATE TABLE loop (a AS (b), b AS (a))
    CREATE TABLE defaults (id INTEGER PRIMARY KEY, a DEFAULT 5, b DEFAULT (1 + 2), c DEFAULT 'text', d DEFAULT NULL, e NOT NULL DEFAULT x'01')
    INSERT INTO defaults DEFAULT VALUES
    INSERT INTO defaults (id) VALUES (77)
    SELECT * FROM defaults
    INSERT INTO defaults (e) VALUES (NULL)
    CREATE TABLE copied AS SELECT id, a AS other, 1.5 AS r FROM defaults
    SELECT * FROM copied
    PRAGMA table_info(copied)
    CREATE TABLE "a ""quoted"" name" ("with space" INT, [brackets] TEXT, \`ticks\` REAL)
    INSERT INTO "a ""quoted"" name" VALUES (1, 2, 3)
    SELECT * FROM "a ""quoted"" name"
    CREATE TABLE sqlite_mine (a)
    CREATE TABLE two (a, a)
    CREATE TABLE none ()
    CREATE TABLE keys (a PRIMARY KEY, b PRIMARY KEY)
    CREATE TEMP TABLE temporary (v)
    INSERT INTO temporary VALUES (1), (2)
    SELECT sum(v) FROM temp.temporary
    SELECT name, type FROM sqlite_temp_schema
    DROP TABLE temporary
    DROP TABLE temporary
    DROP TABLE IF EXISTS temporary
    DROP TABLE sqlite_sequence
    SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid
    PRAGMA integrity_check
  `),
};

const alterations: Chapter = {
  name: 'ALTER TABLE',
  statements: lines(`
    CREATE TABLE t (id INTEGER PRIMARY KEY, a INT, b TEXT)
    INSERT INTO t VALUES (1, 2, 'three'), (4, 5, 'six')
    CREATE INDEX t_a ON t (a)
    CREATE VIEW seen AS SELECT a, b FROM t
    CREATE TRIGGER counted AFTER INSERT ON t BEGIN UPDATE t SET a = a + 1 WHERE id = new.id; END
    ALTER TABLE t ADD COLUMN c REAL DEFAULT 1.5
    ALTER TABLE t ADD COLUMN d NOT NULL
    ALTER TABLE t ADD COLUMN d TEXT NOT NULL DEFAULT 'd'
    ALTER TABLE t ADD COLUMN e INTEGER PRIMARY KEY
    ALTER TABLE t ADD COLUMN f AS (a + 1)
    ALTER TABLE t ADD COLUMN g DEFAULT (random())
    ALTER TABLE t ADD COLUMN h INT CHECK (h > 0) DEFAULT 5
    SELECT * FROM t
    ALTER TABLE t RENAME COLUMN a TO alpha
    SELECT * FROM seen
    INSERT INTO t (id, alpha) VALUES (9, 9)
    SELECT id, alpha, f FROM t
    ALTER TABLE t RENAME COLUMN nope TO x
    ALTER TABLE t RENAME COLUMN b TO alpha
    ALTER TABLE t DROP COLUMN b
    ALTER TABLE t DROP COLUMN alpha
    DROP VIEW seen
    ALTER TABLE t DROP COLUMN b
    ALTER TABLE t DROP COLUMN id
    ALTER TABLE t RENAME TO renamed
    SELECT * FROM t
    SELECT * FROM renamed ORDER BY id
    ALTER TABLE renamed RENAME TO sqlite_x
    ALTER TABLE nothing RENAME TO x
    SELECT type, name, sql FROM sqlite_schema ORDER BY name
    ALTER TABLE renamed DROP COLUMN c
    SELECT * FROM renamed ORDER BY id
    PRAGMA integrity_check
  `),
};

const indexes: Chapter = {
  name: 'indexes and views',
  statements: [
    'CREATE TABLE t (id INTEGER PRIMARY KEY, a INT, b TEXT, c REAL)',
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) INSERT INTO t SELECT i, i % 17, 'text ' || (i % 23), i / 7.0 FROM n",
    ...lines(`
      CREATE INDEX t_a ON t (a)
      CREATE INDEX t_ab ON t (a, b DESC)
      CREATE UNIQUE INDEX t_c ON t (c)
      CREATE UNIQUE INDEX t_b ON t (b)
      CREATE INDEX t_expression ON t (a + length(b), lower(b))
      CREATE INDEX t_part ON t (b) WHERE a > 10
      CREATE INDEX t_wrong ON t (random())
      CREATE INDEX t_wrong ON t (nope)
      CREATE INDEX t_a ON t (b)
      CREATE INDEX IF NOT EXISTS t_a ON t (b)
      PRAGMA index_list(t)
      PRAGMA index_info(t_ab)
      PRAGMA index_xinfo(t_expression)
      ANALYZE
      SELECT tbl, idx, stat FROM sqlite_stat1 ORDER BY 1, 2
      SELECT count(*) FROM t INDEXED BY t_part WHERE b > 'text 2' AND a > 10
      SELECT count(*) FROM t INDEXED BY t_part WHERE b > 'text 2'
      SELECT count(*) FROM t NOT INDEXED WHERE a = 3
      CREATE VIEW v (x, y) AS SELECT a, count(*) FROM t GROUP BY a
      CREATE VIEW v AS SELECT 1
      CREATE TEMP VIEW w AS SELECT * FROM v WHERE y > 29
      SELECT * FROM v ORDER BY x
      SELECT * FROM w ORDER BY x
      INSERT INTO v VALUES (1, 2)
      CREATE VIEW broken AS SELECT * FROM nothing
      SELECT * FROM broken
      DROP VIEW broken
      DROP TABLE v
      DROP INDEX t_a
      DROP INDEX t_a
      REINDEX
      REINDEX t_ab
      REINDEX nothing
      PRAGMA integrity_check
      VACUUM
      PRAGMA integrity_check
      SELECT count(*), sum(a), sum(c) FROM t
    `),
    ...Array.from(
      { length: 34 },
      (_, a) => `SELECT count(*), min(b), max(c) FROM t WHERE a = ${a} OR a + length(b) = ${a}`,
    ),
    ...Array.from(
      { length: 24 },
      (_, b) => `SELECT id FROM t WHERE b = 'text ${b}' AND a > 10 ORDER BY c DESC LIMIT 3`,
    ),
    ...Array.from(
      { length: 30 },
      (_, id) => `SELECT b FROM t WHERE id BETWEEN ${id * 15} AND ${id * 15 + 9} ORDER BY lower(b), id`,
    ),
  ],
};

const large: Chapter = {
  name: 'large values and VACUUM',
  statements: [
    'CREATE TABLE t (id INTEGER PRIMARY KEY, v)',
    ...[1, 500, 4000, 4096, 5000, 70_000, 300_000].flatMap((bytes) => [
      `INSERT INTO t (v) VALUES (zeroblob(${bytes}))`,
      `INSERT INTO t (v) VALUES (printf('%.*c', ${bytes}, 'x'))`,
      'SELECT id, typeof(v), length(v), substr(v, -5) FROM t',
    ]),
    'UPDATE t SET v = v || v WHERE id < 6',
    'DELETE FROM t WHERE id % 2',
    'PRAGMA integrity_check',
    'VACUUM',
    'SELECT id, length(v) FROM t',
    'PRAGMA freelist_count',
    'BEGIN',
    'VACUUM',
    'COMMIT',
    'PRAGMA user_version',
    'PRAGMA user_version = 77',
    'PRAGMA application_id = 12',
    'PRAGMA user_version',
    'PRAGMA application_id',
    'PRAGMA encoding',
    'SELECT length(zeroblob(2000000000))',
    "SELECT hex(substr(zeroblob(1000) || x'01', -2))",
  ],
};

/** Everything about schemas. */
export const schemas: readonly Chapter[] = [tables, alterations, indexes, large];
