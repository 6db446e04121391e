// A rehearsal with a node of a real cluster.
import assert from 'node:assert/strict';
import { chmodSync, existsSync, readdirSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { startGalera, startGaleraLoad } from '@batondb/testbed/galera';
import { startMariadb } from '@batondb/testbed/mariadb';
import { freePort } from '@batondb/testbed/ports';
import { runBaton } from '@batondb/testbed/run-baton';
import { makeSandbox } from '@batondb/testbed/sandbox';

const baton = resolve(import.meta.dirname, '../../../baton');
const auth = { user: 'sst', password: 'of-all-nodes' };

// Proves: a live donor under load gives a whole transfer and stays Synced; what is left starts, has the position that was said, and no password is in any argument (G10). What cannot be is an
// error with a next step, and leaves nothing running.
test('a rehearsal', { timeout: 120_000 }, async (t) => {
  await using sandbox = makeSandbox();
  await using cluster = await startGalera(sandbox, { nodes: 1, method: 'rsync', auth });
  const node = cluster.first;
  await node.sql(
    'CREATE DATABASE shop; CREATE TABLE shop.t (a INT PRIMARY KEY); INSERT INTO shop.t SELECT seq FROM shop.seq_1_to_1000',
  );
  const shell = sandbox.join('shell');
  // In the place of ssh: this very machine, as a login from itself.
  writeFileSync(shell, '#!/bin/sh\nSSH_CONNECTION="127.0.0.1 1 127.0.0.1 22" exec sh -c "$2"\n');
  chmodSync(shell, 0o755);
  const scratch = sandbox.join('scratch');
  const words = [
    'galera',
    'rehearse',
    '--donor',
    'db1',
    '--ssh',
    shell,
    '--baton',
    baton,
    '--port',
    String(await freePort()),
  ];
  const server = ['--', `--defaults-file=${node.optionFile}`];
  await using load = await startGaleraLoad(node);
  const run = runBaton([...words, '--dir', scratch, '--json', ...server], { json: false });
  const { code, stdout, stderr } = await run;
  assert.equal(code, 0, stderr);
  const report = JSON.parse(stdout) as { position: string; bytes: number; donorLockedMs: number };
  await load.stop();
  t.diagnostic(`${stdout.trim()}, the longest stall ${Math.round(load.longestStallMs)} ms`);
  assert.equal(await node.status('wsrep_local_state_comment'), 'Synced');
  assert.doesNotMatch(node.log(), /Desynced|Donor/);
  assert.ok(report.position.startsWith(`${await node.status('wsrep_cluster_state_uuid')}:`));
  assert.ok(report.bytes > 1_000_000 && report.donorLockedMs >= 0);
  assert.ok(existsSync(`${scratch}/baton-position.json`));
  {
    await using copy = await startMariadb(sandbox, { name: 'copy', dataDirectory: scratch });
    assert.equal(await copy.value('SELECT sum(a) FROM shop.t'), '500500');
  }

  const again = await runBaton([...words, '--dir', scratch, ...server], { json: false });
  assert.notEqual(again.code, 0);
  assert.match(again.stderr, /is not empty/);
  const nobody = await runBaton([...words, '--dir', sandbox.join('other'), '--', '--socket=/nowhere'], { json: false });
  assert.notEqual(nobody.code, 0);
  assert.match(nobody.stderr, /\/nowhere/);
  assert.deepEqual(readdirSync(sandbox.join('other')), []);
});
