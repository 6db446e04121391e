// The contract of sessions in databases.ts, for whoever gives them.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type {
  BatchEvent,
  Condition,
  Databases,
  Session,
  SessionOptions,
  Statement,
  Step,
  StepOutcome,
} from '../../src/databases.ts';
import type { SqliteNode, SqlValue } from '../../src/index.ts';

const timeout = 60_000;
const { signal } = new AbortController();
const endless = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n';
const numbers = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000) SELECT i FROM n';

/** A node, and how a client gets sessions of it. */
export type SessionBed = AsyncDisposable & {
  readonly node: SqliteNode;
  readonly databases: Databases;
  open(options: Pick<SessionOptions, 'database' | 'isReadOnly'>): Promise<Session>;
};

/** What a bed is asked for; other limits are those of a node. */
export type BedLimits = { readonly transactionMsMax: number; readonly resultBytesMax: number };

type Bed = Pick<SessionBed, 'node' | 'databases'> & {
  readonly open: (options?: Partial<SessionOptions>) => Promise<Session>;
};

/** Runs the contract against the sessions that `start` gives. */
export function describeSessions(name: string, start: (limits: BedLimits) => Promise<SessionBed>): void {
  const withBed = async (use: (bed: Bed) => Promise<void>, limits: Partial<BedLimits> = {}): Promise<void> => {
    await using bed = await start({ transactionMsMax: 30_000, resultBytesMax: 1_000_000, ...limits });
    const { node, databases } = bed;
    await use({
      node,
      databases,
      open: (options = {}) => bed.open({ database: 'main', isReadOnly: false, ...options }),
    });
  };
  describe(name, () => {
    describeCalls(withBed);
    describeResults(withBed);
  });
}

/** A call that waits is ended by the signal's own reason, one that runs by what the engine says. */
function isInterruption(error: Error & { code?: unknown }): boolean {
  return error.name === 'TimeoutError' || error.code === 'INTERRUPTED';
}

type WithBed = (use: (bed: Bed) => Promise<void>, limits?: Partial<BedLimits>) => Promise<void>;

function statement(sql: string, values: readonly SqlValue[] = [], more: Partial<Statement> = {}): Statement {
  return { sql, values, namedValues: [], wantRows: true, ...more };
}

function step(sql: string, condition?: Condition): Step {
  return { statement: statement(sql), condition };
}

async function rows(session: Session, sql: string, values: readonly SqlValue[] = []): Promise<unknown> {
  return (await session.execute(statement(sql, values), {}, signal)).rows;
}

function told(outcomes: readonly StepOutcome[]): string[] {
  return outcomes.map((outcome) => (outcome.type === 'failed' ? outcome.error.sqliteCode : outcome.type));
}

async function collect(events: AsyncIterable<readonly BatchEvent[]>): Promise<BatchEvent[]> {
  const all: BatchEvent[] = [];
  for await (const piece of events) all.push(...piece);
  return all;
}

function describeCalls(withBed: WithBed): void {
  // Proves: each step has an outcome, conditions (H5) see the steps before, a failed step ends nothing; a transaction that an error leaves open is open.
  test('batches', { timeout }, () =>
    withBed(async ({ open }) => {
      const session = await open();
      await session.sequence('CREATE TABLE t (id INTEGER PRIMARY KEY)', {}, signal);
      const insert = step('INSERT INTO t VALUES (1)');
      const outcomes = await session.batch(
        [
          step('BEGIN IMMEDIATE'),
          insert,
          insert,
          step('COMMIT', { type: 'ok', step: 2 }),
          step('nonsense', { type: 'is_autocommit' }),
          step('SELECT 1; SELECT 2'),
        ],
        {},
        signal,
      );
      assert.deepEqual(told(outcomes), ['done', 'done', 'SQLITE_CONSTRAINT', 'skipped', 'skipped', 'SQLITE_MISUSE']);
      assert.equal(session.isAutocommit, false);
      await assert.rejects(rows(session, 'nonsense'), { sqliteCode: 'SQLITE_ERROR' });
      assert.equal(session.isAutocommit, false);
      const undo: Condition = { type: 'not', condition: { type: 'is_autocommit' } };
      const ended = await session.batch(
        [step('INSERT OR ROLLBACK INTO t VALUES (1)'), step('ROLLBACK', undo)],
        {},
        signal,
      );
      assert.deepEqual(told(ended), ['SQLITE_CONSTRAINT', 'skipped']);
      assert.equal(session.isAutocommit, true);
      assert.deepEqual(await rows(session, 'SELECT * FROM t'), []);
    }),
  );

  // Proves: a transaction that the node rolled back is told once, and is not open any more.
  test('a transaction that the node rolled back', { timeout }, () =>
    withBed(
      async ({ open }) => {
        const session = await open();
        await rows(session, 'CREATE TABLE t (v)');
        await rows(session, 'BEGIN IMMEDIATE');
        const other = await open();
        await rows(other, 'INSERT INTO t VALUES (1)');
        await assert.rejects(rows(session, 'COMMIT'), { code: 'TIMED_OUT' });
        assert.equal(session.isAutocommit, true);
        assert.deepEqual(await rows(session, 'SELECT v FROM t'), [[1n]]);
      },
      { transactionMsMax: 300 },
    ),
  );

  // Proves: a script goes up to its first error, whatever stands between its semicolons; a description speaks of what the session sees.
  test('scripts and descriptions', { timeout }, () =>
    withBed(async ({ open }) => {
      const session = await open();
      await session.sequence(
        ';; -- nothing\n; CREATE TEMP TABLE t (a INTEGER, b); /* ä */ INSERT INTO t VALUES (1, 2);',
        {},
        signal,
      );
      await session.sequence('SELECT 1; \0 nonsense', {}, signal);
      const failing = session.sequence('INSERT INTO t VALUES (3, 4); nonsense; DELETE FROM t', {}, signal);
      await assert.rejects(failing, { sqliteCode: 'SQLITE_ERROR', message: /nonsense/ });
      assert.deepEqual(await session.describe('SELECT a, b + ? AS c FROM t WHERE a = :a', signal), {
        parameters: [null, ':a'],
        columns: [
          { name: 'a', declaredType: 'INTEGER' },
          { name: 'c', declaredType: null },
        ],
        isReadOnly: true,
        isExplain: false,
      });
      assert.deepEqual(await rows(session, 'SELECT count(*) FROM t'), [[2n]]);
      const many = Array.from({ length: 20_000 }, (_, index) => `INSERT INTO t VALUES (${index}, 'ö');`).join('\n');
      await session.sequence(`BEGIN; ${many} COMMIT`, {}, signal);
      assert.deepEqual(await rows(session, 'SELECT count(*) FROM t'), [[20_002n]]);
    }),
  );

  // Proves: a signal ends what runs, in either kind of thread, and who waits for another's transaction; so does closing; others go on (K2, K3).
  test('interruption', { timeout }, () =>
    withBed(async ({ open, node }) => {
      const writer = await open();
      await rows(writer, 'CREATE TABLE t (v)');
      await rows(writer, 'BEGIN IMMEDIATE');
      await rows(writer, 'INSERT INTO t VALUES (1)');
      const inReader = (await open()).execute(statement(endless), {}, AbortSignal.timeout(50));
      await assert.rejects(inReader, { code: 'INTERRUPTED' });
      const waiting = (await open()).execute(statement('DELETE FROM t'), {}, AbortSignal.timeout(50));
      await assert.rejects(waiting, { code: 'INTERRUPTED' });
      await assert.rejects(writer.execute(statement(endless), {}, AbortSignal.timeout(50)), { code: 'INTERRUPTED' });
      assert.equal(writer.isAutocommit, false);
      const batch = writer.batch([step(endless), step('COMMIT')], {}, AbortSignal.timeout(50));
      await assert.rejects(batch, { code: 'INTERRUPTED' });
      assert.equal(writer.isAutocommit, false);
      const early = async (session: Session, ended: AbortSignal): Promise<unknown> =>
        await session.execute(statement('SELECT 1'), { atLeast: '1.999' }, ended);
      await assert.rejects(early(writer, AbortSignal.timeout(50)), isInterruption);
      const waiter = await open();
      const ahead = assert.rejects(early(waiter, signal), { code: 'INTERRUPTED' });
      await waiter.close();
      await ahead;
      const running = assert.rejects(rows(writer, endless), { code: 'INTERRUPTED' });
      const closing = writer.close();
      await Promise.all([running, closing, writer.close()]);
      await assert.rejects(rows(writer, 'SELECT 1'), { code: 'INTERRUPTED' });
      assert.deepEqual(await rows(await open(), 'SELECT count(*) FROM t'), [[0n]]);
      assert.equal((await node.status()).sessions, 1);
    }),
  );
}

function describeResults(withBed: WithBed): void {
  // Proves: columns have declared types; a result that is too large undoes what gave it; without wantRows none is kept.
  test('results', { timeout }, () =>
    withBed(
      async ({ open }) => {
        const session = await open();
        await rows(session, 'CREATE TABLE t (id INTEGER PRIMARY KEY, v VARCHAR(9))');
        const { columns } = await session.execute(statement('SELECT v, id AS n, 1 FROM t'), {}, signal);
        assert.deepEqual(
          columns.map(({ name, declaredType }) => [name, declaredType]),
          [
            ['v', 'VARCHAR(9)'],
            ['n', 'INTEGER'],
            ['1', null],
          ],
        );
        const fill = `INSERT INTO t(v) ${numbers} RETURNING v`;
        for (const sql of [numbers, fill]) await assert.rejects(rows(session, sql), { sqliteCode: 'SQLITE_TOOBIG' });
        assert.deepEqual(await rows(session, 'SELECT count(*) FROM t'), [[0n]]);
        const silent = await session.execute(statement(fill, [], { wantRows: false }), {}, signal);
        assert.deepEqual([silent.rows, silent.affectedRows, silent.lastInsertRowid], [[], 50_000n, 50_000n]);
        const half = step('SELECT hex(zeroblob(300))');
        assert.deepEqual(told(await session.batch([half, half], {}, signal)), ['done', 'SQLITE_TOOBIG']);
      },
      { resultBytesMax: 1000 },
    ),
  );

  // Proves: names win over positions; a parameter without a value and a value without a parameter are errors.
  test('parameters', { timeout }, () =>
    withBed(async ({ open }) => {
      const session = await open();
      const bind = async (sql: string, values: SqlValue[], named: Record<string, SqlValue> = {}): Promise<unknown> => {
        const namedValues = Object.entries(named).map(([name, value]) => ({ name, value }));
        return (await session.execute(statement(sql, values, { namedValues }), {}, signal)).rows;
      };
      assert.deepEqual(await bind('SELECT ?, :a, ?2, $b', [1, 2n], { a: 3, $b: null }), [[1, 3, 3, null]]);
      assert.deepEqual(await bind('SELECT :a, @a', [], { a: 'x' }), [['x', 'x']]);
      await assert.rejects(bind('SELECT ?, :a', [1]), { sqliteCode: 'SQLITE_ERROR', message: /:a/ });
      await assert.rejects(bind('SELECT ?', [1, 2]), { sqliteCode: 'SQLITE_RANGE' });
      await assert.rejects(bind('SELECT :a', [1], { b: 1 }), { sqliteCode: 'SQLITE_RANGE' });
    }),
  );

  // Proves: a read-only session refuses every write; reads outside of transactions need no connection in the thread that writes; a position
  // that is told can be asked for; a key is good for one transaction.
  test('reads, positions and keys', { timeout }, () =>
    withBed(async ({ open, node, databases }) => {
      const session = await open();
      assert.deepEqual(await rows(session, 'SELECT 1'), [[1n]]);
      assert.equal((await node.status()).sessions, 0);
      await session.execute(statement('CREATE TABLE t AS SELECT 1 AS v'), { transactionKey: 'k' }, signal);
      const { position } = session;
      assert.deepEqual(await databases.receipt('k', signal), { state: 'committed', position });
      await assert.rejects(session.execute(statement('DELETE FROM t'), { transactionKey: 'k' }, signal), {
        code: 'USAGE',
      });
      await rows(session, 'SELECT v FROM t');
      assert.equal(session.position, position);
      const reader = await open({ isReadOnly: true });
      const read = await reader.execute(statement('SELECT v FROM t'), { atLeast: position! }, signal);
      assert.deepEqual(read.rows, [[1n]]);
      for (const sql of ['DELETE FROM t', 'CREATE TABLE u (v)', 'WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a'])
        await assert.rejects(rows(reader, sql), { sqliteCode: 'SQLITE_READONLY' }, sql);
      await rows(reader, 'BEGIN');
      assert.deepEqual(await rows(reader, 'SELECT v FROM t'), [[1n]]);
      await rows(reader, 'COMMIT');
      assert.equal(reader.position, undefined);
      await assert.rejects(open({ database: 'no', isReadOnly: true }), { code: 'NOT_FOUND' });
    }),
  );

  // Proves: a cursor gives every row in its order, knows conditions, and undoes a statement that it is left in (K2).
  test('cursors', { timeout }, () =>
    withBed(
      async ({ open }) => {
        const session = await open();
        await rows(session, 'CREATE TABLE t (v)');
        const insert = `INSERT INTO t ${numbers} RETURNING v`;
        const events = await collect(
          session.cursor([step(insert), step('nonsense'), step('SELECT 1', { type: 'error', step: 0 })], {}, signal),
        );
        const values = events.flatMap((event) => (event.type === 'rows' ? event.rows : []));
        assert.deepEqual([values.length, values[0], values.at(-1)], [50_000, [1n], [50_000n]]);
        const kinds = events.map(({ type }) => type).filter((type) => type !== 'rows');
        assert.deepEqual(kinds, ['begin', 'end', 'failed']);
        for await (const piece of session.cursor([step(insert), step('DELETE FROM t')], {}, signal)) {
          assert.equal(piece[0]?.type, 'begin');
          break;
        }
        assert.deepEqual(await rows(session, 'SELECT count(*) FROM t'), [[50_000n]]);
        const left = session.cursor([step(insert)], {}, signal)[Symbol.asyncIterator]();
        await left.next();
        await session.close();
        await left.return?.();
        assert.deepEqual(await rows(await open(), 'SELECT count(*) FROM t'), [[50_000n]]);
      },
      { resultBytesMax: 10 },
    ),
  );
}
