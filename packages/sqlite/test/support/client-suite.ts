// What stock clients expect of a server, whatever serves the databases behind it: their own documented examples, and what people
// build on them.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Client, createClient, LibsqlError } from '@libsql/client';
import { LibsqlDialect } from '@libsql/kysely-libsql';
import { eq } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/libsql';
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { type Generated, Kysely, sql } from 'kysely';

/** A served, empty database `main`; `url` takes a scheme. */
export type ServedDatabase = AsyncDisposable & { url(path: string, scheme: string): string };

/** Runs all clients against what `open` serves. `idleMs`: the server's limit for idle streams and transactions, at least that of a test. */
export function describeClients(name: string, open: () => Promise<ServedDatabase>): void {
  for (const scheme of ['http', 'ws']) {
    const title = `${name}: @libsql/client over ${scheme}`;
    const withClient = async (use: (client: Client) => Promise<void>, intMode?: 'bigint' | 'string'): Promise<void> => {
      await using served = await open();
      const client = createClient({ url: served.url('', scheme), ...(intMode === undefined ? {} : { intMode }) });
      try {
        await use(client);
      } finally {
        client.close();
      }
    };
    describe(title, () => describeLibsql(withClient));
  }
  describe(`${name}: Drizzle and Kysely`, () => describeBuilders(open));
}

function describeLibsql(
  withClient: (use: (client: Client) => Promise<void>, intMode?: 'bigint' | 'string') => Promise<void>,
): void {
  // Proves: statements with values by position and by name; rows by name and by number; counts and row numbers.
  test('statements', () =>
    withClient(async (client) => {
      await client.execute('CREATE TABLE books (id INTEGER PRIMARY KEY, title TEXT NOT NULL, price REAL)');
      const first = await client.execute({
        sql: 'INSERT INTO books (title, price) VALUES (?, ?)',
        args: ['Emma', 9.5],
      });
      assert.deepEqual([first.rowsAffected, first.lastInsertRowid], [1, 1n]);
      for (const args of [{ title: 'Persuasion' }, { ':title': 'Sanditon' }, { $title: 'x' }].slice(0, 2))
        await client.execute({ sql: 'INSERT INTO books (title) VALUES (:title)', args });
      const all = await client.execute('SELECT id, title AS t, price FROM books ORDER BY id');
      assert.deepEqual(
        [all.columns, all.columnTypes],
        [
          ['id', 't', 'price'],
          ['INTEGER', 'TEXT', 'REAL'],
        ],
      );
      assert.deepEqual(
        all.rows.map(({ t }) => t),
        ['Emma', 'Persuasion', 'Sanditon'],
      );
      assert.deepEqual([all.rows[0]?.[0], all.rows[0]?.[2], all.rows[1]?.[2]], [1, 9.5, null]);
      assert.equal((await client.execute('DELETE FROM books WHERE id > 1')).rowsAffected, 2);
    }));

  // Proves: every kind of value comes back as it went in.
  test('values', () =>
    withClient(async (client) => {
      const values = [
        null,
        1.5,
        -0.25,
        'ünïcödé \u0001 😀',
        '',
        2n ** 63n - 1n,
        -(2n ** 63n),
        0n,
        new Uint8Array([0, 255, 10]),
      ];
      const placeholders = values.map(() => '?').join(', ');
      const { rows } = await client.execute({ sql: `SELECT ${placeholders}`, args: values });
      const back = values.map((_, index) => rows[0]?.[index]);
      assert.deepEqual(back.slice(0, -1), values.slice(0, -1));
      assert.deepEqual(new Uint8Array(back.at(-1) as ArrayBuffer), new Uint8Array([0, 255, 10]));
      const blob = await client.execute('SELECT zeroblob(3000000), 9e999, -9e999');
      const zeros = blob.rows[0]?.[0];
      assert.ok(zeros instanceof ArrayBuffer && zeros.byteLength === 3_000_000);
      assert.deepEqual([blob.rows[0]?.[1], blob.rows[0]?.[2]], [Infinity, -Infinity]);
    }, 'bigint'));

  // Proves: a batch is one transaction: all or nothing, with the results of each.
  test('batches', () =>
    withClient(async (client) => {
      const results = await client.batch(
        [
          'CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT UNIQUE)',
          { sql: 'INSERT INTO users (email) VALUES (?)', args: ['a@example'] },
          ['INSERT INTO users (email) VALUES (?)', ['b@example']],
          'SELECT count(*) AS n FROM users',
        ],
        'write',
      );
      assert.equal(results[3]?.rows[0]?.['n'], 2);
      const failing = client.batch([
        { sql: 'INSERT INTO users (email) VALUES (?)', args: ['c@example'] },
        { sql: 'INSERT INTO users (email) VALUES (?)', args: ['a@example'] },
      ]);
      await assert.rejects(failing, (error) => error instanceof LibsqlError && error.code === 'SQLITE_CONSTRAINT');
      assert.equal((await client.execute('SELECT count(*) AS n FROM users')).rows[0]?.['n'], 2);
      const many = await client.batch(
        Array.from({ length: 500 }, (_, n) => ({ sql: 'SELECT ? AS n', args: [n] })),
        'read',
      );
      assert.deepEqual(
        many.map(({ rows }) => rows[0]?.['n']),
        Array.from({ length: 500 }, (_, n) => n),
      );
    }));

  // Proves: an interactive transaction is seen by nobody before its commit, and leaves nothing after rollback or close.
  test('interactive transactions', () =>
    withClient(async (client) => {
      await client.execute('CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance INTEGER)');
      await client.execute('INSERT INTO accounts VALUES (1, 100), (2, 0)');
      const balances = async (): Promise<unknown[]> =>
        (await client.execute('SELECT balance FROM accounts ORDER BY id')).rows.map(({ balance }) => balance);
      const transaction = await client.transaction('write');
      const { rows } = await transaction.execute('SELECT balance FROM accounts WHERE id = 1');
      assert.equal(rows[0]?.['balance'], 100);
      await transaction.batch([
        'UPDATE accounts SET balance = balance - 30 WHERE id = 1',
        'UPDATE accounts SET balance = balance + 30 WHERE id = 2',
      ]);
      await assert.rejects(transaction.execute('INSERT INTO accounts VALUES (1, 1)'), { code: 'SQLITE_CONSTRAINT' });
      assert.deepEqual(await balances(), [100, 0]);
      await transaction.commit();
      assert.deepEqual([await balances(), transaction.closed], [[70, 30], true]);
      for (const end of ['rollback', 'close'] as const) {
        const dropped = await client.transaction('write');
        await dropped.execute('DELETE FROM accounts');
        await dropped[end]();
      }
      const reading = await client.transaction('read');
      assert.equal((await reading.execute('SELECT count(*) AS n FROM accounts')).rows[0]?.['n'], 2);
      reading.close();
      await client.execute('UPDATE accounts SET balance = 0');
      assert.deepEqual(await balances(), [0, 0]);
    }));

  // Proves: scripts, migrations with foreign keys off, and several things at the same time.
  test('scripts and concurrency', () =>
    withClient(async (client) => {
      await client.executeMultiple('CREATE TABLE a (x); CREATE TABLE b (x); INSERT INTO a VALUES (1); -- end\n');
      await client.migrate(['ALTER TABLE a ADD COLUMN y', 'DROP TABLE b']);
      await assert.rejects(
        client.executeMultiple('INSERT INTO a VALUES (2, 2); nonsense; INSERT INTO a VALUES (3, 3)'),
        { code: 'SQLITE_ERROR' },
      );
      const counts = await Promise.all(Array.from({ length: 50 }, () => client.execute('SELECT count(*) AS n FROM a')));
      assert.deepEqual(new Set(counts.map(({ rows }) => rows[0]?.['n'])), new Set([2]));
    }));

  // Proves: what SQLite says of a wrong statement arrives with its code and words, and the client goes on.
  test('errors', () =>
    withClient(async (client) => {
      await assert.rejects(client.execute('SELECT * FROM missing'), {
        code: 'SQLITE_ERROR',
        message: /no such table: missing/,
      });
      await client.execute('CREATE TABLE t (a UNIQUE NOT NULL)');
      await client.execute('INSERT INTO t VALUES (1)');
      await assert.rejects(client.execute('INSERT INTO t VALUES (1)'), {
        code: 'SQLITE_CONSTRAINT',
        message: /UNIQUE constraint failed: t\.a/,
      });
      await assert.rejects(client.execute('INSERT INTO t VALUES (NULL)'), {
        code: 'SQLITE_CONSTRAINT',
        message: /NOT NULL/,
      });
      assert.equal((await client.execute('SELECT count(*) AS n FROM t')).rows[0]?.['n'], 1);
    }));
}

function describeBuilders(open: () => Promise<ServedDatabase>): void {
  const users = sqliteTable('users', {
    id: integer('id').primaryKey({ autoIncrement: true }),
    name: text('name').notNull().unique(),
    createdAt: integer('created_at', { mode: 'timestamp' }),
  });
  const createUsers =
    'CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, created_at INTEGER)';

  for (const scheme of ['http', 'ws']) {
    // Proves: Drizzle's queries, batches and nested transactions.
    test(`Drizzle over ${scheme}`, async () => {
      await using served = await open();
      const client = createClient({ url: served.url('', scheme) });
      try {
        const database = drizzle(client);
        await database.run(createUsers);
        const createdAt = new Date(1_700_000_000_000);
        assert.deepEqual(await database.insert(users).values({ name: 'Ada', createdAt }).returning(), [
          { id: 1, name: 'Ada', createdAt },
        ]);
        await database.transaction(async (transaction) => {
          await transaction.insert(users).values([{ name: 'Bob' }, { name: 'Cy' }]);
          const nested = transaction.transaction(async (inner) => {
            await inner.delete(users);
            inner.rollback();
          });
          await assert.rejects(nested);
        });
        await assert.rejects(
          database.transaction(async (transaction) => transaction.insert(users).values({ name: 'Ada' })),
        );
        const [all, [bob]] = await database.batch([
          database.select().from(users),
          database.select().from(users).where(eq(users.name, 'Bob')),
        ]);
        assert.deepEqual([all.map(({ name }) => name), bob?.id], [['Ada', 'Bob', 'Cy'], 2]);
      } finally {
        client.close();
      }
    });

    // Proves: Kysely with the dialect that its users install, which brings an older client along.
    test(`Kysely over ${scheme}`, async () => {
      await using served = await open();
      const database = new Kysely<{ users: { id: Generated<number>; name: string } }>({
        dialect: new LibsqlDialect({ url: served.url('', scheme) }),
      });
      try {
        await sql.raw(createUsers).execute(database);
        await database
          .insertInto('users')
          .values([{ name: 'Ada' }, { name: 'Bob' }])
          .execute();
        const failing = database.transaction().execute(async (transaction) => {
          await transaction.deleteFrom('users').execute();
          throw new Error('never mind');
        });
        await assert.rejects(failing, { message: 'never mind' });
        await database
          .transaction()
          .execute((transaction) => transaction.updateTable('users').set({ name: 'Cy' }).where('id', '=', 2).execute());
        assert.deepEqual(await database.selectFrom('users').select('name').orderBy('id').execute(), [
          { name: 'Ada' },
          { name: 'Cy' },
        ]);
      } finally {
        await database.destroy();
      }
    });
  }
}
