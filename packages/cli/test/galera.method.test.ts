// Proves: a method of somebody's own, in twenty lines of shell, carries a real node's state and its position, whatever its programs print, and a program
// that fails on one node is named in both error logs.
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkoutPath } from '@batondb/testbed/checkout';
import { compareNodes, startGalera } from '@batondb/testbed/galera';
import { waitUntil } from '@batondb/testbed/process-table';
import { mustRun } from '@batondb/testbed/processes';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';

const timeout = 180_000;
const auth = { user: 'sst', password: 'known-to-all-tests' };

/** The example of the documentation, with the library where this test has it. */
async function installMethod(sandbox: Sandbox, change: (text: string) => string): Promise<GaleraMethod> {
  const root = sandbox.join('root');
  const directory = sandbox.join('methods');
  mkdirSync(directory);
  await mustRun([join(checkoutPath, 'baton'), 'galera', 'install', '--root', root]);
  const library = join(root, 'usr/local/lib/baton');
  const text = readFileSync(join(checkoutPath, 'docs/examples/wsrep_sst_tar'), 'utf8');
  const path = join(directory, 'wsrep_sst_tar');
  writeFileSync(path, change(text.replace('/usr/local/lib/baton', library)));
  chmodSync(path, 0o755);
  return { path: [directory], environment: { BATON: join(library, 'current/bin/baton') } };
}

type GaleraMethod = { readonly path: readonly string[]; readonly environment: Readonly<Record<string, string>> };

test('a node gets its state by tar, and comes back by an incremental transfer', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const method = await installMethod(sandbox, (text) => text.replace('\ncase', '\necho stray; ls /\ncase'));
  await using cluster = await startGalera(sandbox, { nodes: 2, running: 1, method: 'tar', auth, ...method });
  const [first, second] = [cluster.node(1), cluster.node(2)];
  await first.sql(
    'CREATE DATABASE test; CREATE TABLE test.t (a INT PRIMARY KEY, b TEXT); INSERT INTO test.t SELECT seq, REPEAT(seq, 9) FROM test.seq_1_to_20000 seq',
  );
  await second.start();
  await second.untilSynced();
  assert.deepEqual(await compareNodes(first, second), []);
  assert.match(second.log(), /WSREP_SST: \[INFO\] tar joiner: received [0-9a-f-]{36}:\d+/);
  assert.match(second.log(), /^stray$/m);
  const rate = String.raw`[\d.]+ [KM]iB in [\d.]+ m?s, `;
  assert.match(first.log(), new RegExp(`WSREP_SST: \\[INFO\\] baton galera send: sending what tar writes: ${rate}`));
  assert.match(second.log(), new RegExp(`WSREP_SST: \\[INFO\\] baton galera receive: receiving for sh: ${rate}`));
  await waitUntil('the donor is done', () => first.childProcesses().length === 0);

  await second.stop();
  await first.sql('INSERT INTO test.t VALUES (0, "later")');
  await second.start();
  await second.untilSynced();
  await cluster.untilEqual();
  assert.equal((await second.sql('SELECT b FROM test.t WHERE a = 0'))[0]?.[0], 'later');
  assert.match(second.log(), /Receiving IST/);
  await first.untilSynced();
});

test('a program that fails on the donor fails both, and the donor goes on', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const method = await installMethod(sandbox, (text) =>
    text.replace('sst_send tar', 'sst_send sh -c \'tar "$@"; exit 3\' sh'),
  );
  await using cluster = await startGalera(sandbox, { nodes: 2, running: 1, method: 'tar', auth, ...method });
  const [first, second] = [cluster.node(1), cluster.node(2)];
  await second.start();
  await second.untilEnd();
  const left = (): number => first.childProcesses().length + second.childProcesses().length;
  await waitUntil('both scripts end', () => left() === 0, 30_000);
  assert.match(first.log(), /WSREP_SST: \[ERROR\] baton galera send: sh .* ended with exit code 3 \(CHILD_FAILED\)/);
  assert.match(second.log(), /WSREP_SST: \[ERROR\] baton galera receive: .*ended with exit code 3/);
  await first.untilSynced();
});
