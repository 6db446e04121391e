// Proves: a walk yields the same for the same tree, parents first, and leaves out what it was told to.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Entry } from '../src/protocol/entry.ts';
import { walkAll } from './files.copy-tree.ts';

let base = '';
before(() => {
  base = mkdtempSync(join(tmpdir(), 'baton-walk-'));
  for (const directory of ['b/cache', 'b/keep', 'cache', '.baton-0123.partial', 'a.d'])
    mkdirSync(join(base, 'tree', directory), { recursive: true });
  for (const path of ['a', 'a.d/x', 'b/x.log', 'b/cache/y', 'b/keep/z', 'cache/w', '.baton-0123.partial/q', 'Z', 'é']) {
    writeFileSync(join(base, 'tree', path), path);
  }
});
after(() => rmSync(base, { recursive: true, force: true }));

function paths(entries: readonly Entry[]): string[] {
  const all: string[] = [];
  for (const { parent, name } of entries)
    all.push(parent <= 0 ? Buffer.from(name).toString() : `${all[parent]}/${Buffer.from(name).toString()}`);
  return all;
}

test('directories come before what is in them, names in the order of their bytes', () => {
  const { entries } = walkAll(join(base, 'tree'));
  assert.deepEqual(paths(entries), [
    'tree',
    'Z',
    'a',
    'a.d',
    'a.d/x',
    'b',
    'b/cache',
    'b/cache/y',
    'b/keep',
    'b/keep/z',
    'b/x.log',
    'cache',
    'cache/w',
    'é',
  ]);
  assert.ok(entries.every((entry, index) => entry.parent < index));
  assert.deepEqual(walkAll(join(base, 'tree///')).entries, entries);
});

test('patterns leave out what they match and what is below', () => {
  const { entries, report } = walkAll(join(base, 'tree'), { exclude: ['*.log', '/cache/', 'keep/'] });
  assert.deepEqual(paths(entries), ['tree', 'Z', 'a', 'a.d', 'a.d/x', 'b', 'b/cache', 'b/cache/y', 'é']);
  assert.equal(report.excluded, 3);
});

test('a root whose own name is no name gets one', () => {
  const here = process.cwd();
  process.chdir(join(base, 'tree/b'));
  try {
    assert.deepEqual(paths(walkAll('.').entries)[0], 'root');
    assert.deepEqual(paths(walkAll('../cache').entries), ['cache', 'w']);
    assert.deepEqual(paths(walkAll('..', { exclude: ['*'] }).entries), ['root']);
  } finally {
    process.chdir(here);
  }
});

test('a source that is a socket or missing is refused, a symlink is itself', () => {
  execFileSync('ln', ['-s', 'tree', join(base, 'link')]);
  assert.deepEqual(
    walkAll(join(base, 'link')).entries.map(({ kind }) => kind),
    ['symlink'],
  );
  assert.throws(() => walkAll(join(base, 'missing')), { code: 'ENOENT', path: join(base, 'missing') });
  assert.throws(() => walkAll(join(base, 'tree/a/x')), { code: 'ENOTDIR' });
});

test('a file with more names than are in the tree is whole at its first', () => {
  execFileSync('ln', [join(base, 'tree/a'), join(base, 'outside')]);
  const { entries, report } = walkAll(join(base, 'tree'));
  assert.equal(entries.filter(({ kind }) => kind === 'hardlink').length, 0);
  assert.equal(
    report.contentBytes,
    entries.reduce((sum, entry) => sum + (entry.kind === 'file' ? entry.sizeBytes : 0), 0),
  );
});
