// Proves: addresses, ready lines, credentials and positions of every dialect are read as they are meant, what is damaged is refused, and
// exit codes are errnos whose words are true.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { getSystemErrorMap } from 'node:util';
import { BatonError, type ErrorCode, errorCodes } from '@batondb/core/errors';
import fc from 'fast-check';
import { formatEndpoint, parseAddress } from '../src/contract/address.ts';
import { parseCall } from '../src/contract/call.ts';
import { parseAuth, parseStandardInput } from '../src/contract/credentials.ts';
import { errnoOf } from '../src/contract/exit-codes.ts';
import { donorLines, joinerLines } from '../src/contract/lines.ts';
import { formatLogLine } from '../src/contract/log-line.ts';
import { parseOptionWords } from '../src/contract/option-words.ts';
import { parsePosition } from '../src/contract/position.ts';
import { formatReady, parseReady } from '../src/contract/ready.ts';

const uuid = '3c9f1b1e-c71e-11f0-9d1f-6f3a2a1e7b11';
const joiner = ['--role', 'joiner', '--address', '10.0.0.2:4444', '--datadir', '/var/lib/mysql/'];
const fingerprint = 'ab'.repeat(32);
const secret = 'Zm9vYmFyLWZvb2Jhci1mb29iYXItZm9vYmFyLWZvb2I';

const isUsage = (error: unknown): boolean => error instanceof BatonError && error.code === 'USAGE';

test('addresses in all forms', () => {
  const cases: [string, string, number | undefined, string | undefined][] = [
    ['10.0.0.2:4444', '10.0.0.2', 4444, undefined],
    ['node-b.example', 'node-b.example', undefined, undefined],
    ['10.0.0.2:4444/rsync_sst', '10.0.0.2', 4444, 'rsync_sst'],
    ['10.0.0.2/xtrabackup_sst//1', '10.0.0.2', undefined, 'xtrabackup_sst//1'],
    ['[fd00::2]:14444/1.ab', 'fd00::2', 14_444, '1.ab'],
    ['[::1]', '::1', undefined, undefined],
    ['fd00::2', 'fd00::2', undefined, undefined],
  ];
  for (const [text, host, port, path] of cases) assert.deepEqual(parseAddress(text), { host, port, path }, text);
  for (const text of ['', ':4444', '10.0.0.2:0', '10.0.0.2:65536', 'a:b:c', '[nonsense]:1', '[::1']) {
    assert.throws(() => parseAddress(text), isUsage, text);
  }
  assert.equal(formatEndpoint('::1', 4444), '[::1]:4444');
});

test('what a joiner says reaches the donor, by the environment or by standard input', () => {
  for (const host of ['10.0.0.2', 'fd00::2', 'node-b.example']) {
    const ready = { host, port: 4444, secret, fingerprint };
    const line = formatReady(ready);
    const [, auth = '', address = ''] = /^ready ([^@]+)@(.+)$/.exec(line) ?? [];
    const argv = ['--role', 'donor', '--address', address, '--datadir', '/var/lib/mysql'];
    assert.deepEqual(parseReady(parseCall(argv, { WSREP_SST_OPT_REMOTE_AUTH: auth })), ready);
    const { remote } = parseStandardInput(`sst_remote_user=baton\nsst_remote_password=${secret}\n`);
    assert.deepEqual(parseReady({ ...parseCall(argv, {}), remote }), ready);
  }
  const long = { host: `${'a'.repeat(400)}.example`, port: 4444, secret, fingerprint };
  assert.throws(() => formatReady(long), isUsage);
});

test('a request of another method, another version or without a secret is refused', () => {
  const read = (path: string, auth: string): string => {
    const argv = ['--role', 'donor', '--address', `10.0.0.2:4444/${path}`, '--datadir', '/d'];
    try {
      parseReady(parseCall(argv, { WSREP_SST_OPT_REMOTE_AUTH: auth }));
      return 'read';
    } catch (error) {
      return (error as BatonError).code;
    }
  };
  assert.equal(read(`1.${fingerprint}`, `baton:${secret}`), 'read');
  assert.equal(read('rsync_sst', `baton:${secret}`), 'VERSION_MISMATCH');
  assert.equal(read(`2.${fingerprint}`, `baton:${secret}`), 'VERSION_MISMATCH');
  assert.equal(read(`1.${fingerprint}`, ''), 'VERSION_MISMATCH');
  assert.equal(read(`1.${fingerprint}`, `other:${secret}`), 'VERSION_MISMATCH');
  assert.equal(read(`1.${fingerprint}`, 'baton'), 'PROTOCOL');
  assert.equal(read(`1.${fingerprint.slice(2)}`, `baton:${secret}`), 'PROTOCOL');
});

test('unknown words are kept and never fatal, and --mysqld-args swallows the rest', () => {
  const known = parseCall(joiner, {});
  const words = fc.array(
    fc.string().filter((word) => word !== '--mysqld-args' && !knownOptions.has(word) && word !== ''),
  );
  fc.assert(
    fc.property(words, fc.array(fc.string()), (strange, server) => {
      const call = parseCall([...strange, ...joiner, ...strange, '--mysqld-args', ...server], {});
      assert.deepEqual(call.ignored, [...strange, ...strange]);
      assert.deepEqual(call.serverArguments, server);
      assert.deepEqual({ ...call, ignored: [], serverArguments: [], dialect: 'documented' }, known);
    }),
  );
});

const knownOptions = new Set([
  ...[
    '--role',
    '--address',
    '--auth',
    '--user',
    '--password',
    '--host',
    '--port',
    '--local-port',
    '--datadir',
    '--bypass',
  ],
  ...[
    '--defaults-file',
    '--defaults-extra-file',
    '--defaults-group-suffix',
    '--parent',
    '--progress',
    '--socket',
    '--gtid',
  ],
  ...['--gtid-domain-id', '--binlog', '--log-bin', '--binlog-index', '--log-bin-index', '--log-basename', '--basedir'],
  ...['--aria-log-dir-path', '--innodb-data-home-dir', '--innodb-log-group-home-dir', '--innodb-undo-directory'],
  ...['--plugindir', '--mysqld-version'],
]);

test('calls that make no sense', () => {
  const without = (option: string): string[] =>
    joiner.filter((word, index) => word !== option && joiner[index - 1] !== option);
  const calls = [
    [],
    without('--role'),
    without('--address'),
    without('--datadir'),
    ['--role', 'observer', ...without('--role')],
    [...joiner, '--parent', 'x'],
    [...joiner, '--gtid'],
    [...joiner, '--port', '4445'],
  ];
  for (const argv of calls) assert.throws(() => parseCall(argv, {}), isUsage, argv.join(' '));
});

test("PXC's call", () => {
  const argv = [
    ...[
      '--role',
      'donor',
      '--address',
      '10.0.0.2:4444/1.ab',
      '--socket',
      '/run/mysqld/mysqld.sock',
      '--datadir',
      '/var/lib/mysql/',
    ],
    ...['--basedir', '/usr/', '--plugindir', '/usr/lib64/mysql/plugin/', '--defaults-file', '/etc/my.cnf'],
    ...['--defaults-group-suffix', '', '--mysqld-version', '8.0.45-36', '', '', '--gtid', `${uuid}:17`, '--bypass'],
  ];
  const call = parseCall(argv, {});
  assert.equal(call.dialect, 'pxc');
  assert.equal(call.isBypass, true);
  assert.deepEqual(call.position, { uuid, seqno: 17n, domainId: undefined });
  assert.deepEqual(call.optionFiles, {
    defaultsFile: '/etc/my.cnf',
    defaultsExtraFile: undefined,
    groupSuffix: undefined,
  });
  assert.deepEqual(call.ignored, []);
  assert.deepEqual(parseStandardInput('sst_user=mysql.pxc.sst.user\nsst_password=yx9!A-a=b\n'), {
    credentials: { user: 'mysql.pxc.sst.user', password: 'yx9!A-a=b' },
  });
  assert.deepEqual(parseStandardInput(''), {});
});

test('the logical parameters, and who goes before whom among credentials', () => {
  const logical = [
    '--role',
    'donor',
    '--host',
    '10.0.0.2',
    '--port',
    '3306',
    '--local-port',
    '3307',
    '--datadir',
    '/d',
  ];
  const call = parseCall([...logical, '--user', 'u', '--password', 'p:w'], { WSREP_SST_OPT_AUTH: 'v:x' });
  assert.deepEqual(call.address, { host: '10.0.0.2', port: 3306, path: undefined });
  assert.equal(call.localPort, 3307);
  assert.deepEqual(call.credentials, { user: 'u', password: 'p:w' });
  assert.deepEqual(parseCall(joiner, { WSREP_SST_OPT_AUTH: 'u:p:w' }).credentials, { user: 'u', password: 'p:w' });
  assert.deepEqual(parseCall([...joiner, '--user', 'u'], { WSREP_SST_OPT_AUTH: 'u:pw' }).credentials, {
    user: 'u',
    password: 'pw',
  });
  assert.deepEqual(parseCall([...joiner, '--user', 'w'], { WSREP_SST_OPT_AUTH: 'u:pw' }).credentials, {
    user: 'w',
    password: '',
  });
  for (const nobody of [undefined, '', '(null)']) assert.equal(parseAuth(nobody), undefined);
});

test('lines in all dialects', () => {
  const position = { ...parsePosition(`${uuid.toUpperCase()}:17`), domainId: 5 };
  assert.equal(donorLines.done(position, 'mariadb'), `done ${uuid}:17 5`);
  assert.equal(donorLines.done(position, 'documented'), `done ${uuid}:17`);
  assert.equal(joinerLines.position(position, 'mariadb'), `${uuid}:17 5`);
  assert.equal(joinerLines.position(position, 'pxc'), `${uuid}:17`);
  assert.deepEqual(parsePosition(`${uuid}:-1 0\n`), { uuid, seqno: -1n, domainId: 0 });
  for (const text of ['', uuid, `${uuid}:`, `${uuid}:x`, `x${uuid}:1`]) assert.throws(() => parsePosition(text), text);
  const time = new Date(2026, 10, 21, 23, 45, 8, 7);
  assert.equal(formatLogLine('pxc', 'error', 'a\n b', time), 'ERR:a b');
  assert.equal(formatLogLine('mariadb', 'info', 'a', time), 'WSREP_SST: [INFO] a (20261121 23:45:08.007)');
});

test('options as servers write them', () => {
  const words = ['--log_bin=a', '--loose-wsrep_x=1', '--log-bin=b=c', '--skip-name-resolve', 'word', '--', '--late=1'];
  assert.deepEqual(
    [...parseOptionWords(words)],
    [
      ['log-bin', 'b=c'],
      ['wsrep-x', '1'],
      ['skip-name-resolve', ''],
    ],
  );
});

test('every failure has an errno that servers pass on, and whose words are true', () => {
  for (const code of Object.keys(errorCodes) as ErrorCode[]) {
    const number = errnoOf(new BatonError(code, 'x'));
    assert.ok(number > 1 && number < 126, code);
  }
  const words = (code: ErrorCode): string => getSystemErrorMap().get(-errnoOf(new BatonError(code, 'x')))?.[1] ?? '';
  assert.equal(words('NO_SPACE'), 'no space left on device');
  assert.equal(words('STALLED'), 'connection timed out');
  assert.equal(words('CONNECTION_LOST'), 'connection reset by peer');
  assert.equal(words('ACCESS_DENIED'), 'permission denied');
  assert.equal(words('PORT_TAKEN'), 'address already in use');
  const cause = Object.assign(new Error('EIO'), { errno: -5 });
  assert.equal(errnoOf(new BatonError('SYSTEM', 'x', { cause })), 5);
});
