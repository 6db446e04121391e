// Proves: `[sst]` and the server's options are read from real option files as the server reads them; what is demanded of security and not done
// ends the transfer (G11), and other keys without an effect are findings.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { BatonError } from '@batondb/core/errors';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { type Call, parseCall } from '../src/contract/call.ts';
import { isGroupEncrypted } from '../src/settings/server-options.ts';
import { defaults, type ReadSettings, readSettings } from '../src/settings/settings.ts';

const signal = AbortSignal.timeout(60_000);
let files = 0;

function callWith(sandbox: Sandbox, text: string, more: readonly string[] = []): Call {
  const path = sandbox.join(`my-${++files}.cnf`);
  writeFileSync(path, text);
  const argv = [
    '--role',
    'donor',
    '--address',
    '10.0.0.2/1.ab',
    '--datadir',
    '/var/lib/mysql/',
    '--defaults-file',
    path,
  ];
  return parseCall([...argv, ...more], { WSREP_SST_OPT_AUTH: '' });
}

async function read(text: string, more: readonly string[] = []): Promise<ReadSettings> {
  await using sandbox = makeSandbox();
  return await readSettings(callWith(sandbox, text, more), signal);
}

async function codeOf(text: string): Promise<string> {
  return await read(text).then(
    () => 'read',
    (error: unknown) => (error instanceof BatonError ? error.code : String(error)),
  );
}

test('nothing set', async () => {
  const { settings, server, findings } = await read('[mysqld]\n');
  assert.deepEqual(findings, []);
  assert.deepEqual(settings, {
    method: 'backup',
    keyFile: '/etc/mysql/baton.key',
    isKeyFileNamed: false,
    allowUnauthenticatedDonor: false,
    streams: defaults.streams,
    compression: 'zstd',
    bytesPerSecondMax: undefined,
    space: 'double',
    prepareMemoryBytes: 134_217_728,
    backupThreads: undefined,
    backupArguments: [],
    prepareArguments: [],
    firstWordMsMax: 300_000,
    silenceMsMax: 120_000,
    credentials: undefined,
  });
  const data = '/var/lib/mysql';
  assert.deepEqual(server, {
    dataDirectory: data,
    innodbDataHome: data,
    innodbLogGroupHome: data,
    innodbUndo: data,
    ariaLog: data,
    binlog: undefined,
    binlogIndex: undefined,
    innodbDataFilePath: undefined,
    lowerCaseTableNames: 0,
    innodbPageSizeBytes: 16_384,
    bufferPoolBytes: 134_217_728,
    isGroupEncrypted: false,
    encryption: [],
  });
});

test('everything set, in the words of MariaDB where it has some', async () => {
  const { settings, findings } = await read(
    `[sst]
method = files
key = /etc/mysql/other.key
allow_unauthenticated_donor
streams = 8
compression = none
rlimit = 10M
space = in-place
use-memory = 2G
backup-threads = 3
inno-backup-opts = "--galera-info --tmpdir='/a b'"
sst-initial-timeout = 60
wsrep_sst_auth = u:p:w
`,
  );
  assert.deepEqual(findings, []);
  assert.deepEqual(settings, {
    method: 'files',
    keyFile: '/etc/mysql/other.key',
    isKeyFileNamed: true,
    allowUnauthenticatedDonor: true,
    streams: 8,
    compression: 'none',
    bytesPerSecondMax: 10_485_760,
    space: 'in-place',
    prepareMemoryBytes: 2_147_483_648,
    backupThreads: 3,
    backupArguments: ['--galera-info', '--tmpdir=/a b'],
    prepareArguments: [],
    firstWordMsMax: 60_000,
    silenceMsMax: 120_000,
    credentials: { user: 'u', password: 'p:w' },
  });
});

test("the server's options: of its files, then of its arguments, then of the call", async () => {
  const text = `[mariadbd]
innodb_log_group_home_dir = /fast/logs/
innodb-undo-directory = undo
innodb_buffer_pool_size = 256M
innodb_data_home_dir = /files
aria_log_dir_path = /aria
log_bin
log-basename = node
lower_case_table_names = 1
innodb_encrypt_tables = ON
plugin_load_add = file_key_management
plugin_load_add = other
file_key_management_filename = /etc/keys
loose-nonsense = 1
[galera]
wsrep_provider_options = "gcache.size=1G; socket.ssl_key=/k.pem; socket.ssl_cert=/c.pem"
`;
  const more = [
    '--innodb-data-home-dir',
    '/said',
    '--mysqld-args',
    '--innodb-buffer-pool-size=1G',
    '--loose-aria_log_dir_path=/b',
  ];
  const { server, settings } = await read(text, more);
  assert.deepEqual(server, {
    dataDirectory: '/var/lib/mysql',
    innodbDataHome: '/said',
    innodbLogGroupHome: '/fast/logs',
    innodbUndo: '/var/lib/mysql/undo',
    ariaLog: '/b',
    binlog: '/var/lib/mysql/node-bin',
    binlogIndex: '/var/lib/mysql/node-bin.index',
    innodbDataFilePath: undefined,
    lowerCaseTableNames: 1,
    innodbPageSizeBytes: 16_384,
    bufferPoolBytes: 1_073_741_824,
    isGroupEncrypted: true,
    encryption: ['innodb-encrypt-tables', 'file_key_management'],
  });
  assert.equal(settings.prepareMemoryBytes, 1_073_741_824);
});

test('included files and a group suffix', async () => {
  await using sandbox = makeSandbox();
  mkdirSync(sandbox.join('conf.d'));
  writeFileSync(
    sandbox.join('conf.d', 'a.cnf'),
    '[sst]\nstreams=2\n[sst_two]\nstreams=5\n[mysqld_two]\ninnodb_undo_directory=/u\n',
  );
  const text = `!includedir ${sandbox.join('conf.d')}\n`;
  assert.equal((await readSettings(callWith(sandbox, text), signal)).settings.streams, 2);
  const { settings, server } = await readSettings(callWith(sandbox, text, ['--defaults-group-suffix', '_two']), signal);
  assert.equal(settings.streams, 5);
  assert.equal(server.innodbUndo, '/u');
});

test('a security option is honoured, or it ends the transfer (G11)', async () => {
  const refused = [
    ...['encrypt=1', 'encrypt=1\nssl-mode=VERIFY_CA\nssl-ca=/a\nssl-cert=/c\nssl-key=/k'],
    ...['sockopt=,cipher=HIGH', 'sockopt=",range=10.0.0.0/8"'],
    'ssl-mode=VERIFY_CA\nssl-ca=/a\nssl-cert=/c\nssl-key=/k\nssl-crlpath=/d',
  ];
  for (const lines of refused) assert.equal(await codeOf(`[sst]\n${lines}\n`), 'UNSUPPORTED', lines);
  const senseless = [
    ...['encrypt=5', 'ssl-mode=ON', 'encrypt=2', 'encrypt=4', 'ssl-mode=VERIFY_CA', 'ssl_mode=verify_identity'],
    ...['encrypt=3\ntca=/ca.pem', 'encrypt=4\ntcert=/c\ntkey=/k', 'ssl-mode=VERIFY_CA\nssl-ca=/a\nssl-cert=/c'],
  ];
  for (const lines of senseless) assert.equal(await codeOf(`[sst]\n${lines}\n`), 'USAGE', lines);
  for (const group of ['mysqld', 'mariabackup', 'xtrabackup']) {
    assert.equal(await codeOf(`[${group}]\nloose-ssl-mode=VERIFY_CA\n`), 'USAGE', group);
  }
  for (const lines of [
    'encrypt=0',
    'encrypt=3\ntkey=/k\ntcert=/c',
    'ssl-mode=DISABLED',
    'ssl-mode=REQUIRED',
    'sockopt=,retry=3',
  ]) {
    assert.equal(await codeOf(`[sst]\n${lines}\n`), 'read', lines);
  }
});

test('keys of other methods and mistyped ones are findings', async () => {
  const { findings } = await read(
    '[sst]\ntransferfmt=nc\ncpat=x\ntkey=/k.pem\nstrems=2\nnonsense=1\nprogress=1\ntime=1\n',
  );
  const subjects = findings.map(({ subject }) => subject);
  assert.deepEqual(
    new Set(subjects),
    new Set(['transferfmt', 'cpat', 'tkey', 'strems', 'nonsense', 'progress', 'time'].map((key) => `[sst] ${key}`)),
  );
  assert.equal(findings.find(({ subject }) => subject === '[sst] strems')?.hint, 'did you mean streams?');
});

test('a log that shows secrets is a finding', async () => {
  for (const [line, count] of [
    ['wsrep_debug=SERVER', 1],
    ['wsrep_debug', 1],
    ['wsrep_debug=NONE', 0],
  ] as const) {
    assert.equal((await read(`[mysqld]\n${line}\n`)).findings.length, count, line);
  }
});

test('values that make no sense name their key', async () => {
  for (const line of [
    'streams=0',
    'streams=x',
    'method=magic',
    'space=half',
    'rlimit=fast',
    'key=relative',
    'use-memory=1X',
  ]) {
    assert.equal(await codeOf(`[sst]\n${line}\n`), 'USAGE', line);
  }
  await assert.rejects(read('[sst]\nstreams=99\n'), /streams is '99', and has to be a whole number from 1 to 32/);
});

test('an option file that is not there is said so', async () => {
  const argv = ['--role', 'joiner', '--address', 'a', '--datadir', '/d', '--defaults-file', '/nowhere/my.cnf'];
  await assert.rejects(readSettings(parseCall(argv, {}), signal), (error: BatonError) => error.code === 'CHILD_FAILED');
});

test('whether the group channel is encrypted', () => {
  const cases: [string, boolean][] = [
    ['', false],
    ['socket.ssl=yes', true],
    ['socket.ssl = ON ; socket.ssl_key=/k', true],
    ['socket.ssl_key=/k; socket.ssl_cert=/c', true],
    ['socket.ssl_key=/k', false],
    ['socket.ssl=no;socket.ssl_key=/k;socket.ssl_cert=/c', false],
    ['socket.ssl=yes;socket.dynamic=true', false],
  ];
  for (const [text, expected] of cases) assert.equal(isGroupEncrypted(text), expected, text);
});
