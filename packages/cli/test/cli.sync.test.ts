// What `baton sync` makes of its words and of its files, without anything being started.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { SyncStatus } from '@batondb/sync';
import { Command } from 'commander';
import { addFileOptions, applyFiles, closeFileOptions } from '../src/sync/config.ts';
import { eventLine } from '../src/sync/events.ts';
import { mappingOf } from '../src/sync/options.ts';
import { dumpLines } from '../src/sync/progress.ts';
import { addSyncOptions, type SyncFlags } from '../src/sync/run-command.ts';
import { statusLines } from '../src/sync/status.ts';

/** The options of a command line, with a file whose text is given. */
function flagsOf(words: readonly string[], text = ''): SyncFlags {
  const program = closeFileOptions(addSyncOptions(addFileOptions(new Command()))).exitOverride();
  program.parse(words, { from: 'user' });
  applyFiles(program, program, () => [{ path: 'sync.yaml', text }]);
  return program.opts<SyncFlags>();
}

const rejects = (words: readonly string[], text: string, message: RegExp, hint?: RegExp): void =>
  assert.throws(
    () => flagsOf(words, text),
    (error: Error & { code?: string; hint?: string }) => {
      assert.equal(error.code, 'USAGE');
      assert.match(error.message, message);
      if (hint !== undefined) assert.match(error.hint ?? '', hint);
      return true;
    },
  );

const configured = ['--config', 'sync.yaml'];

// Proves: a file has the same options by the same names, the command line wins, and can take back what the file says.
test('the file of a sync', () => {
  const text = `from: postgres://a@h/app
to: sqlite:x.db
slot: mine
publication: [one, two]
include:
  - sales.*
  - '"odd.schema".t'
key: public.event=day,"a,b"
jobs: 7
etcd-lease: 20s
envelope: true
`;
  const flags = flagsOf([...configured, '--slot', 'other', '--no-envelope'], text);
  assert.deepEqual([flags.from, flags.slot, flags.jobs, flags.envelope], ['postgres://a@h/app', 'other', 7, undefined]);
  assert.deepEqual(flags.publication, ['one', 'two']);
  const { include, keys } = mappingOf(flags);
  assert.ok(include.some((pattern) => pattern.matches({ schema: 'odd.schema', name: 't' })));
  assert.ok(!include.some((pattern) => pattern.matches({ schema: 'public', name: 't' })));
  assert.deepEqual(keys[0]?.columns, ['day', 'a,b']);
});

// Proves: what is wrong in a file is told with its line and, for a name, the nearest one.
test('what is wrong in a file', () => {
  rejects(configured, 'from: x\nslott: y\n', /^sync\.yaml:2: unknown key 'slott'/, /slot/);
  rejects(configured, 'jobs: many\n', /^sync\.yaml:1: jobs is a whole number/);
  rejects(configured, 'dump-only: true\n', /belongs to one start/);
  rejects(configured, 'rename: a\n', /^sync\.yaml:1: rename is SCHEMA\.TABLE=SCHEMA\.TABLE, not 'a'/);
  rejects(configured, 'slot: [a, b]\n', /slot is one value/);
  rejects([...configured, '--contrail-config', 'x'], '', /both given/);
});

const contrail = `# all of Contrail's services
server: {address: ":9091", tls: {enabled: false}}
keystone: {assignment: {data: {domains: {default: &default {id: default}}, projects: {a: {domain: *default}}}}}
database:
  driver: pgx
  type: postgres
  host: db1
  user: root
  password: "con/trail"
  name: contrail_test
  retry_period: 3s
etcd:
  endpoints: [e1:2379, "https://e2:2379"]
  username: u
  password: p
  path: json
  tls: {enabled: true, trusted_ca_path: /ca.pem}
sync: {enabled: true, storage: json}
log_level: warning
`;

// Proves: a file of Contrail's sync service means what it meant there; sections of other services are theirs, whatever YAML they use.
test("Contrail's configuration", () => {
  const words = ['--contrail-config', 'contrail.yml'];
  const flags = flagsOf(words, contrail);
  assert.equal(flags.from, 'postgres://root:con%2Ftrail@db1/contrail_test');
  assert.equal(flags.to, 'etcds://u:p@e1:2379,e2:2379/json');
  assert.deepEqual([flags.slot, flags.publication], ['sync_service', ['syncpub']]);
  assert.deepEqual([flags.layout, flags.etcdCa, flags.logLevel], ['contrail', '/ca.pem', 'warn']);
  assert.equal(flagsOf([...words, '--layout', 'native'], contrail).layout, 'native');
  rejects(words, contrail.replace('type: postgres', 'type: mysql'), /database\.type is mysql/);
  rejects(words, contrail.replace('storage: json', 'storage: proto'), /sync\.storage is proto/);
  rejects(words, contrail.replace('storage: json', 'dump: false'), /sync\.dump is false/, /--no-dump/);
  rejects(words, contrail.replace('  path: json\n', ''), /has no etcd\.path/);
  rejects(words, contrail.replace('  host: db1', '  hots: db1'), /unknown key 'database\.hots'/, /database\.host\?/);
});

// Proves: the files that the pages offer are taken, and the one that stands for Contrail's says the same as that.
test('the examples', () => {
  const examples = new URL('../../../docs/examples/sync/', import.meta.url);
  for (const name of ['etcd.yaml', 'sqlite.yaml', 'contrail.yaml'])
    assert.ok(flagsOf(configured, readFileSync(new URL(name, examples), 'utf8')).from?.startsWith('postgres://'), name);
  const ours = flagsOf(configured, readFileSync(new URL('contrail.yaml', examples), 'utf8'));
  const theirs = flagsOf(
    ['--contrail-config', 'x'],
    'database: {host: localhost, user: root, name: contrail_test}\netcd: {endpoints: ["localhost:2379"], path: json}\n',
  );
  assert.deepEqual(
    { ...theirs, config: 'sync.yaml', contrailConfig: undefined },
    { ...ours, contrailConfig: undefined },
  );
});

const status: SyncStatus = {
  name: 'app',
  source: 'postgres://a@h/app',
  sink: 'sqlite:x.db',
  phase: 'dumping',
  phaseAtMs: 0,
  startedAtMs: 0,
  node: 'h:5432',
  owner: undefined,
  position: '1/1/0/10',
  committedAtMs: 8_000,
  isOpen: true,
  newest: '1/1/0/20',
  lagBytes: 16,
  lagSeconds: 2,
  retainedBytes: 1_048_576,
  remainingBytes: undefined,
  tables: [
    { table: 'public.a', state: 'current', rows: 100, estimatedRows: 500 },
    { table: 'public.b', state: 'dumping', rows: 1500, estimatedRows: 1000 },
    { table: 'public.c\u001b[2J', state: 'waiting', rows: 0, estimatedRows: 900 },
  ],
  counts: {
    transactions: 3,
    inserts: 1200,
    updates: 0,
    deletes: 0,
    truncates: 0,
    reshapes: 0,
    dumpedRows: 1600,
    resyncedRows: 0,
    retries: 0,
    recordedRows: 1,
    repairedKeys: 0,
  },
  rowsPerSecond: 450,
  transactionsPerSecond: 0,
  lastError: undefined,
  retryAtMs: undefined,
  lastDivergence: undefined,
};

// Proves: a status is a few lines for people, and nothing of the source reaches the terminal as a command.
test('a status for people', () => {
  const lines = statusLines(status, 10_000);
  assert.ok(lines.includes('position    1/1/0/10, committed 2.0 s ago; readers see what was before'), lines.join('\n'));
  assert.ok(lines.includes('slot        1.00 MiB of log kept, without a bound'), lines.join('\n'));
  assert.ok(lines.includes('kept aside  1 row'), lines.join('\n'));
  assert.ok(!lines.join('').includes('\u001b'));
});

// Proves: the guess of a table that has more rows than was guessed is no more than what was read, and one that is done counts for what it has.
test('progress of a dump', () => {
  const lines = dumpLines(status, 10_000, 20);
  assert.equal(lines.at(-1), 'dumping: 1 of 3 tables, 1,600 of about 2,500 rows, 160 rows/s, ETA 5.6 s');
  assert.equal(lines.length, 2);
  assert.equal(dumpLines(status, 10_000, 1).length, 1);
});

// Proves: what a person has to know at night is a warning.
test('events in a log', () => {
  const position = '1/1/0/10';
  assert.equal(eventLine({ kind: 'history-lost', position, reason: 'r' }).level, 'warn');
  assert.equal(eventLine({ kind: 'phase', phase: 'streaming', detail: 'after x' }).text, 'streaming: after x');
  assert.equal(eventLine({ kind: 'phase', phase: 'waiting', detail: 'host1' }).level, 'warn');
});
