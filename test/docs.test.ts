import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, globSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { errorCodes } from '@batondb/core/errors';
import { version } from '@batondb/core/version';
import { compareTrees } from '@batondb/testbed/compare';
import { makeSandbox } from '@batondb/testbed/sandbox';

// What the pages say is held against the program. Their command lines are read by packages/cli/test/cli.docs.test.ts.

const root = resolve(import.meta.dirname, '..');

/** Every page of the project, by its path in the checkout. */
const pages: ReadonlyMap<string, string> = new Map(
  globSync(['*.md', 'docs/**/*.md', 'bench/*.md', 'packages/*/*.md'], { cwd: root })
    .sort()
    .map((path) => [path, readPage(path)]),
);

function readPage(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

/** A page without its code, where brackets mean something else. */
function proseOf(page: string): string {
  return page.replaceAll(/^```.*?^```/gms, '').replaceAll(/`[^`\n]*`/g, '');
}

/** The anchors of a page, as GitHub makes them of its headings. */
function anchorsOf(page: string): Set<string> {
  const headings = [...page.replaceAll(/^```.*?^```/gms, '').matchAll(/^#+ (.+)$/gm)].map(([, text = '']) => text);
  return new Set(
    headings.map((text) =>
      text
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

// Proves: no link of a page leads nowhere.
test('every link resolves', () => {
  let count = 0;
  for (const [path, page] of pages) {
    for (const [, target = ''] of proseOf(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^(https?|mailto):/.test(target)) continue;
      count += 1;
      const [file = '', anchor] = target.split('#');
      const found = file === '' ? path : relative(root, resolve(root, dirname(path), file));
      assert.ok(existsSync(join(root, found)), `${path}: ${target} does not exist`);
      if (anchor !== undefined)
        assert.ok(anchorsOf(readPage(found)).has(anchor), `${path}: ${target} has no such heading`);
    }
  }
  assert.ok(count >= 30, `only ${count} links were found`);
});

// Proves: a page of docs/ is found by somebody who begins at the README.
test('every page of docs/ can be reached from the README', () => {
  const reached = new Set<string>();
  const visit = (path: string): void => {
    if (reached.has(path) || !pages.has(path)) return;
    reached.add(path);
    for (const [, target = ''] of proseOf(pages.get(path) ?? '').matchAll(/\]\(([^)\s#]+)[^)]*\)/g)) {
      visit(relative(root, resolve(root, dirname(path), target)));
    }
  };
  visit('README.md');
  const lost = [...pages.keys()].filter((path) => path.startsWith('docs/') && !reached.has(path));
  assert.deepEqual(lost, []);
});

// Proves: every error code has a section that says what the registry says, something to do about it, and a row in the table of
// exit codes; and no section speaks of a code that does not exist.
test('every error code is explained', () => {
  const page = readPage('docs/troubleshooting.md');
  const sections = new Map(
    page
      .split(/^### /m)
      .slice(1)
      .map((section) => [
        section.slice(0, section.indexOf('\n')),
        section.slice(section.indexOf('\n')).split(/^## /m)[0]?.trim() ?? '',
      ]),
  );
  assert.deepEqual([...sections.keys()].sort(), Object.keys(errorCodes).sort());
  for (const [code, meaning] of Object.entries(errorCodes)) {
    const [first, ...rest] = (sections.get(code) ?? '').split('\n\n');
    assert.equal(first, `*${meaning[0]?.toUpperCase()}${meaning.slice(1)}.*`, code);
    assert.ok(rest.join('\n').length > 40, `${code}: what is to be done?`);
    assert.match(readPage('docs/exit-codes.md'), new RegExp(`\`${code}\``), `${code} has no exit code`);
  }
});

// Proves: one version for everything, in the program, the packages, and the changelog.
test('there is one version', () => {
  for (const path of ['package.json', ...globSync('packages/*/package.json', { cwd: root })]) {
    const manifest = JSON.parse(readPage(path)) as {
      readonly version: string;
      readonly dependencies?: Readonly<Record<string, string>>;
      readonly devDependencies?: Readonly<Record<string, string>>;
    };
    assert.equal(manifest.version, version, path);
    for (const [name, wanted] of Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })) {
      if (name.startsWith('@batondb/')) assert.equal(wanted, version, `${path}: ${name}`);
    }
  }
  assert.match(readPage('CHANGELOG.md'), new RegExp(`^## ${version.replaceAll('.', '\\.')}\\b`, 'm'));
});

// Proves: every type of event that the library knows is on the page of events.
test('every event is documented', () => {
  const page = readPage('docs/json-events.md');
  const events = ['events.ts', 'verify/events.ts'].map((path) => readPage(`packages/copy/src/${path}`)).join('\n');
  const types = [...events.matchAll(/readonly type: '([a-z-]+)'/g)].map(([, type = '']) => type);
  assert.ok(types.length >= 10, `only ${types.length} types were found`);
  for (const type of types) assert.match(page, new RegExp(`\`${type}\``), type);
});

type Ending = { readonly code: number; readonly stdout: string; readonly stderr: string };

function runExample(name: string, words: readonly string[]): Promise<Ending> {
  const argv = ['--conditions=batondb-source', join(root, 'docs/examples', name), ...words];
  return new Promise((resolveEnd) => {
    execFile(process.execPath, argv, { cwd: root }, (error, stdout, stderr) => {
      resolveEnd({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : -1, stdout, stderr });
    });
  });
}

// Proves: the example of the library copies, verifies, tells of it, and tells why it was refused; and the page shows its code.
test('the example of the library runs', async () => {
  await using sandbox = makeSandbox();
  const [one, two] = [sandbox.join('one'), sandbox.join('two')];
  for (const target of [one, two]) mkdirSync(target);
  const source = join(root, 'packages/core/src');
  const copied = await runExample('copy.ts', [source, one, two]);
  assert.equal(copied.code, 0, copied.stderr);
  assert.equal(copied.stdout.match(/^done: .*\/src [0-9a-f]{64}$/gm)?.length, 2, copied.stdout);
  for (const target of [one, two]) assert.deepEqual(await compareTrees(source, join(target, 'src')), []);

  const refused = await runExample('copy.ts', [source, one]);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /^EXISTS: /);
  assert.ok(statSync(join(one, 'src')).isDirectory());

  expectShown('docs/library.md', 'docs/examples/copy.ts');
});

// Proves: the example of a database does what it says, also where it has been before, and tells why a directory is refused; and the page shows its code.
test('the example of a database runs', async () => {
  await using sandbox = makeSandbox();
  const directory = sandbox.join('accounts');
  const first = await runExample('sqlite.ts', [directory]);
  assert.equal(first.code, 0, first.stderr);
  const [paid, gift, read, served] = first.stdout.split('\n');
  assert.equal(paid, 'Emma pays: true, and again: false');
  assert.equal(gift, 'gift: repeated false, then true; its receipt says committed');
  assert.match(read ?? '', /^at 1\.\d+: Anne has 130, Emma has 75$/);
  assert.match(served ?? '', /^any libSQL client reaches it at ws:\/\/127\.0\.0\.1:\d+, until this program ends$/);
  const again = await runExample('sqlite.ts', [directory]);
  assert.match(again.stdout, /^gift: repeated true, then true;[^]*Anne has 160, Emma has 45$/m);
  using database = new DatabaseSync(join(directory, 'main.db'), { readOnly: true });
  assert.equal(database.prepare('SELECT sum(balance) AS total FROM accounts').get()?.['total'], 205);

  const refused = await runExample('sqlite.ts', ['/dev/null']);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /^[A-Z_]+: /);
  expectShown('docs/sqlite-library.md', 'docs/examples/sqlite.ts');
});

/** Every piece of TypeScript on a page is in its example. */
function expectShown(page: string, path: string): void {
  const example = readPage(path);
  const shown = [...readPage(page).matchAll(/^```ts\n(.*?)^```/gms)].map(([, code = '']) => code);
  assert.ok(shown.length > 0);
  for (const code of shown) assert.ok(example.includes(code), `${page} shows what is not in the example:\n${code}`);
}
