// A table that has a column of every type that PostgreSQL lets a table have, with the values that decoders get wrong.

/** The schema of the table and of the types that are made for it. */
export const everyTypeSchema = 'types';

type Column = { readonly name: string; readonly type: string; readonly values: readonly string[] };

const long = 'Größe \u{1f600} '.repeat(4000);
const awkward = 'a\tb\nc\r\\N "quoted" \'single\' {x,y} (a,b) \u0001\u007f \u{1f600}é';

/** Types by name and texts of their values, as a client would write them. */
const scalars: Readonly<Record<string, readonly string[]>> = {
  boolean: ['true', 'false'],
  smallint: ['-32768', '0', '32767'],
  integer: ['-2147483648', '0', '2147483647'],
  bigint: ['-9223372036854775808', '9007199254740993', '9223372036854775807', '0'],
  oid: ['0', '4294967295'],
  xid: ['3', '4294967295'],
  xid8: ['18446744073709551615'],
  cid: ['7'],
  tid: ['(4294967295,65535)'],
  numeric: [
    ...['NaN', 'Infinity', '-Infinity', '0', '-0.000', '1.500', '12345678901234567890.12345678901234567890'],
    ...[`1${'0'.repeat(300)}`, `0.${'0'.repeat(200)}1`],
  ],
  'numeric(10,2)': ['-99999999.99', '0.10', 'NaN'],
  'numeric(3,-2)': ['99900', '-100'],
  real: ['NaN', 'Infinity', '-Infinity', '-0', '1e-45', '3.4028235e38', '0.1', '16777217'],
  'double precision': [
    ...['NaN', 'Infinity', '-Infinity', '-0', '5e-324', '1.7976931348623157e308', '0.1', '1e21', '-1e-7', '123456.789'],
  ],
  money: ['-92233720368547758.08', '1234567.89', '0'],
  text: ['', ' ', 'NULL', '\\N', '\\.', awkward, long, '{"not":"json"}'],
  'varchar(20)': ['', 'twenty characters ok', 'é'],
  'char(8)': ['', 'pad', '12345678', ' x'],
  '"char"': ['a', '', '\\377'],
  name: ['', 'CamelCase name', 'x'.repeat(63)],
  bytea: ['\\x', '\\x00ff5c0a2c', `\\x${'00112233445566778899aabbccddeeff'.repeat(600)}`],
  date: ['4713-01-01 BC', '0044-03-15 BC', '0001-01-01', '2000-02-29', '5874897-12-31', 'infinity', '-infinity'],
  time: ['00:00:00', '23:59:59.999999', '24:00:00', '12:00:00.1'],
  timetz: ['00:00:00+15:59', '24:00:00-15:59', '12:34:56.789+05:30'],
  timestamp: [
    ...['4713-01-01 00:00:00 BC', '0001-01-01 00:00:00', '2026-11-21 12:00:00.000001', '2026-11-21 12:00:00.1'],
    ...['294276-12-31 23:59:59.999999', 'infinity', '-infinity', '10000-01-01 00:00:00'],
  ],
  timestamptz: [
    ...['4713-01-01 00:00:00+00 BC', '0044-03-15 12:00:00.5+00 BC', '2026-11-21 12:00:00.000001+14', 'infinity'],
    ...['294276-12-31 23:59:59.999999+00', '-infinity', '1900-01-01 00:00:00+00:19:32', '2026-03-29 02:30:00+02'],
  ],
  'timestamp(0)': ['2026-11-21 12:00:00.6'],
  interval: [
    ...['0', '-1 year -2 mons +3 days -04:05:06.789', '178000000 years', '1 day 24:00:00', '-00:00:00.000001'],
  ],
  'interval day to second(3)': ['3 days 04:05:06.7891'],
  uuid: ['00000000-0000-0000-0000-000000000000', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'],
  inet: ['192.0.2.1', '192.0.2.1/24', '::1', '2001:db8::ffff/64', '::ffff:1.2.3.4'],
  cidr: ['192.0.2.0/24', '2001:db8::/32', '0.0.0.0/0'],
  macaddr: ['08:00:2b:01:02:03'],
  macaddr8: ['08:00:2b:01:02:03:04:05'],
  'bit(5)': ['00000', '10101'],
  'bit varying': ['', '1', '0'.repeat(70)],
  json: [
    ...['null', '0', '"text"', '[]', '{}', '{ "b" : 1,\n "a" : [1.0, 1e400, -0, 0.10000000000000000001] }'],
    ...['{"a":1,"a":2}', '"\\u00e9\\ud83d\\ude00"', `{"long":"${'x'.repeat(9000)}"}`],
  ],
  jsonb: [
    ...['null', 'true', '[]', '{}', '{"b": 12345678901234567890.1234567890, "a": {"": [null, 1.50, 1E-20]}}'],
    ...['"\\"\\\\\\/\\b\\f\\n\\r\\t"', `["${'y'.repeat(9000)}"]`],
  ],
  jsonpath: ['$."a"[*]?(@ > 1)'],
  xml: ['<a b="c">text &amp; more</a>', 'content without a root'],
  tsvector: ["'a':1A 'cat''s':2,5 'x y':3B", ''],
  tsquery: ["'fat' & ( 'rat' | !'cat':*A )"],
  point: ['(1.5,-2)', '(NaN,Infinity)'],
  line: ['{1,-1,0.5}'],
  lseg: ['[(0,0),(1,1)]'],
  box: ['(1,1),(0,0)'],
  path: ['((0,0),(1,1))', '[(0,0),(1,1)]'],
  polygon: ['((0,0),(1,1),(1,0))'],
  circle: ['<(0,0),1.5>'],
  pg_lsn: ['0/0', 'FFFFFFFF/FFFFFFFF'],
  pg_snapshot: ['10:20:10,14,15'],
  txid_snapshot: ['10:20:'],
  regclass: ['pg_catalog.pg_class', `${everyTypeSchema}."Mood swings"`],
  regtype: ['integer', 'pg_catalog."char"'],
  regproc: ['pg_catalog.now'],
  regprocedure: ['pg_catalog.sqrt(double precision)'],
  regoper: ['pg_catalog.!!'],
  regoperator: ['+(integer,integer)'],
  regcollation: ['"C"'],
  regconfig: ['simple'],
  regdictionary: ['simple'],
  regrole: ['postgres'],
  regnamespace: ['pg_catalog'],
  refcursor: ['a cursor'],
  int2vector: ['1 2 3', ''],
  oidvector: ['1 2 3'],
  aclitem: ['postgres=arwdDxt/postgres'],
};

const ranges: Readonly<Record<string, readonly string[]>> = {
  int4range: ['empty', '(,)', '[1,5)', '(,5]'],
  int8range: ['[-9223372036854775808,9223372036854775806]'],
  numrange: ['(1.10,2.200]', '(NaN,)', 'empty'],
  tsrange: ['["2026-11-21 12:00:00","infinity")', '(,"0044-03-15 00:00:00 BC"]'],
  tstzrange: ['("2026-11-21 12:00:00+05","2026-11-22 12:00:00+05"]'],
  daterange: ['[2026-01-01,2026-02-01)', '(,infinity)'],
  int4multirange: ['{}', '{[1,2],[5,7)}'],
  int8multirange: ['{[9007199254740993,9007199254740995)}'],
  tsmultirange: ['{["2026-01-01 00:00:00","infinity")}'],
  datemultirange: ['{}', '{[2026-01-01,2026-02-01)}'],
  nummultirange: ['{(,1.5],[3,)}'],
  tstzmultirange: ['{["2026-01-01 00:00:00+00","2026-01-02 00:00:00+00")}'],
};

const arrays: Readonly<Record<string, readonly string[]>> = {
  'boolean[]': ['{t,f,NULL}'],
  'integer[]': ['{}', '{1,NULL,3}', '{{1,2},{3,4}}', '{{{1},{2}},{{3},{4}}}', '[0:1]={5,6}', '[-2:-1][3:3]={{1},{2}}'],
  'bigint[]': ['{9007199254740993,NULL}'],
  'numeric[]': ['{NaN,1.50,-Infinity}'],
  'double precision[]': ['{NaN,-0,1e300,Infinity}'],
  'text[]': [`{"",NULL,"NULL","a,b","{x}","q\\"q","b\\\\b"," sp ","new\nline",é}`, '{{a,b},{NULL,""}}', '{}'],
  'char(3)[]': ['{a,"  b"}'],
  'bytea[]': ['{"\\\\x00ff",NULL,"\\\\x"}'],
  'date[]': ['{"0044-03-15 BC",infinity,2026-11-21}'],
  'timestamp[]': ['{"2026-11-21 12:00:00",infinity}'],
  'timestamptz[]': ['{"2026-11-21 12:00:00+05",-infinity,NULL}'],
  'interval[]': ['{"1 day -00:00:01",NULL}'],
  'json[]': ['{"{\\"a\\": [1, 2]}","null",NULL}'],
  'jsonb[]': ['{"{\\"a\\": \\"x,y\\"}","\\"s\\"",NULL}'],
  'uuid[]': ['{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'],
  'inet[]': ['{192.0.2.1/24,::1}'],
  'bit(3)[]': ['{101,000}'],
  'box[]': ['{(1,1),(0,0);(2,2),(1,1)}'],
  'int4range[]': ['{"[1,5)",empty,NULL}'],
  'xml[]': ['{"<a b=\\"c\\"/>"}'],
  'tsvector[]': [`{"'a':1 'b':2"}`],
};

/** In the schema, whose name is left out here. */
const made: Readonly<Record<string, readonly string[]>> = {
  mood: ['sad', 'so so, "really"', ''],
  'mood[]': ['{sad,"so so, \\"really\\"",NULL,""}'],
  positive: ['1', '2147483647'],
  'positive[]': ['{1,NULL}'],
  label: ['', 'x'],
  tags: ['{}', '{a,NULL,"b,c"}', '{{a},{b}}'],
  moment: ['2026-11-21 12:00:00+05'],
  pair: ['(1,"a ""b"" \\\\ c, d")', '(,)', '(,"")', '(5,"(6,7)")'],
  'pair[]': ['{"(1,a)",NULL,"(,\\"x,y\\")"}', '{}'],
  nested: [
    '("(1,""x"")","{1,NULL}","{""(2,b)"",NULL}",sad,"2026-11-21 12:00:00+05","{""k"": [1]}","\\\\x00ff",t,1.50)',
    '(,,,,,,,,)',
  ],
  'nested[]': ['{"(\\"(1,x)\\",\\"{}\\",\\"{}\\",,,,,f,NaN)"}'],
  texts: ['["a","b,c")', 'empty', '(,"]"]'],
};

const extensions: Readonly<Record<string, readonly string[]>> = {
  hstore: ['', '"a"=>"1", "b c"=>NULL, "q\\""=>""'],
  'hstore[]': ['{"\\"a\\"=>\\"1\\"",NULL}'],
  citext: ['MiXed', ''],
  'citext[]': ['{A,NULL,"b c"}'],
};

function columnsOf(types: Readonly<Record<string, readonly string[]>>, isOurs: boolean): Column[] {
  return Object.entries(types).map(([type, values]) => ({
    name: nameOfType(type),
    type: isOurs ? `${everyTypeSchema}.${type}` : type,
    values,
  }));
}

/** `double precision[]` is `double_precision_array`, `"char"` is `_char_`. */
function nameOfType(type: string): string {
  return type.replace('[]', '_array').replaceAll(/[^a-z0-9]+/g, '_');
}

/** All columns but the key, `id`, and the values that they have in turn. */
export const everyTypeColumns: readonly Column[] = [
  ...columnsOf(scalars, false),
  ...columnsOf(ranges, false),
  ...columnsOf(arrays, false),
  ...columnsOf(made, true),
  ...columnsOf(extensions, true),
];

/** Statements that make the schema `types`, its types and extensions and its empty table `types.every_type`. For a superuser. */
export const createEveryType: string = `
CREATE SCHEMA ${everyTypeSchema};
CREATE EXTENSION hstore SCHEMA ${everyTypeSchema};
CREATE EXTENSION citext SCHEMA ${everyTypeSchema};
SET search_path TO ${everyTypeSchema}, pg_catalog;
CREATE TYPE mood AS ENUM ('sad', 'so so, "really"', '');
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE DOMAIN label AS text;
CREATE DOMAIN tags AS text[];
CREATE DOMAIN moment AS timestamptz;
CREATE TYPE pair AS (number integer, text label);
CREATE TYPE nested AS (
  one pair, numbers positive[], pairs pair[], feeling mood, at moment, data jsonb, bytes bytea, flag boolean, amount numeric
);
CREATE TYPE texts AS RANGE (subtype = text, collation = "C");
CREATE TABLE "Mood swings" (id integer PRIMARY KEY);
RESET search_path;
CREATE TABLE ${everyTypeSchema}.every_type (
  id bigint PRIMARY KEY,
${everyTypeColumns.map(({ name, type }) => `  ${name} ${type}`).join(',\n')}
);
`;

/** How many rows show every value of every column; one more has NULLs alone. */
const rowCount: number = Math.max(...everyTypeColumns.map(({ values }) => values.length)) + 1;

/** A statement that inserts every value, in rows numbered from `firstId`; the last of them has NULLs. */
export function insertEveryType(firstId: number): string {
  const rows: string[] = [];
  for (let row = 0; row < rowCount; row++) {
    const fields = everyTypeColumns.map(({ values }) => {
      return row === rowCount - 1 ? 'NULL' : quote(values[row % values.length] as string);
    });
    rows.push(`(${[firstId + row, ...fields].join(', ')})`);
  }
  return `INSERT INTO ${everyTypeSchema}.every_type VALUES\n${rows.join(',\n')};\n`;
}

/** With E'', so that a newline or a backslash means the same whatever the server's settings are. */
function quote(text: string): string {
  return `E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}
