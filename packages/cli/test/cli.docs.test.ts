// Proves: no page of the project shows a command that the command line refuses.
import assert from 'node:assert/strict';
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type TestContext, test } from 'node:test';
import { splitWords } from '@batondb/core/text/words';
import { parseCommandLine } from '../src/command-line.ts';
import { parseGalera } from '../src/galera/command.ts';
import * as galeraHelp from '../src/galera/help.ts';
import { copyExamples, verifyExamples } from '../src/help.ts';
import { parseSqlite } from '../src/sqlite/command.ts';
import * as sqliteHelp from '../src/sqlite/help.ts';
import { parseSync } from '../src/sync/command.ts';
import * as syncHelp from '../src/sync/help.ts';

const root = resolve(import.meta.dirname, '../../..');

/** A command line of a page and where it stands. */
type Shown = { readonly place: string; readonly words: readonly string[] };

/** Every `baton …` of the shell blocks and of the code in running text. */
function shownOn(path: string): Shown[] {
  let isBlock = false;
  return readFileSync(join(root, path), 'utf8')
    .split('\n')
    .flatMap((line, index) => {
      if (line.startsWith('```')) isBlock = !isBlock;
      const place = `${path}:${index + 1}`;
      return codeOf(line, isBlock)
        .flatMap(commandIn)
        .map((text) => ({ place, words: wordsOf(text) }));
    });
}

function codeOf(line: string, isBlock: boolean): string[] {
  return isBlock ? [line] : [...line.matchAll(/`([^`]+)`/g)].map(([, text = '']) => text);
}

/**
 * The command in a piece of code, without the comment, pipe, redirection or `&` that follows. What has an ellipsis is no whole command, and what
 * has no operand only names one.
 */
function commandIn(code: string): string[] {
  // What is quoted may hold a pipe of its own.
  const [text = ''] = /^(?:'[^']*'|[^'])*?(?= +[#|<>] | +#| +&(?: |$)|$)/.exec(code.replace(/^# /, '')) ?? [];
  const isWhole =
    /^(\.\/)?baton ((?:copy|verify) .*(^| )[^-\s]|(?:galera|sqlite|sync) .*(?:--|[/.:])|config|help|--)/.test(text) &&
    !/…|SOURCE|\[DIR\]/.test(text);
  return isWhole ? [text.trim()] : [];
}

/** The words after `baton`; what a shell would put in has some value. */
function wordsOf(text: string): string[] {
  return splitWords(text.replaceAll(/\$\w+/g, '/home/user')).slice(1);
}

/** A directory with the lists of targets that command lines name. */
function enterDirectoryWithLists(t: TestContext, all: readonly Shown[]): void {
  const directory = mkdtempSync(join(tmpdir(), 'baton-docs-'));
  const before = process.cwd();
  t.after(() => {
    process.chdir(before);
    rmSync(directory, { recursive: true });
  });
  process.chdir(directory);
  const lists = all.flatMap(({ words }) => words.filter((word) => /^@./.test(word)).map((word) => word.slice(1)));
  for (const name of lists) writeFileSync(name, 'db8:/srv\nroot@db9:/srv\n');
}

test('every command line of the pages and of the help parses', (t) => {
  const pages = globSync(['*.md', 'docs/**/*.md', 'bench/*.md', 'packages/*/*.md'], { cwd: root });
  const doors = [galeraHelp, sqliteHelp, syncHelp].flatMap((texts) => Object.values(texts));
  const examples = [copyExamples, verifyExamples, ...doors]
    .join('\n')
    .split('\n')
    .filter((line) => line.startsWith('  baton '))
    .map((line) => line.trim().replace(/ {2,}.*| [<>|] .*/, ''));
  const all = [...pages.flatMap(shownOn), ...examples.map((text) => ({ place: 'the help', words: wordsOf(text) }))];
  assert.ok(all.length >= 30, `only ${all.length} command lines were found`);
  enterDirectoryWithLists(t, all);
  for (const { place, words } of all) {
    // The entry answers these before there is a grammar.
    if (['--version', '-V'].includes(words[0] ?? '')) continue;
    const parse = (): unknown => {
      if (words[0] === 'galera') return parseGalera(words.slice(1));
      if (words[0] === 'sync') return parseSync(words.slice(1));
      return words[0] === 'sqlite' ? parseSqlite(words.slice(1)) : parseCommandLine(words);
    };
    assert.doesNotThrow(parse, `${place}: baton ${words.join(' ')}`);
  }
});
