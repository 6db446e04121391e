import { type Chapter, lines, pairs } from './chapter.ts';

// Functions of one row, dates, JSON, and functions of many rows.

const texts = [
  'NULL',
  "''",
  "'Hello, World'",
  "'ünïcödé 🚀 end'",
  "'a,b,,c'",
  '-12.5',
  '12345678901234',
  "x'68656c6c6f'",
];
const ofOne = [
  'abs(%)',
  'char(%)',
  'coalesce(%, 1)',
  'concat(%, 1, %)',
  "concat_ws('-', %, NULL, %)",
  "format('%%%', %)",
  'hex(%)',
  'ifnull(%, 2)',
  "iif(%, 'yes', 'no')",
  "instr(%, 'o')",
  'length(%)',
  'likelihood(%, 0.5)',
  'lower(%)',
  'ltrim(%)',
  "ltrim(%, 'He')",
  'max(%, 3)',
  'min(%, 3)',
  "nullif(%, '')",
  'octet_length(%)',
  'quote(%)',
  "replace(%, 'o', '00')",
  'round(%)',
  'round(%, 1)',
  'rtrim(%)',
  'sign(%)',
  'soundex(%)',
  'substr(%, 2)',
  'substr(%, -3, 2)',
  'substr(%, 0, 4)',
  "trim(%, 'aeHd')",
  'typeof(%)',
  'unhex(hex(%))',
  'unicode(%)',
  'upper(%)',
  'unistr(%)',
  'zeroblob(%)',
  'unlikely(%)',
];
const formats = [
  '%d',
  '%5d',
  '%-5d|',
  '%05d',
  '%+d',
  '%x',
  '%X',
  '%o',
  '%f',
  '%.2f',
  '%10.3e',
  '%g',
  '%s',
  '%10s',
  '%-10s|',
  '%.3s',
  '%q',
  '%Q',
  '%w',
  '%c',
  '%%',
  '%,d',
  '%!.15g',
  '%z',
];
const printed = ['0', '-17', '1234567.891', "'it''s'", 'NULL', '9223372036854775807'];
const mathematics = [
  'acos',
  'asin',
  'atan',
  'ceil',
  'cos',
  'degrees',
  'exp',
  'floor',
  'ln',
  'log',
  'log10',
  'log2',
  'radians',
  'sin',
  'sqrt',
  'tan',
  'tanh',
  'trunc',
];

const scalar: Chapter = {
  name: 'functions of one row',
  statements: [
    ...pairs(ofOne, texts).map(
      ([call, text]) =>
        `SELECT ${call.replaceAll('%%%', '\0').replaceAll('%', text).replaceAll('\0', '%s|%5.2f')} AS v`,
    ),
    ...pairs(formats, printed).map(([format, value]) => `SELECT printf('${format}', ${value})`),
    ...pairs(mathematics, ['0', '0.5', '-1', '10', "'x'", 'NULL']).map(([name, value]) => `SELECT ${name}(${value})`),
    ...lines(`
      SELECT mod(17, 5), mod(-17.5, 5), pow(2, 10), power(2, -1), pi(), atan2(1, 2), log(2, 8), mod(1, 0)
      SELECT glob('*a?', 'bab'), 'x' GLOB '[^a-c]', 'abc' GLOB '[a-c]*', like('A%', 'abc'), like('a\\%', 'a%', '\\')
      SELECT total_changes(), changes(), last_insert_rowid()
      SELECT likely(3), unlikely(NULL), nullif(1, 1), nullif(1, 2), iif(0, 1), iif(1, 2)
      SELECT sqlite_version() = sqlite_version(), length(sqlite_source_id()) > 20, sqlite_compileoption_used('ENABLE_FTS5')
    `),
  ],
};

const moments = [
  "'2024-02-29'",
  "'2024-02-29 12:34:56'",
  "'2024-02-29T12:34:56.789'",
  "'1969-12-31 23:59:59'",
  "'12:00'",
  '2460000.5',
  "'0000-01-01'",
  "'9999-12-31'",
  "'2024-13-01'",
  "'nonsense'",
  'NULL',
  "'2024-06-15 10:00:00+02:00'",
];
const modifiers = [
  "'+1 day'",
  "'-1 month'",
  "'+1 year'",
  "'start of month'",
  "'start of year'",
  "'weekday 0'",
  "'+1.5 hours'",
  "'-90 minutes'",
  "'unixepoch'",
  "'subsec'",
  "'+0001-02-03 04:05'",
  "'ceiling'",
  "'nonsense'",
];
const dates: Chapter = {
  name: 'dates',
  statements: [
    ...moments.flatMap((moment) =>
      ['date', 'time', 'datetime', 'julianday', 'unixepoch'].map((name) => `SELECT ${name}(${moment})`),
    ),
    ...pairs(moments, modifiers).map(([moment, modifier]) => `SELECT datetime(${moment}, ${modifier})`),
    ...[
      '%d',
      '%e',
      '%f',
      '%F',
      '%G-%V',
      '%H',
      '%I',
      '%j',
      '%J',
      '%k',
      '%l',
      '%m',
      '%M',
      '%p',
      '%P',
      '%R',
      '%s',
      '%S',
      '%T',
      '%u',
      '%U',
      '%w',
      '%W',
      '%Y',
      '%%',
      '%q',
    ].map((format) => `SELECT strftime('${format}', '2024-02-29 12:34:56.789')`),
    ...pairs(moments.slice(0, 6), moments.slice(0, 6)).map(([a, b]) => `SELECT timediff(${a}, ${b})`),
  ],
};

const documents = [
  `'{"a":1,"b":[1,2.5,"x",null,true],"c":{"d":"e"}}'`,
  "'[]'",
  "'[1,[2,[3]]]'",
  `'"text"'`,
  "'12'",
  "'null'",
  "'{bad'",
  "'{a:1,}'",
  'NULL',
  "x'13'",
];
const paths = ["'$'", "'$.a'", "'$.b[1]'", "'$.b[#-1]'", "'$.c.d'", "'$[1][0]'", "'$.missing'", "'bad'"];
const json: Chapter = {
  name: 'JSON',
  statements: [
    ...pairs(documents, paths).flatMap(([document, path]) => [
      `SELECT json_extract(${document}, ${path}), json_type(${document}, ${path})`,
      `SELECT ${document} -> ${path}, ${document} ->> ${path}`,
      `SELECT json_set(${document}, ${path}, 9), json_remove(${document}, ${path})`,
    ]),
    ...documents.flatMap((document) => [
      `SELECT json(${document})`,
      `SELECT json_valid(${document}), json_valid(${document}, 6), json_error_position(${document})`,
      `SELECT json_array_length(${document}), json_pretty(${document})`,
      `SELECT hex(jsonb(${document}))`,
      `SELECT key, value, type, atom, fullkey, path FROM json_each(${document})`,
      `SELECT key, value, type, fullkey FROM json_tree(${document})`,
      `SELECT json_patch(${document}, '{"a":null,"n":1}')`,
    ]),
    ...lines(`
      SELECT json_array(1, 'two', 3.0, NULL, json('[4]')), json_object('a', 1, 'b', json_array(2))
      SELECT json_quote('it"s'), json_quote(1.5), json_quote(NULL)
      SELECT json_insert('[1,2]', '$[#]', 3), json_replace('{"a":1}', '$.a', json('{"x":2}')), json_array_insert('[1,2]', '$[1]', 7)
      SELECT json_group_array(value), json_group_object(key, value) FROM json_each('{"x":1,"y":"z"}')
      SELECT json_object('a'), json_object(1, 2)
      SELECT json_array(x'00')
    `),
  ],
};

const aggregated = [
  'avg(n)',
  'count(*)',
  'count(n)',
  'count(DISTINCT n)',
  'group_concat(s)',
  "group_concat(s, '-')",
  "string_agg(s, '|' ORDER BY s DESC)",
  'max(n)',
  'min(s)',
  'sum(n)',
  'total(n)',
  'sum(DISTINCT n)',
  'median(n)',
  'percentile(n, 25)',
  'percentile_cont(n, 0.5)',
  'sum(n) FILTER (WHERE n > 2)',
  'max(s), n',
];
const aggregates: Chapter = {
  name: 'functions of many rows',
  statements: [
    'CREATE TABLE t (g TEXT, n NUMERIC, s TEXT)',
    "INSERT INTO t VALUES ('a', 1, 'x'), ('a', 2, 'y'), ('a', NULL, 'z'), ('b', 2.5, NULL), ('b', 2, 'w'), ('c', NULL, NULL), ('d', '7', 'q')",
    ...aggregated.flatMap((call) => [
      `SELECT ${call} FROM t`,
      `SELECT g, ${call} FROM t GROUP BY g ORDER BY g`,
      `SELECT ${call} FROM t WHERE 0`,
      `SELECT g, ${call} FROM t GROUP BY g HAVING count(*) > 1 ORDER BY g`,
    ]),
    'SELECT sum(v) FROM (SELECT 9223372036854775807 AS v UNION ALL SELECT 1)',
    'SELECT total(v) FROM (SELECT 9223372036854775807 AS v UNION ALL SELECT 1)',
    'SELECT g, sum(sum(n)) FROM t GROUP BY g',
  ],
};

/** Everything about functions. */
export const functions: readonly Chapter[] = [scalar, dates, json, aggregates];
