// Proves: what a dump's two sides say of tables is read as it is meant, and a temporary server has the real one's options but those by which others would notice it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCall } from '../src/contract/call.ts';
import { parseReady } from '../src/contract/ready.ts';
import { serverArguments } from '../src/joiner/temporary-server.ts';
import { missingPrivileges } from '../src/node/check/login.ts';
import { checksumLine, parseChecksums } from '../src/table-checksums.ts';

test('checksums of tables of any name', () => {
  const tables = [
    { schema: 'shop', name: 'orders', checksum: '123' },
    { schema: 'a\tb', name: 'c\n"d`', checksum: 'NULL' },
  ];
  const lines = tables.map((table) => checksumLine(table, `${table.schema}.${table.name}\t${table.checksum}`));
  assert.deepEqual(parseChecksums(lines.join('\n')), tables);
  assert.deepEqual(parseChecksums(''), []);
  for (const bad of ['x', '[]', '["a","b"]', '["a","b",1]', '{}'])
    assert.throws(() => parseChecksums(bad), { code: 'PROTOCOL' });
});

test('a temporary server is alone', () => {
  const own = ['--defaults-file=/x', '--innodb-page-size=8k', '--wsrep_start_position=a:1', '--log-bin=b', '--port=1'];
  const argv = ['--role', 'joiner', '--address', '10.0.0.2', '--datadir', '/d/', '--defaults-file', '/etc/my.cnf'];
  const call = parseCall([...argv, '--progress', '0', '--mysqld-args', ...own], {});
  const place = { directory: '/d/.sst/new', scratch: '/d/.sst/tmp', privateDirectory: '/tmp/p' };
  const [, first, second, ...rest] = serverArguments(call, place);
  assert.equal(first, '--defaults-file=/etc/my.cnf');
  assert.equal(second, '--innodb-page-size=8k');
  for (const word of ['--skip-networking', '--skip-log-bin', '--skip-slave-start', '--socket=/tmp/p/s'])
    assert.ok(rest.includes(word), word);
  // A server of the cluster must not find its files changed, nor anybody be told.
  for (const word of ['--wsrep-data-home-dir=/d/.sst/new', '--wsrep-notify-cmd=', '--datadir=/d/.sst/new'])
    assert.ok(rest.includes(word), word);
  assert.ok(!rest.some((word) => own.includes(word)));
});

test("the documented contract's logical parameters", () => {
  const argv = ['--role', 'donor', '--user', 'sst', '--password', 'p', '--host', '10.0.0.2', '--port', '4444'];
  const call = parseCall([...argv, '--local-port', '3306', '--datadir', '/d', '--socket', '/s'], {});
  assert.deepEqual(call.credentials, { user: 'sst', password: 'p' });
  assert.deepEqual(call.address, { host: '10.0.0.2', port: 4444, path: undefined });
  // A server that waits for SQL itself has started no process that has a token.
  assert.throws(() => parseReady(call), { code: 'VERSION_MISMATCH' });
});

test('what a dump has to see', () => {
  const grants = ["GRANT SELECT, EVENT ON *.* TO 'sst'@'localhost'"];
  assert.deepEqual(missingPrivileges(grants, 'logical'), ['SHOW VIEW', 'TRIGGER', 'EXECUTE']);
});
