// What keeps two servers from sharing their data, found before anything is touched.
import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { checkEncryption, checkFacts, checkTables, factsOf } from '../src/compatibility.ts';
import { parseCall } from '../src/contract/call.ts';
import { readServerOptions, type ServerOptions } from '../src/settings/server-options.ts';

function serverWith(options: Readonly<Record<string, string>>): ServerOptions {
  const call = parseCall(['--role', 'joiner', '--address', '127.0.0.1', '--datadir', '/data'], {});
  return readServerOptions(call, new Map(Object.entries(options)));
}

// Proves: servers that could not open each other's data are told apart with both values; what an older donor does not say is no reason.
test('what both servers need alike', () => {
  const ours = serverWith({});
  checkFacts(factsOf(ours), ours);
  checkFacts({}, ours);
  const differing = { 'lower-case-table-names': '1', 'innodb-page-size': '8K', 'innodb-data-file-path': 'ibdata1:1G' };
  for (const [name, value] of Object.entries(differing)) {
    const theirs = factsOf(serverWith({ [name]: value }));
    assert.throws(() => checkFacts(theirs, ours), {
      code: 'UNSUPPORTED',
      message: new RegExp(`^${name.replaceAll('-', '_')} is .* on the donor and .* here$`),
    });
  }
});

// Proves: a backup of tables that may be encrypted is refused, and a copy of files is not.
test('encrypted tables', () => {
  const server = serverWith({ 'innodb-encrypt-tables': 'ON' });
  assert.throws(() => checkEncryption(server, 'backup'), { code: 'UNSUPPORTED', message: /innodb-encrypt-tables/ });
  checkEncryption(server, 'files');
  checkEncryption(serverWith({ 'innodb-encrypt-tables': 'OFF' }), 'backup');
});

// Proves: tables that lie outside of the data directory are found, by InnoDB's files that say so and by symlinks.
test('tables elsewhere', async () => {
  await using sandbox = makeSandbox();
  mkdirSync(sandbox.join('one'));
  writeFileSync(sandbox.join('one/t.ibd'), '');
  checkTables(sandbox.path);
  mkdirSync(sandbox.join('two'));
  writeFileSync(sandbox.join('two/t.isl'), '/elsewhere/t.ibd');
  assert.throws(() => checkTables(sandbox.path), { code: 'UNSUPPORTED', message: /two\/t\.isl/ });
  writeFileSync(sandbox.join('two/t.isl'), '');
  const other = sandbox.join('other');
  mkdirSync(`${other}/three`, { recursive: true });
  symlinkSync('/elsewhere', `${other}/three/t.MYD`);
  assert.throws(() => checkTables(other), { code: 'UNSUPPORTED', message: /three\/t\.MYD/ });
});
