import { type Chapter, lines } from './chapter.ts';

// Statements that are wrong: code and message are what a client gets to see.

const errorsOfText: Chapter = {
  name: 'errors',
  statements: [
    'CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)',
    ...lines(`
      SELEC 1
      SELECT
      SELECT 1 +
      SELECT (1
      SELECT 1)
      SELECT 'open
      SELECT "open
      SELECT x'0'
      SELECT x'zz'
      SELECT 1 2
      SELECT * FROM
      SELECT * FROM nothing
      SELECT nothing FROM t
      SELECT t.nothing FROM t
      SELECT other.id FROM t
      SELECT id FROM t AS a, t AS b
      SELECT nothing(1)
      SELECT length()
      SELECT load_extension('x')
      SELECT length(1, 2)
      SELECT count(*) FROM t WHERE count(*) > 1
      SELECT max(count(*)) FROM t
      SELECT * FROM t GROUP BY 9
      SELECT * FROM t ORDER BY 9
      SELECT 1 UNION SELECT 1, 2
      SELECT * FROM t LIMIT 1 UNION SELECT 1, 2
      SELECT abs(-9223372036854775808)
      SELECT 9223372036854775807 + 1
      SELECT -9223372036854775808 / -1
      SELECT 1 / 0, 1 % 0, 1.0 / 0
      SELECT 9223372036854775808
      SELECT 99999999999999999999 = 1e20
      SELECT sum(9223372036854775807) OVER () FROM t
      SELECT '1' LIKE '1' ESCAPE '12'
      SELECT zeroblob(-1), randomblob(0) IS NULL
      SELECT 1 COLLATE nothing
      SELECT RAISE(ABORT, 'x')
      SELECT json('{')
      SELECT json_extract('{}', 'a')
      INSERT INTO t VALUES (1)
      INSERT INTO t VALUES (1, 2, 3)
      INSERT INTO t (id, id) VALUES (1, 2)
      INSERT INTO t (nope) VALUES (1)
      INSERT INTO nothing VALUES (1)
      INSERT INTO t VALUES ('text', 1)
      INSERT INTO t VALUES (1.5, 1)
      INSERT INTO t VALUES (1, 'one')
      INSERT INTO t VALUES (1, 'one')
      UPDATE t SET id = 'x'
      UPDATE t SET id = NULL
      UPDATE nothing SET a = 1
      UPDATE sqlite_schema SET sql = ''
      DELETE FROM sqlite_schema
      DELETE FROM nothing
      DROP TABLE nothing
      DROP VIEW t
      DROP INDEX nothing
      CREATE TABLE u (a, CHECK (nothing > 1))
      CREATE TABLE u (a CHECK (a IN (SELECT 1)))
      CREATE TABLE u (a REFERENCES)
      CREATE INDEX i ON nothing (a)
      CREATE TRIGGER t AFTER INSERT ON t BEGIN END
      CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT nothing; END
      INSERT INTO t VALUES (2, 'fires x')
      DROP TRIGGER x
      COMMIT
      ROLLBACK
      RELEASE nothing
      ROLLBACK TO nothing
      SAVEPOINT
      BEGIN SOMETHING
      EXPLAIN SELECT nothing
      PRAGMA table_info(nothing)
      WITH x AS (SELECT 1) SELECT * FROM y
      WITH RECURSIVE x AS (SELECT * FROM x) SELECT * FROM x
      VALUES (1), (1, 2)
      SELECT CASE END
      SELECT CAST(1 AS)
      SELECT 1 IN (SELECT 1, 2)
      SELECT (1, 2) = (1, 2, 3)
      SELECT (1, 2)
      SELECT likelihood(1, 2)
      SELECT printf('%s')
      SELECT group_concat(DISTINCT v, '-') FROM t
      SELECT ?, :a
      SELECT ?1000000
      SELECT "double quoted"
      SELECT * FROM t WHERE v MATCH 'x'
      SELECT * FROM t WHERE v REGEXP 'x'
    `),
    ...Array.from({ length: 40 }, (_, depth) => `SELECT ${'('.repeat(depth * 5)}1${')'.repeat(depth * 5)}`),
    ...Array.from({ length: 12 }, (_, power) => `SELECT 1${' UNION ALL SELECT 1'.repeat(2 ** power - 1)}`),
    ...Array.from(
      { length: 12 },
      (_, power) => `SELECT ${Array.from({ length: 2 ** power }, (_unused, column) => column).join(', ')}`,
    ),
    ...Array.from({ length: 12 }, (_, power) => `SELECT ${'1 + '.repeat(2 ** power)}1`),
  ],
};

/** Everything about errors. */
export const errors: readonly Chapter[] = [errorsOfText];

/** What SQLite would do and the node does not: it reaches other files, or weakens what makes transactions last. */
export const refused: readonly string[] = lines(`
  ATTACH 'other.db' AS other
  ATTACH ':memory:' AS other
  DETACH main
  PRAGMA journal_mode = WAL
  PRAGMA journal_mode(DELETE)
  PRAGMA synchronous = OFF
  PRAGMA locking_mode = EXCLUSIVE
  PRAGMA page_size = 512
  PRAGMA encoding = 'UTF-16'
  PRAGMA auto_vacuum = FULL
  PRAGMA max_page_count = 10
  PRAGMA mmap_size = 1000000
  PRAGMA writable_schema = ON
  PRAGMA schema_version = 7
  PRAGMA temp_store = FILE
  PRAGMA temp_store_directory = '/'
  PRAGMA trusted_schema = ON
  PRAGMA wal_checkpoint
  PRAGMA main.synchronous = 0
  PRAGMA read_uncommitted = 1
  PRAGMA secure_delete = 1
  PRAGMA soft_heap_limit = 1
  PRAGMA nonsense
`);
