import { type Chapter, lines, pairs } from './chapter.ts';

// Statements that write: conflicts, upserts, RETURNING, triggers, foreign keys, savepoints.

const look = 'SELECT *, changes(), last_insert_rowid() FROM t ORDER BY 1';
const resolutions = ['', 'OR ABORT', 'OR FAIL', 'OR IGNORE', 'OR REPLACE', 'OR ROLLBACK'];
const violations = [
  "(1, 'one again', 1)",
  "(7, 'two', 1)",
  '(8, NULL, 1)',
  "(9, 'nine', -1)",
  "(10, 'ten', 1), (1, 'eleven', 1), (12, 'twelve', 1)",
  "('x', 'text id', 1)",
  "(NULL, 'automatic', NULL)",
];
const conflicts: Chapter[] = resolutions.map((resolution) => ({
  name: `conflicts, ${resolution}`,
  statements: [
    'CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, n INT CHECK (n > 0))',
    "INSERT INTO t VALUES (1, 'one', 1), (2, 'two', 2), (3, 'three', 3)",
    ...violations.flatMap((rows) => [
      `INSERT ${resolution} INTO t VALUES ${rows}`,
      look,
      'BEGIN',
      "INSERT OR IGNORE INTO t VALUES (50, 'fifty', 50)",
      `INSERT ${resolution} INTO t VALUES ${rows}`,
      'COMMIT',
      look,
    ]),
    `UPDATE ${resolution} t SET name = 'same'`,
    `UPDATE ${resolution} t SET id = 3 WHERE id = 2`,
    `UPDATE ${resolution} t SET name = NULL, n = n + 1`,
    look,
    'PRAGMA integrity_check',
  ],
}));

const targets = ['', '(id)', '(name)', '(name) WHERE n > 1', '(n)', '(id, name)'];
const actions = [
  'DO NOTHING',
  'DO UPDATE SET n = n + 1',
  "DO UPDATE SET name = excluded.name || '!', n = excluded.n",
  'DO UPDATE SET n = n * 10 WHERE t.n < 3',
  'DO UPDATE SET id = id + 100',
];
const upserts: Chapter = {
  name: 'upserts',
  statements: [
    'CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE, n INT)',
    "INSERT INTO t VALUES (1, 'one', 1), (2, 'two', 2)",
    ...pairs(targets, actions).flatMap(([target, action]) => [
      `INSERT INTO t VALUES (1, 'uno', 9) ON CONFLICT ${target} ${action}`,
      `INSERT INTO t VALUES (5, 'two', 9) ON CONFLICT ${target} ${action} RETURNING *`,
      look,
    ]),
    "INSERT INTO t VALUES (1, 'two', 3) ON CONFLICT (id) DO UPDATE SET n = -1 ON CONFLICT (name) DO UPDATE SET n = -2 RETURNING id, n",
    "INSERT INTO t SELECT 2, 'x', 5 WHERE true ON CONFLICT DO NOTHING",
    look,
  ],
};

const returning: Chapter = {
  name: 'RETURNING and UPDATE FROM',
  statements: [
    'CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, n INT DEFAULT 7)',
    'CREATE TABLE s (id INTEGER PRIMARY KEY, v TEXT)',
    ...Array.from(
      { length: 60 },
      (_, index) => `INSERT INTO t (v, n) VALUES ('row ${index}', ${index * 3}) RETURNING id, v || '?', n % 4 AS rest`,
    ),
    ...Array.from({ length: 20 }, (_, index) => `INSERT INTO s VALUES (${index * 3}, 'source ${index}')`),
    ...lines(`
      INSERT INTO t DEFAULT VALUES RETURNING *
      UPDATE t SET v = s.v FROM s WHERE s.id = t.id RETURNING t.id, t.v
      UPDATE t SET (v, n) = (SELECT v, id FROM s WHERE s.id = t.id) WHERE id < 10 RETURNING *
      UPDATE t SET n = n + 1 WHERE 0 RETURNING *
      DELETE FROM t WHERE id IN (SELECT id FROM s) RETURNING id
      DELETE FROM t WHERE n > 100
      REPLACE INTO t (id, v) VALUES (1, 'replaced') RETURNING *
      INSERT INTO t (id, v) VALUES (1, 'conflict') RETURNING *
      INSERT INTO t (v) VALUES ('x') RETURNING nope
      UPDATE t SET nope = 1
      UPDATE t SET n = (SELECT count(*) FROM t)
      SELECT *, changes(), total_changes() FROM t ORDER BY id
      DELETE FROM t
      SELECT changes(), count(*) FROM t
    `),
  ],
};

const triggers: Chapter = {
  name: 'triggers',
  statements: [
    'CREATE TABLE t (id INTEGER PRIMARY KEY, v INT)',
    'CREATE TABLE log (id INTEGER PRIMARY KEY, what TEXT, old INT, new INT)',
    'CREATE VIEW doubled AS SELECT id, v * 2 AS v FROM t',
    ...pairs(['BEFORE', 'AFTER'], ['INSERT', 'UPDATE', 'DELETE']).map(
      ([time, event]) =>
        `CREATE TRIGGER ${time}_${event} ${time} ${event} ON t BEGIN INSERT INTO log (what, old, new) VALUES ('${time} ${event}', ${event === 'INSERT' ? 'NULL' : 'old.v'}, ${event === 'DELETE' ? 'NULL' : 'new.v'}); END`,
    ),
    "CREATE TRIGGER of_v AFTER UPDATE OF v ON t WHEN new.v > 100 BEGIN SELECT RAISE(ABORT, 'too large'); END",
    'CREATE TRIGGER skip BEFORE INSERT ON t WHEN new.v = 13 BEGIN SELECT RAISE(IGNORE); END',
    "CREATE TRIGGER refuse BEFORE DELETE ON t WHEN old.v = 7 BEGIN SELECT RAISE(FAIL, 'seven stays'); END",
    'CREATE TRIGGER instead INSTEAD OF INSERT ON doubled BEGIN INSERT INTO t VALUES (new.id, new.v / 2); END',
    ...Array.from({ length: 20 }, (_, v) => `INSERT INTO t (v) VALUES (${v})`),
    'SELECT changes(), total_changes(), last_insert_rowid()',
    ...Array.from({ length: 20 }, (_, v) => `UPDATE t SET v = v * 10 WHERE id = ${v}`),
    ...Array.from({ length: 20 }, (_, v) => `DELETE FROM t WHERE id = ${v}`),
    'INSERT INTO doubled VALUES (500, 84)',
    'UPDATE doubled SET v = 1',
    'DELETE FROM doubled',
    'SELECT * FROM t ORDER BY id',
    'SELECT * FROM log ORDER BY id',
    'PRAGMA recursive_triggers = 1',
    'CREATE TABLE r (n INT)',
    'CREATE TRIGGER deep AFTER INSERT ON r WHEN new.n < 50 BEGIN INSERT INTO r VALUES (new.n + 1); END',
    'INSERT INTO r VALUES (1)',
    'SELECT count(*), max(n), changes(), total_changes(), last_insert_rowid() FROM r',
    'DROP TRIGGER skip',
    'DROP TRIGGER skip',
    'CREATE TRIGGER wrong AFTER INSERT ON nothing BEGIN SELECT 1; END',
    'CREATE TRIGGER wrong INSTEAD OF INSERT ON t BEGIN SELECT 1; END',
  ],
};

const keyActions = ['CASCADE', 'SET NULL', 'SET DEFAULT', 'RESTRICT', 'NO ACTION'];
const foreignKeys: Chapter[] = pairs(keyActions, ['', 'DEFERRABLE INITIALLY DEFERRED']).map(([action, deferred]) => ({
  name: `foreign keys, ${action} ${deferred}`,
  statements: [
    'PRAGMA foreign_keys = ON',
    'PRAGMA foreign_keys',
    'CREATE TABLE parent (id INTEGER PRIMARY KEY, code TEXT UNIQUE)',
    `CREATE TABLE child (id INTEGER PRIMARY KEY, parent INT DEFAULT 1 REFERENCES parent ON DELETE ${action} ON UPDATE ${action} ${deferred})`,
    "INSERT INTO parent VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd')",
    'INSERT INTO child VALUES (10, 1), (20, 2), (21, 2), (30, 3), (40, NULL)',
    'INSERT INTO child VALUES (50, 99)',
    'DELETE FROM parent WHERE id = 2',
    'UPDATE parent SET id = 33 WHERE id = 3',
    'SELECT *, changes() FROM child ORDER BY id',
    'BEGIN',
    'INSERT INTO child VALUES (60, 66)',
    'PRAGMA foreign_key_check',
    "INSERT INTO parent VALUES (66, 'z')",
    'COMMIT',
    'BEGIN',
    'DELETE FROM parent WHERE id = 66',
    'COMMIT',
    'ROLLBACK',
    'DROP TABLE parent',
    'PRAGMA foreign_key_list(child)',
    'SELECT * FROM child ORDER BY id',
    'PRAGMA foreign_keys = OFF',
    'DELETE FROM parent',
    'PRAGMA foreign_key_check(child)',
  ],
}));

const transactions: Chapter = {
  name: 'transactions and savepoints',
  statements: [
    'CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)',
    ...['BEGIN', 'BEGIN DEFERRED', 'BEGIN IMMEDIATE', 'BEGIN EXCLUSIVE'].flatMap((begin, number) =>
      ['COMMIT', 'END', 'ROLLBACK'].flatMap((end) => [
        begin,
        begin,
        `INSERT INTO t (v) VALUES ('${number} ${end}')`,
        'SAVEPOINT one',
        'UPDATE t SET v = v || 1',
        'SAVEPOINT two',
        'DELETE FROM t WHERE id % 2',
        'ROLLBACK TO two',
        'SELECT * FROM t',
        'RELEASE two',
        'RELEASE two',
        'ROLLBACK TO one',
        'SELECT count(*), max(v), changes(), total_changes() FROM t',
        end,
        end,
        'SELECT * FROM t',
      ]),
    ),
    'SAVEPOINT outer_one',
    'CREATE TABLE u (v)',
    'INSERT INTO u VALUES (1)',
    'ROLLBACK TO outer_one',
    'SELECT * FROM u',
    'RELEASE outer_one',
    'RELEASE nothing',
    'SELECT name FROM sqlite_schema',
  ],
};

/** Everything about statements that write. */
export const changes: readonly Chapter[] = [...conflicts, upserts, returning, triggers, ...foreignKeys, transactions];
