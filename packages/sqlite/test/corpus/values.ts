import { type Chapter, pairs } from './chapter.ts';

// Values, what columns make of them, and operators between them.

const literals = [
  'NULL',
  '0',
  '1',
  '-1',
  '42',
  '9007199254740993',
  '9223372036854775807',
  '-9223372036854775808',
  '0x7fffffff',
  '0.0',
  '-0.0',
  '1.5',
  '1e300',
  '-1e-300',
  '9e999',
  "''",
  "'a'",
  "'A'",
  "'42'",
  "' 42 '",
  "'4.20e1'",
  "'0x1F'",
  "'12abc'",
  "'ünïcödé 🚀'",
  "x''",
  "x'00'",
  "x'3432'",
  "x'ff00ff'",
  'zeroblob(3)',
  'TRUE',
];
const declaredTypes = [
  '',
  'INTEGER',
  'INT',
  'REAL',
  'DOUBLE PRECISION',
  'TEXT',
  'VARCHAR(5)',
  'BLOB',
  'NUMERIC',
  'DECIMAL(10,5)',
  'BOOLEAN',
  'DATE',
];
const few = ['NULL', '0', '-7', '3', '9223372036854775807', '2.5', '-0.0', "'3'", "'abc'", "x'61'", "'-2.5e0'"];
const operators = [
  '+',
  '-',
  '*',
  '/',
  '%',
  '||',
  '&',
  '|',
  '<<',
  '>>',
  '=',
  '<',
  '<>',
  'IS',
  'AND',
  'OR',
  'LIKE',
  'GLOB',
  '->>',
];

const affinity: Chapter[] = declaredTypes.map((type) => ({
  name: `affinity of ${type === '' ? 'no type' : type}`,
  statements: [
    `CREATE TABLE t (id INTEGER PRIMARY KEY, v ${type})`,
    ...literals.map((literal) => `INSERT INTO t (v) VALUES (${literal})`),
    'SELECT id, v, typeof(v), quote(v), length(v) FROM t',
    'SELECT id FROM t ORDER BY v, id',
    'SELECT id FROM t ORDER BY v DESC NULLS LAST, id',
    'SELECT typeof(v), count(*), min(v), max(v) FROM t GROUP BY typeof(v) ORDER BY 1',
    'SELECT DISTINCT v FROM t ORDER BY 1',
    ...literals.map((literal) => `SELECT id FROM t WHERE v = ${literal} ORDER BY id`),
    'CREATE INDEX t_v ON t (v)',
    ...literals.map((literal) => `SELECT id FROM t WHERE v >= ${literal} ORDER BY id`),
    'UPDATE t SET v = CAST(v AS TEXT) WHERE id % 2',
    'SELECT id, v, typeof(v) FROM t',
  ],
}));

const casts: Chapter = {
  name: 'casts',
  statements: pairs(literals, ['INTEGER', 'REAL', 'TEXT', 'BLOB', 'NUMERIC']).map(
    ([literal, type]) => `SELECT CAST(${literal} AS ${type}), typeof(CAST(${literal} AS ${type}))`,
  ),
};

const arithmetic: Chapter = {
  name: 'operators',
  statements: pairs(few, few).flatMap(([left, right]) =>
    operators.map(
      (operator) => `SELECT ${left} ${operator} ${right} AS v, typeof(${left} ${operator} ${right}) AS type`,
    ),
  ),
};

const unary: Chapter = {
  name: 'prefixes and postfixes',
  statements: literals.flatMap((literal) => [
    `SELECT -${literal}, +${literal}, ~${literal}, NOT ${literal}`,
    `SELECT ${literal} ISNULL, ${literal} NOTNULL, ${literal} IS TRUE, ${literal} IS NOT FALSE`,
    `SELECT ${literal} BETWEEN 0 AND 100, ${literal} IN (1, '42', x'00', NULL), ${literal} NOT IN (0, 1)`,
    `SELECT CASE ${literal} WHEN 42 THEN 'number' WHEN '42' THEN 'text' WHEN NULL THEN 'never' ELSE 'else' END`,
    `SELECT ${literal} COLLATE NOCASE = 'a', ${literal} LIKE '%4_%' ESCAPE '4'`,
  ]),
};

/** Everything about values. */
export const values: readonly Chapter[] = [...affinity, casts, arithmetic, unary];
