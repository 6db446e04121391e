// Proves: exclude patterns mean what they mean in .gitignore, compared with git itself.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { compileExcludes } from '../src/files/exclude.ts';

const seed = Number(process.env['BATON_SEED'] ?? 1);

test('each form of pattern', () => {
  const cases: [pattern: string, excluded: string[], kept: string[]][] = [
    ['name', ['name', 'a/name', 'name/'], ['names', 'a/xname', 'name/x']],
    ['*.log', ['x.log', 'a/b/.log'], ['x.log2', 'xlog']],
    ['cache/', ['cache/', 'a/cache/'], ['cache', 'a/cache']],
    ['/top', ['top', 'top/'], ['a/top']],
    ['a/b', ['a/b'], ['x/a/b', 'a/bc']],
    ['a/**/b', ['a/b', 'a/x/b', 'a/x/y/b'], ['ab', 'a/bx', 'x/a/b']],
    ['**/z', ['z', 'a/z', 'a/b/z'], ['az']],
    ['a/**', ['a/x', 'a/x/y'], ['a', 'ba/x']],
    ['?x', ['ax', 'éx', '🎉x'], ['x', 'aax', 'a/x']],
    ['[a-c]1', ['a1', 'd/c1'], ['d1', '-1', '/1']],
    ['[!a]1', ['b1'], ['a1', 'a/1']],
    ['[]-]1', [']1', '-1'], ['a1']],
    ['\\*x', ['*x'], ['ax']],
    ['\\!x', ['!x'], ['x']],
    ['a.b', ['a.b'], ['axb']],
    ['my-cache/', ['my-cache/', 'a/my-cache/'], ['mycache/', 'my-cache']],
    ['[a\\-c]1', ['a1', '-1', 'c1'], ['b1']],
    ['a[', ['a['], ['a']],
    ['(a|b)+$', ['(a|b)+$'], ['a']],
  ];
  for (const [pattern, excluded, kept] of cases) {
    const matches = compileExcludes([pattern]);
    const ask = (path: string): boolean => matches(path.replace(/\/$/, ''), path.endsWith('/'));
    for (const path of excluded) assert.ok(ask(path), `${pattern} leaves out ${path}`);
    for (const path of kept) assert.ok(!ask(path), `${pattern} keeps ${path}`);
  }
});

test('a pattern that cannot mean anything is refused', () => {
  for (const pattern of ['', '/', '!x', '[b-a]']) {
    assert.throws(() => compileExcludes([pattern]), { code: 'USAGE' }, pattern);
  }
});

test('patterns agree with git', { timeout: 60_000 }, () => {
  const part = fc.constantFrom('a', 'b', 'ab', '*', '?', '[ab]', '[!a]', '**', '*b', 'a?', 'ab*a');
  const pattern = fc
    .tuple(fc.boolean(), fc.array(part, { minLength: 1, maxLength: 3 }), fc.boolean())
    .map(([anchored, parts, directory]) => `${anchored ? '/' : ''}${parts.join('/')}${directory ? '/' : ''}`);
  const names = ['a', 'b', 'ab', 'aba'];
  const paths = [...names, ...names.flatMap((x) => names.map((y) => `${x}/${y}`)), 'a/b/a', 'ab/b/aba', 'b/aba/ab'];
  const directory = mkdtempSync(join(tmpdir(), 'baton-exclude-'));
  try {
    execFileSync('git', ['init', '-q', directory]);
    for (const path of paths.filter((p) => !paths.some((other) => other.startsWith(`${p}/`)))) {
      mkdirSync(join(directory, path, '..'), { recursive: true });
      writeFileSync(join(directory, path), '');
    }
    fc.assert(
      fc.property(pattern, (text) => {
        writeFileSync(join(directory, '.gitignore'), `${text}\n`);
        assert.deepEqual(leftOut(paths, text), ignoredByGit(directory, paths), text);
      }),
      { seed, numRuns: 150 },
    );
  } finally {
    rmSync(directory, { recursive: true });
  }
});

function leftOut(paths: readonly string[], pattern: string): string[] {
  const matches = compileExcludes([pattern]);
  const isDirectory = (path: string): boolean => paths.some((other) => other.startsWith(`${path}/`));
  // As the walk does: what lies in an excluded directory is never asked for.
  return paths.filter((path) => {
    const parts = path.split('/');
    return parts.some((_, index) => {
      const above = parts.slice(0, index + 1).join('/');
      return matches(above, isDirectory(above));
    });
  });
}

function ignoredByGit(directory: string, paths: readonly string[]): string[] {
  try {
    const output = execFileSync('git', ['-C', directory, 'check-ignore', '--no-index', '--stdin'], {
      input: paths.join('\n'),
    });
    return output.toString().trim().split('\n');
  } catch (error) {
    assert.equal((error as { status: number }).status, 1, 'git check-ignore found nothing');
    return [];
  }
}
