// Debian's sqlite3: an independent judge of database files.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';

/** The rows of a statement. Fails the test when sqlite3 does not like it. */
export function askStock(path: string, sql: string): unknown[][] {
  const { status, stdout, stderr } = spawnSync('sqlite3', ['-json', path, sql], {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  assert.equal(status, 0, stderr);
  const rows = stdout === '' ? [] : (JSON.parse(stdout) as Record<string, unknown>[]);
  return rows.map((row) => Object.values(row));
}
