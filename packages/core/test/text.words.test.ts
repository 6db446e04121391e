// Proves: words are split and quoted as a POSIX shell does it.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import fc from 'fast-check';
import { quoteWord, splitWords } from '../src/text/words.ts';

const seed = Number(process.env['BATON_SEED'] ?? 1);

test('blanks part words and quotes keep them together', () => {
  const cases: [string, string[]][] = [
    ['ssh', ['ssh']],
    ['  ssh  -F\tx ', ['ssh', '-F', 'x']],
    [`ssh -F 'my config' -o "ProxyCommand=nc %h"`, ['ssh', '-F', 'my config', '-o', 'ProxyCommand=nc %h']],
    [`a\\ b ''`, ['a b', '']],
    [`"a\\"b\\$c\\d"'e'f`, ['a"b$c\\def']],
    ['', []],
  ];
  for (const [text, words] of cases) assert.deepEqual(splitWords(text), words, text);
});

test('a quote that does not end is refused', () => {
  for (const text of [`ssh 'x`, `ssh "x`, 'ssh x\\', `"\\"`])
    assert.throws(() => splitWords(text), { code: 'USAGE' }, text);
});

test('a quoted word is one word again, for us and for sh', () => {
  const word = fc.string({ unit: fc.constantFrom(...Array.from(`ab '"\\$\`*~!#;&|<>()[]{}=%-/\n\té`)), maxLength: 12 });
  fc.assert(
    fc.property(fc.array(word, { minLength: 1, maxLength: 8 }), (words) => {
      assert.deepEqual(splitWords(words.map(quoteWord).join(' ')), words);
    }),
    { seed, numRuns: 1_000 },
  );
  fc.assert(
    fc.property(fc.array(word, { minLength: 1, maxLength: 8 }), (words) => {
      const script = `printf '%s\\0' ${words.map(quoteWord).join(' ')}`;
      assert.equal(execFileSync('sh', ['-c', script], { encoding: 'utf8' }), words.map((one) => `${one}\0`).join(''));
    }),
    { seed, numRuns: 30 },
  );
});
