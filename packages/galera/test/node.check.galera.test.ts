// Proves: a check finds what would keep a transfer from working, on a node that runs and on one that does not, and leaves the node as it was.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { startGalera } from '@batondb/testbed/galera';
import type { GaleraNode } from '@batondb/testbed/galera-node';
import { smallFileSystem } from '@batondb/testbed/mounts';
import { mustRun } from '@batondb/testbed/processes';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { type CheckFinding, checkNode } from '../src/node/check/check-node.ts';
import { missingPrivileges } from '../src/node/check/login.ts';

const timeout = 120_000;
const signal = new AbortController().signal;
const auth = { user: 'sst', password: 'known-to-all-tests' };

async function check(node: GaleraNode): Promise<ReadonlyMap<string, CheckFinding>> {
  const findings = await checkNode([`--defaults-file=${node.optionFile}`], signal);
  return new Map(findings.map((finding) => [finding.subject, finding]));
}

/** What has to be `severity` and say `text`. */
function expect(
  findings: ReadonlyMap<string, CheckFinding>,
  subject: string,
  severity: CheckFinding['severity'],
  text: RegExp,
): void {
  const found = findings.get(subject);
  assert.equal(found?.severity, severity, `${subject}: ${JSON.stringify(found)}`);
  assert.match(found.text, text);
  assert.equal(found.nextStep === undefined, severity === 'ok', subject);
}

async function makeKey(sandbox: Sandbox): Promise<string> {
  const path = sandbox.join('key');
  writeFileSync(path, 'A'.repeat(43), { mode: 0o640 });
  await mustRun(['chown', 'root:mysql', path]);
  chmodSync(path, 0o640);
  return path;
}

test('a node that runs, and the same one stopped', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const key = await makeKey(sandbox);
  await using cluster = await startGalera(sandbox, { nodes: 1, method: 'rsync', auth, sst: { key } });
  const { first } = cluster;
  const entries = readdirSync(first.dataDirectory).sort();

  const running = await check(first);
  expect(running, 'server', 'ok', /^MariaDB \d+\.\d+/);
  expect(running, 'backup tool', 'ok', /mariadb-backup/);
  expect(running, 'key', 'ok', /fingerprint [0-9a-f-]{19}/);
  expect(running, 'login', 'ok', /^sst can log in/);
  expect(running, 'space', 'ok', /free in/);
  expect(running, 'layout', 'ok', /as a whole/);
  expect(running, 'port', 'ok', new RegExp(`^${first.place.ports.transfer} is free`));
  expect(running, 'method', 'warning', /is rsync/);
  expect(running, 'gcache', 'ok', /gcache\.size is 32/);
  for (const { text, nextStep } of running.values()) assert.equal(`${text}${nextStep}`.includes(auth.password), false);

  await first.sql(`REVOKE PROCESS, BINLOG MONITOR ON *.* FROM '${auth.user}'@'localhost'`);
  expect(await check(first), 'login', 'error', /lacks PROCESS, BINLOG MONITOR/);
  first.configure({ auth: { ...auth, password: 'wrong' } });
  expect(await check(first), 'login', 'error', /refused.*Access denied/);
  assert.deepEqual(readdirSync(first.dataDirectory).sort(), entries);

  await first.stop();
  const stopped = await check(first);
  expect(stopped, 'server', 'ok', /^MariaDB \d+\.\d+/);
  expect(stopped, 'login', 'ok', /^not tried/);
  expect(stopped, 'layout', 'ok', /as a whole/);

  first.configure({ sst: { key, space: 'reflink' } });
  for (const [kind, severity, text] of [
    ['xfs', 'ok', /as a whole, and share blocks/],
    ['tmpfs', 'error', /space=reflink is set, and .* is on tmpfs, which does not share blocks/],
  ] as const) {
    await using _disk = await smallFileSystem(sandbox, first.dataDirectory, { kind, sizeBytes: 400 * 1024 * 1024 });
    await mustRun(['chown', 'mysql:mysql', first.dataDirectory]);
    const findings = await check(first);
    expect(findings, 'layout', severity, text);
    expect(findings, 'space', 'ok', /space=reflink/);
    assert.deepEqual(readdirSync(first.dataDirectory), []);
  }
});

test('what keeps a transfer from working, without a server', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const key = await makeKey(sandbox);
  await using cluster = await startGalera(sandbox, { nodes: 1, running: 0, method: 'baton', auth, sst: { key } });
  const { first } = cluster;
  await first.stop();

  expect(await check(first), 'method', 'ok', /is baton/);
  chmodSync(key, 0o644);
  expect(await check(first), 'key', 'error', /mode 644/);
  chmodSync(key, 0o600);
  expect(await check(first), 'key', 'error', /cannot be read by the user mysql/);
  rmSync(key);
  expect(await check(first), 'key', 'error', /does not exist/);

  first.configure({ sst: { streamfmt: 'mbstream', bwlimt: '10MB' } });
  const leftover = await check(first);
  expect(leftover, '[sst] streamfmt', 'warning', /no effect/);
  assert.match(leftover.get('[sst] bwlimt')?.nextStep ?? '', /did you mean bwlimit\?/);
  first.configure({ sst: { encrypt: '1' } });
  expect(await check(first), '[sst]', 'error', /encrypt=1/);

  renameSync(`${first.dataDirectory}/mysql`, sandbox.join('mysql'));
  symlinkSync(sandbox.join('mysql'), `${first.dataDirectory}/mysql`);
  expect(await check(first), 'layout', 'error', /mysql is a symlink/);
  assert.equal(readdirSync(first.dataDirectory).includes('.sst'), false);

  const taken = createServer().listen(first.place.ports.transfer, first.place.host);
  await once(taken, 'listening');
  expect(await check(first), 'port', 'error', /is taken/);
  taken.close();
});

test('privileges are read as servers write them', () => {
  const all = ['GRANT ALL PRIVILEGES ON *.* TO `mysql`@`localhost` IDENTIFIED VIA unix_socket WITH GRANT OPTION'];
  assert.deepEqual(missingPrivileges(all), []);
  const older = ["GRANT RELOAD, PROCESS, LOCK TABLES, REPLICATION CLIENT ON *.* TO 'sst'@'localhost'"];
  assert.deepEqual(missingPrivileges(older), []);
  const ofOneDatabase = ['GRANT USAGE ON *.* TO `a`@`b`', 'GRANT ALL PRIVILEGES ON `shop`.* TO `a`@`b`'];
  assert.deepEqual(missingPrivileges(ofOneDatabase), ['RELOAD', 'PROCESS', 'LOCK TABLES', 'BINLOG MONITOR']);
});
