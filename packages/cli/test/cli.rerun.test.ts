// Proves: the line that says how to continue is one that continues: complete targets, which exist now, are not in it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { splitWords } from '@batondb/core/text/words';
import { rerunCommandLine } from '../src/rerun.ts';

const targets = ['db2:/srv', 'db3:/srv', './odd:name'];

function rerun(commandLine: string, ...done: string[]): string {
  return rerunCommandLine(splitWords(commandLine), targets, new Set(done));
}

test('nothing is complete: the same line', () => {
  const line = `copy --exclude '*.log' db1:/srv/data db2:/srv/ db3:/srv ./odd:name`;
  assert.equal(rerun(line), `baton ${line}`);
});

test('complete targets are left out, however they were written', () => {
  const line = 'copy --sudo db1:/srv/data db2:/srv/ db3:/srv ./odd:name --verify disk';
  assert.equal(rerun(line, 'db2:/srv', './odd:name'), 'baton copy --sudo db1:/srv/data db3:/srv --verify disk');
});

test('values of options stay, also when they read like a target', () => {
  const line = 'copy --as here . here there --exclude there';
  assert.equal(
    rerunCommandLine(splitWords(line), ['here', 'there'], new Set(['here'])),
    'baton copy --as here . there --exclude there',
  );
  assert.equal(
    rerunCommandLine(splitWords('copy --quiet --as=here . here there'), ['here', 'there'], new Set(['here'])),
    'baton copy --quiet --as=here . there',
  );
});

test('a list is replaced by the targets that are left of it', () => {
  assert.equal(rerun('copy db1:/srv/data @hosts.txt db2:/srv'), 'baton copy db1:/srv/data @hosts.txt db2:/srv');
  assert.equal(
    rerun('copy db1:/srv/data @hosts.txt db2:/srv', 'db3:/srv'),
    'baton copy db1:/srv/data ./odd:name db2:/srv',
  );
  assert.equal(rerun('copy db1:/srv/data @a.txt @b.txt', 'db3:/srv'), 'baton copy db1:/srv/data db2:/srv ./odd:name');
});
