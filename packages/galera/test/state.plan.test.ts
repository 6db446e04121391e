import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { systemTablespaceNames } from '../src/state/data-file-path.ts';
import { formatJournal, type Journal, type JournalEntry, parseJournal } from '../src/state/journal.ts';
import { type Contents, type Role, roleOf, type ServerNames, type TopEntry } from '../src/state/names.ts';
import { choose, type PlanEntry, type PlanInput } from '../src/state/plan.ts';
import { runs } from './property.ts';

const names: ServerNames = { systemTablespace: ['ibdata1'], binlog: 'node-bin', binlogIndex: 'node-bin.index' };
const all: readonly Role[] = ['data', 'system', 'redo', 'undo', 'aria', 'binlog', 'binlog-index', 'relay-log'];

function file(name: string): TopEntry {
  return { name, kind: 'file', isSymlink: false };
}

function directory(name: string, contents: Contents): TopEntry {
  return { name, kind: 'directory', isSymlink: false, contents };
}

// Proves (G9): every file and directory that a server was seen to make has its role, and everything else has none.
test('what a server makes, and what it does not', () => {
  const roles: Readonly<Record<string, Role>> = {
    ibdata1: 'system',
    ib_logfile0: 'redo',
    ib_logfile101: 'redo',
    undo001: 'undo',
    undo_002: 'undo',
    aria_log_control: 'aria',
    'aria_log.00000001': 'aria',
    'node-bin.000001': 'binlog',
    'node-bin.000001.idx': 'binlog',
    'node-bin.state': 'binlog',
    'node-bin.index': 'binlog-index',
    'host-relay-bin.000002': 'relay-log',
    'host-relay-bin-channel.index': 'relay-log',
    'master.info': 'data',
    'master-channel.info': 'data',
    'relay-log.info': 'data',
    'multi-master.info': 'data',
    ib_buffer_pool: 'data',
    ibtmp1: 'data',
    'ddl_recovery.log': 'data',
    'tc.log': 'data',
    'binlog-000001.ibb': 'data',
    'mysql.ibd': 'data',
    mysql_upgrade_info: 'data',
    xtrabackup_info: 'data',
    'backup-my.cnf': 'data',
  };
  for (const [name, role] of Object.entries(roles)) assert.equal(roleOf(file(name), names), role, name);
  const stays = [
    'grastate.dat',
    'gvwstate.dat',
    'galera.cache',
    'gcache.page.000001',
    'sst_in_progress',
    'server-key.pem',
    'host.err',
    'slow.log',
    'host.pid',
    'mysql.sock',
    'debian-10.11.flag',
    'auto.cnf',
    'RPM_UPGRADE_MARKER',
    'notes.txt',
    'dump.sql.gz',
    'other-bin.000001',
    'ibdata1.bak',
    'my.cnf',
  ];
  for (const name of stays) assert.equal(roleOf(file(name), names), undefined, name);
  assert.equal(roleOf(directory('shop', 'tables'), names), 'data');
  assert.equal(roleOf(directory('#rocksdb', 'other'), names), 'data');
  for (const one of [directory('backups', 'other'), directory('empty', 'nothing'), directory('.sst', 'tables')]) {
    assert.equal(roleOf(one, names), undefined, one.name);
  }
  assert.equal(roleOf({ ...file('ibdata1'), kind: 'other' }, names), undefined);
});

// Proves: the names of the system tablespace are read as the server reads them, and what no rename can exchange is refused.
test('innodb_data_file_path', () => {
  assert.deepEqual(systemTablespaceNames(), ['ibdata1']);
  assert.deepEqual(systemTablespaceNames('sys1:10M;sys2:10M:autoextend:max:1G'), ['sys1', 'sys2']);
  for (const path of ['/dev/sdb1:3Graw', 'sdb:3Gnewraw', '../ibdata1:12M', '', 'a:1M;;b:1M']) {
    assert.throws(() => systemTablespaceNames(path), { code: 'UNSUPPORTED' }, path);
  }
});

let inodes = 0n;
function entry(found: TopEntry): PlanEntry {
  return { ...found, inode: ++inodes };
}

const serverFiles = ['ibdata1', 'ib_logfile0', 'undo001', 'undo002', 'aria_log_control', 'aria_log.00000001'];
const tops: fc.Arbitrary<readonly PlanEntry[]> = fc
  .uniqueArray(
    fc.oneof(
      fc.constantFrom(...serverFiles, 'ib_buffer_pool', 'node-bin.000001', 'x.pem', 'notes', 'galera.cache').map(file),
      fc
        .tuple(
          fc.constantFrom('shop', 'mysql', 'sys', 'backups', '.old'),
          fc.constantFrom<Contents>('tables', 'nothing', 'other'),
        )
        .map(([name, contents]) => directory(name, contents)),
    ),
    { selector: ({ name }) => name },
  )
  .map((found) => found.map(entry));

function inputOf(old: readonly PlanEntry[], fresh: readonly PlanEntry[]): PlanInput {
  return { names, places: [{ path: '/data', roles: all, top: old }], fresh };
}

// Proves (G2, G9): whatever lies in a data directory, after the moves of a plan every name is there once; what no server made has not moved; and of the
// server's own nothing old is left beside the new.
test('a plan moves all that is the server’s, and nothing else', () => {
  fc.assert(
    fc.property(tops, tops, (old, some) => {
      const fresh = some.some(({ name }) => name === 'ibdata1') ? some : [...some, entry(file('ibdata1'))];
      let plan: ReturnType<typeof choose>;
      try {
        plan = choose(inputOf(old, fresh));
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'EXISTS');
        return;
      }
      const out = new Set(plan.out.map((move) => move.entry.inode));
      const after = [...old.filter(({ inode }) => !out.has(inode)), ...plan.in.map((move) => move.entry)];
      assert.equal(new Set(after.map(({ name }) => name)).size, after.length, 'a name is there twice');
      for (const one of old) {
        if (roleOf(one, names) !== undefined) assert.ok(out.has(one.inode), `${one.name} stays`);
        else if (one.contents !== 'nothing') assert.ok(!out.has(one.inode), `${one.name} goes`);
      }
      const last = plan.in.map(({ role }) => role);
      assert.ok(!last.includes('redo') || last.at(-1) === 'redo', 'the redo log comes in last');
      assert.ok(
        plan.in.every(({ role }) => role !== 'binlog'),
        'a binary log comes in',
      );
    }),
    runs(300),
  );
});

// Proves: what belongs into another directory is taken out of it and brought into it, and nothing else in it is touched.
test('a plan with other directories', () => {
  const inData: readonly Role[] = ['data', 'undo', 'aria', 'relay-log', 'binlog', 'binlog-index'];
  const plan = choose({
    names,
    places: [
      { path: '/data', roles: inData, top: ['ib_logfile0', 'ib_buffer_pool'].map((name) => entry(file(name))) },
      {
        path: '/innodb',
        roles: ['system', 'redo'],
        top: ['ibdata1', 'ib_logfile0', 'undo001'].map((name) => entry(file(name))),
      },
    ],
    fresh: ['ibdata1', 'ib_logfile0', 'undo001'].map((name) => entry(file(name))),
  });
  const list = (moves: typeof plan.out) => moves.map(({ place, entry: { name } }) => `${place}/${name}`).sort();
  // What an option has left behind in the data directory is of no server that starts now.
  assert.deepEqual(list(plan.out), ['0/ib_buffer_pool', '0/ib_logfile0', '1/ib_logfile0', '1/ibdata1']);
  assert.deepEqual(list(plan.in), ['0/undo001', '1/ib_logfile0', '1/ibdata1']);
});

// Proves: refused before anything moves, with the name that stands in the way.
test('what cannot be exchanged is refused', () => {
  const fresh = [entry(file('ibdata1')), entry(directory('shop', 'tables'))];
  const linked = entry({ ...directory('shop', 'tables'), isSymlink: true });
  assert.throws(() => choose(inputOf([linked], fresh)), { code: 'UNSUPPORTED', message: /^\/data\/shop is a symlink/ });
  assert.throws(() => choose(inputOf([], [...fresh, { ...linked, name: 'b' }])), {
    message: /^the new data\/b is a symlink/,
  });
  const theirs = entry(directory('shop', 'other'));
  assert.throws(() => choose(inputOf([theirs], fresh)), {
    code: 'EXISTS',
    message: /^\/data\/shop was not made by a server/,
  });
  assert.throws(() => choose(inputOf([], [])), { code: 'BACKUP_FAILED' });
});

const entries: fc.Arbitrary<JournalEntry> = fc.record(
  {
    place: fc.nat(3),
    name: fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }),
    inode: fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
  },
  { noNullPrototype: true },
);
const journals: fc.Arbitrary<Journal> = fc.record(
  {
    state: fc.constantFrom('begun' as const, 'done' as const),
    position: fc.string(),
    places: fc.array(
      fc.record({ path: fc.string(), roles: fc.subarray([...all]), staging: fc.string() }, { noNullPrototype: true }),
    ),
    names: fc.record(
      { systemTablespace: fc.array(fc.string()), binlog: fc.string() },
      { requiredKeys: ['systemTablespace'], noNullPrototype: true },
    ),
    guard: entries,
    out: fc.array(entries),
    in: fc.array(entries),
  },
  { requiredKeys: ['state', 'places', 'names', 'guard', 'out', 'in'], noNullPrototype: true },
);

// Proves: a journal is read as it was written, and one with any byte changed or cut off is refused.
test('a journal survives, or is refused', () => {
  fc.assert(
    fc.property(journals, fc.nat(), fc.nat({ max: 254 }), (journal, at, change) => {
      const text = formatJournal(journal);
      assert.deepEqual(parseJournal(text), { position: undefined, followsGivingUp: undefined, ...journal });
      const bytes = Buffer.from(text);
      assert.throws(() => parseJournal(bytes.subarray(0, at % (bytes.length - 1)).toString()), {
        code: 'STAGING_DAMAGED',
      });
      const index = at % (bytes.length - 1);
      bytes[index] = ((bytes[index] as number) + 1 + change) & 0xff;
      assert.throws(() => parseJournal(bytes.toString()), { code: 'STAGING_DAMAGED' });
    }),
    runs(200),
  );
});
