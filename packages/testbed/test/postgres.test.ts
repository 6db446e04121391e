// Proves: PostgreSQL servers start, take what tests ask of them, and leave nothing.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startPostgres } from '../src/postgres.ts';
import { listProcesses } from '../src/process-table.ts';
import { mustRun } from '../src/processes.ts';
import { makeSandbox } from '../src/sandbox.ts';
import { assertSweptAfterKill } from './killed-run.ts';

const timeout = 60_000;

function processesOf(path: string): number {
  return listProcesses().filter(({ argv }) => argv.join(' ').includes(path)).length;
}

test('a server keeps what it committed through kill -9, restarts and pauses', { timeout }, async () => {
  await using sandbox = makeSandbox();
  await using server = await startPostgres(sandbox, { settings: { work_mem: '5MB' } });
  assert.equal(await server.psql('SHOW wal_level; SHOW work_mem'), 'logical\n5MB');
  await server.psql('CREATE TABLE numbers (number int); INSERT INTO numbers SELECT generate_series(1, 1000)');
  const segments = (await mustRun(['ipcs', '-m'])).stdout;
  await server.kill();
  assert.equal(processesOf(server.path), 0);
  assert.notEqual((await mustRun(['ipcs', '-m'])).stdout, segments, 'its shared memory is gone');
  await server.start();
  assert.equal(await server.psql('SELECT count(*) FROM numbers'), '1000');
  await server.restart();
  server.pause();
  const answer = server.psql('SELECT sum(number) FROM numbers');
  const first = await Promise.race([answer, new Promise((resolve) => setTimeout(resolve, 300, 'nothing'))]);
  assert.equal(first, 'nothing');
  server.resume();
  assert.equal(await answer, '500500');
  await assert.rejects(server.psql('SELECT 1/0'), /division by zero/);
  await server.stop();
  assert.match(server.log(), /database system is shut down/);
});

test('passwords, extra rules, TLS and another system identifier', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const [keyPath, certificatePath] = [sandbox.join('key.pem'), sandbox.join('certificate.pem')];
  const made = ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  await mustRun([...made, '-subj', '/CN=localhost', '-keyout', keyPath, '-out', certificatePath]);
  await using plain = await startPostgres(sandbox, { name: 'plain', hba: ['host all nobody all reject'] });
  await using secure = await startPostgres(sandbox, {
    name: 'secure',
    tls: { certificatePath, keyPath },
    ownSystemId: true,
  });
  await plain.psql("CREATE ROLE nobody LOGIN PASSWORD 'known-to-all-tests'");
  await assert.rejects(plain.psql('SELECT 1', { user: 'nobody' }), /pg_hba.conf rejects connection/);
  assert.equal(await secure.psql('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()'), 't');
  const identity = 'SELECT system_identifier FROM pg_control_system()';
  assert.notEqual(await plain.psql(identity), await secure.psql(identity));
  assert.match(plain.url({ database: 'a b' }), /^postgresql:\/\/postgres@127\.0\.0\.1:\d+\/a%20b$/);
});

test('a standby follows, and becomes a primary on a new timeline', { timeout }, async () => {
  await using sandbox = makeSandbox();
  await using primary = await startPostgres(sandbox, { name: 'primary' });
  await using standby = await startPostgres(sandbox, { name: 'standby', standbyOf: primary });
  assert.equal(await standby.psql('SELECT pg_is_in_recovery()'), 't');
  await primary.kill();
  await standby.promote();
  assert.equal(await standby.psql('CREATE TABLE here (); SELECT timeline_id FROM pg_control_checkpoint()'), '2');
});

test('a killed test leaves nothing behind after a sweep', { timeout }, async () => {
  await assertSweptAfterKill('postgres', 'startPostgres(sandbox)');
});
