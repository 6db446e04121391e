import { type Chapter, lines, pairs } from './chapter.ts';

// Joins, subqueries, compounds, common table expressions, windows, collations.

const filled = [
  'CREATE TABLE a (id INTEGER PRIMARY KEY, k INT, v TEXT)',
  'CREATE TABLE b (id INTEGER PRIMARY KEY, k INT, w REAL)',
  "INSERT INTO a VALUES (1, 10, 'one'), (2, 20, 'two'), (3, NULL, 'three'), (4, 20, 'four'), (5, 50, NULL)",
  'INSERT INTO b VALUES (1, 20, 0.5), (2, 20, 1.5), (3, 30, 2.5), (4, NULL, 3.5), (5, 10, NULL)',
];
const kinds = ['JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN', 'CROSS JOIN', 'NATURAL JOIN', 'NATURAL LEFT JOIN'];
const conditions = ['ON a.k = b.k', 'ON a.id = b.id AND b.w > 1', 'USING (k)', 'USING (id, k)', 'ON a.k IS b.k', ''];
const joins: Chapter = {
  name: 'joins',
  statements: [
    ...filled,
    ...pairs(kinds, conditions).flatMap(([kind, condition]) => [
      `SELECT a.id, a.v, b.id, b.w FROM a ${kind} b ${condition} ORDER BY 1, 3`,
      `SELECT count(*), sum(w) FROM a ${kind} b ${condition} WHERE a.id > 1 OR b.id IS NULL`,
      `SELECT * FROM a ${kind} b ${condition} ORDER BY 1, 2, 3, 4 LIMIT 3 OFFSET 1`,
    ]),
    'CREATE INDEX b_k ON b (k, w)',
    ...pairs(kinds, conditions).map(
      ([kind, condition]) => `SELECT a.id, b.id FROM a ${kind} b ${condition} ORDER BY 1 DESC, 2 DESC`,
    ),
  ],
};

const compounds: Chapter = {
  name: 'compounds and subqueries',
  statements: [
    ...filled,
    ...['UNION', 'UNION ALL', 'INTERSECT', 'EXCEPT'].flatMap((operator) => [
      `SELECT k FROM a ${operator} SELECT k FROM b ORDER BY 1`,
      `SELECT k, id FROM a ${operator} SELECT k, id FROM b ORDER BY 2, 1 LIMIT 4`,
      `SELECT * FROM (SELECT k FROM a ${operator} SELECT k FROM b) WHERE k > 10 ORDER BY k`,
      `SELECT k FROM a ${operator} VALUES (20), (NULL), (99) ORDER BY k DESC`,
      `SELECT k FROM a ${operator} SELECT k, id FROM b`,
    ]),
    ...lines(`
      SELECT (SELECT max(w) FROM b WHERE b.k = a.k) FROM a ORDER BY id
      SELECT id FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.k = a.k) ORDER BY id
      SELECT id FROM a WHERE k IN (SELECT k FROM b) ORDER BY id
      SELECT id FROM a WHERE k NOT IN (SELECT k FROM b WHERE k IS NOT NULL) ORDER BY id
      SELECT id FROM a WHERE (id, k) IN (SELECT id, k FROM b UNION SELECT 2, 20) ORDER BY id
      SELECT id FROM a WHERE (k, id) > (10, 1) ORDER BY id
      SELECT (SELECT id, k FROM a)
      SELECT * FROM (VALUES (1, 'x'), (2, 'y')) ORDER BY column1 DESC
      SELECT DISTINCT k FROM a ORDER BY k NULLS LAST
      SELECT k, count(*) AS n FROM a GROUP BY 1 HAVING n > 1
      SELECT a.*, 'literal' AS "a name" FROM a ORDER BY id LIMIT 2
      SELECT id FROM a ORDER BY id LIMIT -1 OFFSET 3
      SELECT id FROM a LIMIT 'x'
      SELECT rowid, oid, _rowid_ FROM a ORDER BY rowid
      SELECT x.id FROM a AS x, a AS y WHERE x.id = y.k / 10 ORDER BY x.id
      EXPLAIN QUERY PLAN SELECT * FROM a WHERE id = 3
    `),
  ],
};

const expressions: Chapter = {
  name: 'common table expressions',
  statements: [
    'CREATE TABLE tree (id INTEGER PRIMARY KEY, parent INT REFERENCES tree, name TEXT)',
    "INSERT INTO tree VALUES (1, NULL, 'root'), (2, 1, 'left'), (3, 1, 'right'), (4, 2, 'leaf'), (5, 3, 'bud')",
    ...lines(`
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20) SELECT group_concat(i) FROM n
      WITH RECURSIVE n(i) AS (VALUES (1) UNION SELECT i * 2 % 37 FROM n) SELECT i FROM n ORDER BY i
      WITH RECURSIVE below(id, path) AS (SELECT id, name FROM tree WHERE parent IS NULL UNION ALL SELECT t.id, path || '/' || name FROM tree t JOIN below b ON t.parent = b.id) SELECT * FROM below ORDER BY path
      WITH RECURSIVE below(id, depth) AS (SELECT 1, 0 UNION ALL SELECT t.id, depth + 1 FROM tree t JOIN below b ON t.parent = b.id ORDER BY 2 DESC) SELECT id, depth FROM below
      WITH one AS MATERIALIZED (SELECT id FROM tree), two AS NOT MATERIALIZED (SELECT id FROM one WHERE id > 2) SELECT * FROM two ORDER BY 1
      WITH x AS (SELECT 1) SELECT * FROM x, x AS y
      WITH x(a, b) AS (SELECT 1) SELECT * FROM x
      WITH RECURSIVE fib(a, b) AS (SELECT 0, 1 UNION ALL SELECT b, a + b FROM fib LIMIT 60) SELECT a FROM fib
      WITH gone AS (SELECT id FROM tree WHERE name = 'bud') DELETE FROM tree WHERE id IN gone RETURNING id
      WITH more(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM more WHERE i < 15) INSERT INTO tree SELECT i, 1, 'new ' || i FROM more
      SELECT * FROM tree ORDER BY id
    `),
  ],
};

const windowCalls = [
  'row_number()',
  'rank()',
  'dense_rank()',
  'percent_rank()',
  'cume_dist()',
  'ntile(3)',
  'lag(n)',
  'lead(n, 2, -1)',
  'first_value(n)',
  'last_value(n)',
  'nth_value(n, 2)',
  'sum(n)',
  'count(*)',
  'avg(n)',
  'group_concat(n)',
  'max(n)',
];
const frames = [
  '',
  'ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING',
  'ROWS UNBOUNDED PRECEDING',
  'RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING',
  'GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW',
  'ROWS BETWEEN CURRENT ROW AND 2 FOLLOWING EXCLUDE CURRENT ROW',
  'GROUPS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW EXCLUDE TIES',
];
const windows: Chapter = {
  name: 'windows',
  statements: [
    'CREATE TABLE t (id INTEGER PRIMARY KEY, g TEXT, n INT)',
    "INSERT INTO t (g, n) VALUES ('a', 3), ('a', 1), ('a', 3), ('b', 2), ('b', NULL), ('c', 5), ('a', 4), ('c', 5), ('c', 1)",
    ...pairs(windowCalls, frames).flatMap(([call, frame]) => [
      `SELECT id, ${call} OVER (ORDER BY n ${frame}) FROM t ORDER BY id`,
      `SELECT id, ${call} OVER (PARTITION BY g ORDER BY n, id ${frame}) FROM t ORDER BY id`,
    ]),
    ...lines(`
      SELECT id, sum(n) OVER w, avg(n) OVER (w ROWS 1 PRECEDING) FROM t WINDOW w AS (PARTITION BY g ORDER BY id) ORDER BY id
      SELECT id, sum(n) FILTER (WHERE n > 1) OVER (ORDER BY id) FROM t
      SELECT id, sum(n) OVER (ORDER BY n RANGE BETWEEN 1 PRECEDING AND 1.5 FOLLOWING) FROM t ORDER BY id
      SELECT g, sum(sum(n)) OVER (ORDER BY g) FROM t GROUP BY g
      SELECT id FROM t WHERE row_number() OVER (ORDER BY id) > 2
      SELECT lag(n) FROM t
      SELECT sum(n) OVER (ORDER BY n ROWS BETWEEN -1 PRECEDING AND 1 FOLLOWING) FROM t
      SELECT id, ntile(0) OVER (ORDER BY id) FROM t
    `),
  ],
};

const collations: Chapter = {
  name: 'collations',
  statements: [
    'CREATE TABLE t (b TEXT COLLATE BINARY, n TEXT COLLATE NOCASE, r TEXT COLLATE RTRIM)',
    ...['a', 'A', 'a  ', 'b', 'B ', 'ä', 'Ä', '', 'Z', 'z'].map(
      (text) => `INSERT INTO t VALUES ('${text}', '${text}', '${text}')`,
    ),
    ...pairs(['b', 'n', 'r'], ['', 'COLLATE BINARY', 'COLLATE NOCASE', 'COLLATE RTRIM', 'COLLATE nothing']).flatMap(
      ([column, collation]) => [
        `SELECT ${column} FROM t ORDER BY ${column} ${collation}, rowid`,
        `SELECT count(*) FROM t GROUP BY ${column} ${collation} ORDER BY 1, min(rowid)`,
        `SELECT count(DISTINCT ${column} ${collation}) FROM t`,
        `SELECT rowid FROM t WHERE ${column} ${collation} = 'a' ORDER BY rowid`,
        `SELECT min(${column} ${collation}), max(${column} ${collation}) FROM t`,
        `SELECT rowid FROM t WHERE ${column} ${collation} BETWEEN 'A' AND 'b' ORDER BY rowid`,
        `SELECT rowid FROM t WHERE ${column} ${collation} IN ('A', 'b') ORDER BY rowid`,
      ],
    ),
    'CREATE UNIQUE INDEX t_n ON t (n)',
    'CREATE INDEX t_r ON t (r COLLATE NOCASE DESC)',
    "SELECT rowid FROM t WHERE r COLLATE NOCASE >= 'b' ORDER BY rowid",
    'PRAGMA collation_list',
  ],
};

/** Everything about queries. */
export const queries: readonly Chapter[] = [joins, compounds, expressions, windows, collations];
