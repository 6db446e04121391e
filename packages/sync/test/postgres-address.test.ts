// Proves: addresses are read as libpq reads them, passwords come from where libpq takes them, and no error and no address shows one.
import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { BatonError } from '@batondb/core/errors';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { formatPostgresAddress, parsePostgresAddress } from '../src/postgres/address.ts';
import { findPassword, passwordSource } from '../src/postgres/passwords.ts';

test('hosts, sockets, escapes and parameters', () => {
  const address = parsePostgresAddress(
    'postgres://me:p%40ss@db1,db2:6432,[::1]:1/my%20db?sslmode=verify-full&sslrootcert=/ca.pem&connect_timeout=3',
    {},
  );
  assert.deepEqual(address.hosts, [
    { host: 'db1', port: 5432 },
    { host: 'db2', port: 6432 },
    { host: '::1', port: 1 },
  ]);
  assert.deepEqual(
    [address.user, address.database, address.password, address.connectMs],
    ['me', 'my db', 'p@ss', 3000],
  );
  assert.deepEqual([address.tls.mode, address.tls.rootCertificatePath], ['verify-full', '/ca.pem']);
  assert.equal(formatPostgresAddress(address), 'postgres://me@db1:5432,db2:6432,[::1]:1/my%20db');
  const socket = parsePostgresAddress('postgresql://%2Frun%2Fpostgresql/app', { PGUSER: 'who', PGSSLMODE: 'disable' });
  assert.deepEqual(
    [socket.hosts[0], socket.user, socket.tls.mode],
    [{ host: '/run/postgresql', port: 5432 }, 'who', 'disable'],
  );
  const listed = parsePostgresAddress('postgres://u@/app?host=a,b&port=1,2', {});
  assert.deepEqual(listed.hosts, [
    { host: 'a', port: 1 },
    { host: 'b', port: 2 },
  ]);
  assert.equal(parsePostgresAddress('postgres://u@h', {}).database, 'u');
});

test('what makes no sense is refused, without a password', () => {
  for (const url of [
    'mysql://u:secret@h/d',
    'postgres://u:secret@h:99999/d',
    'postgres://u:secret@h:x/d',
    'postgres://u:secret@/d',
    'postgres://u:secret%@h/d',
    'postgres://u:secret@h/d?sslmode=yes',
    'postgres://u:secret@h/d?target_session_attrs=standby',
    'postgres://u:secret@h/d?sslmoed=require',
    'postgres://u:secret@h/d?connect_timeout=0',
    'postgres://u:secret@a,b/d?port=1,2,3',
    'postgres://h/d?password=secret',
  ]) {
    assert.throws(
      () => parsePostgresAddress(url, {}),
      (error) =>
        error instanceof BatonError && error.code === 'USAGE' && !`${error.message} ${error.hint}`.includes('secret'),
      url,
    );
  }
});

test('passwords: a file for it, the URL, the environment, a file of passwords', async () => {
  await using sandbox = makeSandbox();
  const [file, passfile] = [sandbox.join('password'), sandbox.join('pgpass')];
  writeFileSync(file, 'from file\n', { mode: 0o600 });
  writeFileSync(passfile, '# a comment\ndb1:5432:app:me:one\n*:*:app:m\\:e:es\\:caped\\\\\nlocalhost:*:*:*:socket\n', {
    mode: 0o600,
  });
  const host = { host: 'db1', port: 5432 };
  const plain = parsePostgresAddress(`postgres://me@db1/app?passfile=${passfile}`, {});
  const withOwn = parsePostgresAddress('postgres://me:own@db1/app', {});
  assert.equal(passwordSource(withOwn, {}, file)(host), 'from file');
  assert.equal(passwordSource(withOwn, { PGPASSWORD: 'environment' }, undefined)(host), 'own');
  assert.equal(passwordSource(plain, { PGPASSWORD: 'environment' }, undefined)(host), 'environment');
  assert.equal(passwordSource(plain, {}, undefined)(host), 'one');
  assert.equal(passwordSource(plain, {}, undefined)({ host: 'db2', port: 5432 }), undefined);
  assert.equal(passwordSource(plain, {}, undefined)({ host: '/run/postgresql', port: 5432 }), 'socket');
  assert.equal(
    passwordSource({ ...plain, passfilePath: undefined }, { HOME: sandbox.path }, undefined)(host),
    undefined,
  );
  assert.equal(findPassword('*:*:app:m\\:e:es\\:caped\\\\', host, { database: 'app', user: 'm:e' }), 'es:caped\\');
  chmodSync(passfile, 0o644);
  assert.throws(
    () => passwordSource(plain, {}, undefined)(host),
    (error) => error instanceof BatonError && error.code === 'NO_PERMISSION',
  );
});
