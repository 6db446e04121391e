// Changes of tables that a sink has to follow, each on a table of its own: what is there before, and what is done while it is followed.

export type TableChange = {
  /** Of the schema `ddl`. */
  readonly before: string;
  /** Run one after the other, each in a transaction of its own unless it says otherwise. */
  readonly changes: readonly string[];
};

/** A table of a few rows with a key and two columns alike. */
function plain(name: string, more = ''): string {
  return `CREATE TABLE ddl.${name} (id int PRIMARY KEY, a text, b text${more});
    INSERT INTO ddl.${name} SELECT i, 'a' || i, 'b' || i FROM generate_series(1, 50) i`;
}

function partitioned(name: string): string {
  return `CREATE TABLE ddl.${name} (id int PRIMARY KEY, a text) PARTITION BY RANGE (id);
    CREATE TABLE ddl.${name}_1 PARTITION OF ddl.${name} FOR VALUES FROM (0) TO (100);
    CREATE TABLE ddl.${name}_2 PARTITION OF ddl.${name} FOR VALUES FROM (100) TO (200);
    INSERT INTO ddl.${name} SELECT i, 'a' || i FROM generate_series(1, 150) i`;
}

export const tableChanges: Readonly<Record<string, TableChange>> = {
  added: {
    before: plain('added'),
    changes: ['ALTER TABLE ddl.added ADD c text', "UPDATE ddl.added SET c = 'c' WHERE id < 5"],
  },
  added_default: { before: plain('added_default'), changes: ["ALTER TABLE ddl.added_default ADD c text DEFAULT 'c'"] },
  added_default_dropped: {
    before: plain('added_default_dropped'),
    changes: [
      `BEGIN; ALTER TABLE ddl.added_default_dropped ADD c text DEFAULT 'c'; ALTER TABLE ddl.added_default_dropped ALTER c DROP DEFAULT; COMMIT`,
      "UPDATE ddl.added_default_dropped SET a = 'x' WHERE id = 7",
    ],
  },
  added_default_rewritten: {
    before: plain('added_default_rewritten'),
    changes: [
      `ALTER TABLE ddl.added_default_rewritten ADD c text DEFAULT 'c'`,
      'ALTER TABLE ddl.added_default_rewritten ALTER c DROP DEFAULT',
      'VACUUM FULL ddl.added_default_rewritten',
      "UPDATE ddl.added_default_rewritten SET a = 'x' WHERE id = 7",
    ],
  },
  added_volatile: {
    before: plain('added_volatile'),
    changes: [
      'ALTER TABLE ddl.added_volatile ADD c float8 NOT NULL DEFAULT random()',
      'ALTER TABLE ddl.added_volatile ADD d int GENERATED ALWAYS AS IDENTITY',
    ],
  },
  added_to_parts: {
    before: partitioned('added_to_parts'),
    changes: [
      "BEGIN; ALTER TABLE ddl.added_to_parts ADD c text DEFAULT 'c'; ALTER TABLE ddl.added_to_parts ALTER c DROP DEFAULT; COMMIT",
      "UPDATE ddl.added_to_parts SET a = 'x' WHERE id IN (7, 107)",
    ],
  },
  generated: {
    before: plain('generated', ', g text GENERATED ALWAYS AS (a || b) STORED'),
    changes: [
      'ALTER TABLE ddl.generated ADD h int GENERATED ALWAYS AS (id * 2) STORED',
      'ALTER TABLE ddl.generated ALTER g DROP EXPRESSION',
      "UPDATE ddl.generated SET a = 'x' WHERE id = 7",
    ],
  },
  dropped_column: {
    before: plain('dropped_column'),
    changes: ['ALTER TABLE ddl.dropped_column DROP a', "INSERT INTO ddl.dropped_column VALUES (99, 'b')"],
  },
  swapped_columns: {
    before: plain('swapped_columns'),
    changes: [
      'BEGIN; ALTER TABLE ddl.swapped_columns RENAME a TO c; ALTER TABLE ddl.swapped_columns RENAME b TO a; ALTER TABLE ddl.swapped_columns RENAME c TO b; COMMIT',
      "UPDATE ddl.swapped_columns SET a = 'x' WHERE id = 7",
    ],
  },
  replaced_column: {
    before: plain('replaced_column'),
    changes: [
      'BEGIN; ALTER TABLE ddl.replaced_column DROP a; ALTER TABLE ddl.replaced_column ADD a text; COMMIT',
      "UPDATE ddl.replaced_column SET a = 'x' WHERE id = 7",
    ],
  },
  replaced_last_column: {
    before: plain('replaced_last_column'),
    changes: [
      "BEGIN; ALTER TABLE ddl.replaced_last_column DROP b; ALTER TABLE ddl.replaced_last_column ADD b text DEFAULT 'new'; COMMIT",
      "UPDATE ddl.replaced_last_column SET a = 'x' WHERE id = 7",
    ],
  },
  renamed_column: {
    before: plain('renamed_column'),
    changes: ['ALTER TABLE ddl.renamed_column RENAME a TO "A new/name"'],
  },
  renamed_key: {
    before: plain('renamed_key'),
    changes: [
      'ALTER TABLE ddl.renamed_key RENAME id TO number',
      'UPDATE ddl.renamed_key SET number = -number WHERE number < 5',
    ],
  },
  other_type: {
    before: plain('other_type', ', n int DEFAULT 7'),
    changes: ['ALTER TABLE ddl.other_type ALTER n TYPE text USING n || $$!$$'],
  },
  other_key_type: {
    before: plain('other_key_type'),
    changes: [
      'ALTER TABLE ddl.other_key_type ALTER id TYPE text USING $$k/$$ || id',
      "DELETE FROM ddl.other_key_type WHERE id = 'k/3'",
    ],
  },
  same_type: {
    before: plain('same_type'),
    changes: [
      'ALTER TABLE ddl.same_type ALTER a TYPE text USING a || $$ used$$',
      "UPDATE ddl.same_type SET b = 'x' WHERE id = 7",
    ],
  },
  other_key: {
    before: plain('other_key'),
    changes: [
      'ALTER TABLE ddl.other_key DROP CONSTRAINT other_key_pkey, ADD PRIMARY KEY (b, id)',
      "UPDATE ddl.other_key SET b = 'moved' WHERE id BETWEEN 3 AND 9; DELETE FROM ddl.other_key WHERE id = 11",
    ],
  },
  other_key_shared: {
    before: plain('other_key_shared', ', c int'),
    changes: [
      'UPDATE ddl.other_key_shared SET c = -id',
      'ALTER TABLE ddl.other_key_shared DROP CONSTRAINT other_key_shared_pkey, ADD PRIMARY KEY (c)',
      'UPDATE ddl.other_key_shared SET c = c + 100 WHERE id > 40',
    ],
  },
  identity_full: {
    before: plain('identity_full'),
    changes: [
      'ALTER TABLE ddl.identity_full REPLICA IDENTITY FULL',
      'UPDATE ddl.identity_full SET id = -id WHERE id < 9; DELETE FROM ddl.identity_full WHERE id = 20',
    ],
  },
  identity_index: {
    before: `${plain('identity_index')}; ALTER TABLE ddl.identity_index ALTER a SET NOT NULL; CREATE UNIQUE INDEX by_a ON ddl.identity_index (a)`,
    changes: [
      'ALTER TABLE ddl.identity_index REPLICA IDENTITY USING INDEX by_a',
      "UPDATE ddl.identity_index SET a = a || '/' WHERE id < 9",
      'ALTER TABLE ddl.identity_index REPLICA IDENTITY DEFAULT',
      'UPDATE ddl.identity_index SET id = -id WHERE id < 9',
    ],
  },
  renamed: {
    before: plain('renamed'),
    changes: ['ALTER TABLE ddl.renamed RENAME TO "Renamed/%"', 'UPDATE ddl."Renamed/%" SET a = id'],
  },
  swapped_one: {
    before: `${plain('swapped_one')}; CREATE TABLE ddl.swapped_two (id int PRIMARY KEY, a text, b text); INSERT INTO ddl.swapped_two VALUES (1, 'two', NULL), (900, 'two', 'x')`,
    changes: [
      'BEGIN; ALTER TABLE ddl.swapped_one RENAME TO passing; ALTER TABLE ddl.swapped_two RENAME TO swapped_one; ALTER TABLE ddl.passing RENAME TO swapped_two; COMMIT',
    ],
  },
  dropped: { before: plain('dropped'), changes: ['DROP TABLE ddl.dropped'] },
  recreated: {
    before: plain('recreated'),
    changes: [
      "DROP TABLE ddl.recreated; CREATE TABLE ddl.recreated (id int PRIMARY KEY, a text, b text); INSERT INTO ddl.recreated VALUES (3, 'again', NULL)",
    ],
  },
  moved: {
    before: plain('moved'),
    changes: ['ALTER TABLE ddl.moved SET SCHEMA sales', "INSERT INTO sales.moved VALUES (77, 'there')"],
  },
  created: {
    before: '',
    changes: [
      "CREATE TABLE ddl.created AS SELECT i AS id, 'a' || i AS a FROM generate_series(1, 5000) i; ALTER TABLE ddl.created ADD PRIMARY KEY (id)",
    ],
  },
  truncated: {
    before: plain('truncated'),
    changes: [
      "BEGIN; INSERT INTO ddl.truncated VALUES (60, 'goes'); UPDATE ddl.truncated SET a = 'goes'; TRUNCATE ddl.truncated; INSERT INTO ddl.truncated VALUES (61, 'stays'); UPDATE ddl.truncated SET b = 'b'; COMMIT",
    ],
  },
  cascaded: {
    before: `${plain('cascaded')}; CREATE TABLE ddl.cascaded_too (id int PRIMARY KEY, of int REFERENCES ddl.cascaded); INSERT INTO ddl.cascaded_too VALUES (1, 1), (2, 2)`,
    changes: [
      `BEGIN; INSERT INTO ddl.cascaded_too VALUES (3, 3); TRUNCATE ddl.cascaded CASCADE; INSERT INTO ddl.cascaded VALUES (1, 'anew');
      INSERT INTO ddl.cascaded_too VALUES (7, 1); COMMIT`,
    ],
  },
  attached: {
    before: `${partitioned('attached')}; CREATE TABLE aside.attached_3 (id int PRIMARY KEY, a text); INSERT INTO aside.attached_3 SELECT i, 'aside' FROM generate_series(200, 240) i`,
    changes: [
      'ALTER TABLE ddl.attached ATTACH PARTITION aside.attached_3 FOR VALUES FROM (200) TO (300)',
      "UPDATE ddl.attached SET a = 'x' WHERE id = 210",
    ],
  },
  detached: {
    before: partitioned('detached'),
    changes: [
      'BEGIN; ALTER TABLE ddl.detached DETACH PARTITION ddl.detached_2; ALTER TABLE ddl.detached_2 SET SCHEMA aside; COMMIT',
    ],
  },
  part_dropped: { before: partitioned('part_dropped'), changes: ['DROP TABLE ddl.part_dropped_1'] },
  part_truncated: { before: partitioned('part_truncated'), changes: ['TRUNCATE ddl.part_truncated_1'] },
  republished: {
    before: `CREATE TABLE picked.republished (id int PRIMARY KEY, a text); INSERT INTO picked.republished SELECT i, 'a' FROM generate_series(1, 9) i; ALTER PUBLICATION ddl ADD TABLE picked.republished`,
    changes: [
      "ALTER PUBLICATION ddl DROP TABLE picked.republished; UPDATE picked.republished SET a = 'unseen' WHERE id < 5; DELETE FROM picked.republished WHERE id = 7; ALTER PUBLICATION ddl ADD TABLE picked.republished",
      "INSERT INTO picked.republished VALUES (20, 'seen')",
    ],
  },
  published_late: {
    before:
      "CREATE TABLE picked.published_late (id int PRIMARY KEY, a text); INSERT INTO picked.published_late VALUES (1, 'before')",
    changes: ['ALTER PUBLICATION ddl ADD TABLE picked.published_late'],
  },
};
