import { type Chapter, lines } from './chapter.ts';

// Virtual tables: full text, R-Trees, table-valued functions.

const words = ['snapshot', 'position', 'stream', 'replica', 'leader', 'log', 'entry', 'quorum', 'page', 'commit'];
const sentences = Array.from({ length: 60 }, (_, row) =>
  Array.from(
    { length: 6 },
    (_unused, word) => words[(row * 7 + word * word * 3 + (row % (word + 1))) % words.length],
  ).join(' '),
);
const asked = [
  ...words,
  'snap*',
  'log AND page',
  'leader OR quorum',
  'log NOT page',
  '"log page"',
  'NEAR(leader log, 3)',
  'title : log',
  '^leader',
  '(entry',
  'no-such',
  "''",
  'stream + replica',
];

const fullText: Chapter = {
  name: 'full text',
  statements: [
    "CREATE VIRTUAL TABLE f USING fts5(title, body, tokenize = 'porter unicode61', prefix = '2 3')",
    ...sentences.map((body, row) => `INSERT INTO f (title, body) VALUES ('${words[row % words.length]}', '${body}')`),
    ...asked.flatMap((query) => [
      `SELECT rowid FROM f WHERE f MATCH '${query.replaceAll("'", "''")}' ORDER BY rowid`,
      `SELECT rowid, round(bm25(f), 6) FROM f('${query.replaceAll("'", "''")}') ORDER BY rank, rowid LIMIT 5`,
      `SELECT highlight(f, 1, '<', '>'), snippet(f, 1, '[', ']', '…', 4) FROM f WHERE f MATCH '${query.replaceAll("'", "''")}' ORDER BY rowid LIMIT 2`,
    ]),
    ...lines(`
      UPDATE f SET body = 'changed page' WHERE rowid = 3
      DELETE FROM f WHERE rowid = 5
      SELECT rowid FROM f WHERE body MATCH 'changed'
      INSERT INTO f (f) VALUES ('optimize')
      INSERT INTO f (f) VALUES ('integrity-check')
      INSERT INTO f (f) VALUES ('nonsense')
      CREATE VIRTUAL TABLE vocabulary USING fts5vocab(f, row)
      SELECT term, doc, cnt FROM vocabulary ORDER BY term
      CREATE TABLE content (id INTEGER PRIMARY KEY, b)
      CREATE VIRTUAL TABLE outside USING fts5(b, content = 'content', content_rowid = 'id')
      INSERT INTO content VALUES (1, 'external words'), (2, 'more words')
      INSERT INTO outside (outside) VALUES ('rebuild')
      SELECT rowid, b FROM outside WHERE outside MATCH 'words' ORDER BY rowid
      CREATE VIRTUAL TABLE trigrams USING fts5(v, tokenize = 'trigram')
      INSERT INTO trigrams VALUES ('Substring search'), ('Nothing here')
      SELECT v FROM trigrams WHERE v LIKE '%str%'
      CREATE VIRTUAL TABLE bad USING fts5(a, a)
      CREATE VIRTUAL TABLE bad USING nothing(a)
      DROP TABLE vocabulary
      DROP TABLE f
      SELECT name FROM sqlite_schema ORDER BY name
      PRAGMA integrity_check
    `),
  ],
};

const trees: Chapter = {
  name: 'R-Trees',
  statements: [
    'CREATE VIRTUAL TABLE r USING rtree(id, x0, x1, y0, y1, +label TEXT)',
    ...Array.from({ length: 80 }, (_, id) => {
      const [x, y] = [(id * 37) % 101, (id * 53) % 97];
      return `INSERT INTO r VALUES (${id}, ${x}, ${x + (id % 7)}, ${y}, ${y + (id % 5)}, 'box ${id}')`;
    }),
    ...Array.from(
      { length: 40 },
      (_, step) =>
        `SELECT id, label FROM r WHERE x1 >= ${step * 2} AND x0 <= ${step * 2 + 15} AND y1 >= ${step} AND y0 <= ${step + 30} ORDER BY id`,
    ),
    ...lines(`
      INSERT INTO r VALUES (1, 0, 1, 0, 1, 'again')
      INSERT INTO r VALUES (500, 2, 1, 0, 1, 'inside out')
      UPDATE r SET x1 = x1 + 50 WHERE id < 10
      DELETE FROM r WHERE id % 3 = 0
      SELECT count(*), min(x0), max(x1) FROM r
      SELECT rtreecheck('r')
      CREATE VIRTUAL TABLE i USING rtree_i32(id, a, b)
      INSERT INTO i VALUES (1, 1.9, 2.9)
      SELECT * FROM i
      DROP TABLE r
    `),
  ],
};

const series: Chapter = {
  name: 'functions that are tables',
  statements: lines(`
    SELECT value FROM generate_series(1, 10, 3)
    SELECT name, type, pk FROM pragma_table_info('sqlite_schema')
    CREATE TABLE t (a INT, b TEXT)
    SELECT m.name, p.name FROM sqlite_schema m, pragma_table_info(m.name) p ORDER BY 1, 2
    SELECT value FROM json_each('[3,1,2]') ORDER BY value
    SELECT * FROM json_each()
    SELECT * FROM pragma_nothing
    SELECT name, pageno FROM dbstat WHERE name = 't'
    SELECT * FROM nothing()
  `),
};

/** Everything about virtual tables. */
export const search: readonly Chapter[] = [fullText, trees, series];
