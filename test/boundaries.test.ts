import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { test } from 'node:test';
import { checkBoundaries } from '../scripts/boundaries.ts';
import { type Module, type Package, readModule, type Workspace } from '../scripts/modules.ts';

const packages: readonly Package[] = [
  pack('core', ['koffi']),
  pack('mariadb', ['@batondb/core']),
  pack('etcd', ['@batondb/core', '@batondb/mariadb']),
  pack('copy', ['@batondb/core', '@batondb/mariadb', '@batondb/galera']),
  pack('galera', ['@batondb/core']),
  pack('cli', ['@batondb/core', '@batondb/copy', 'commander']),
  pack('testbed', ['@batondb/core']),
];

function pack(name: string, dependencies: readonly string[]): Package {
  return { name: `@batondb/${name}`, directory: `packages/${name}`, dependencies, devDependencies: [] };
}

/** The problems of a workspace in which every package has a harmless module, and these files are. */
function problemsOf(files: Readonly<Record<string, string>>, changes: Partial<Workspace> = {}): string[] {
  const harmless = packages.map(({ directory }) => [`${directory}/src/harmless.ts`, 'export const one = 1;'] as const);
  const modules = [...harmless, ...Object.entries(files)].map(([path, text]): Module => {
    const module = readModule(path, text);
    if (typeof module === 'string') throw new Error(`${path}: ${module}`);
    return module;
  });
  const root: Package = {
    name: 'baton',
    directory: '.',
    dependencies: [],
    devDependencies: ['fast-check', '@batondb/testbed', '@batondb/core'],
  };
  return checkBoundaries({ root, packages, modules, filesFound: modules.length, unreadable: [], ...changes });
}

const allowed: Readonly<Record<string, string>> = {
  'packages/core/src/a.ts': `import { readFileSync } from 'node:fs'; import koffi from 'koffi'; export * from './files/b.ts';`,
  'packages/mariadb/src/a.ts': `import { x } from '@batondb/core/errors';`,
  'packages/copy/src/a.ts': `import { x } from '@batondb/core/errors'; import { y } from '@batondb/mariadb';`,
  'packages/cli/src/a.ts': `const { copy } = await import('@batondb/copy'); import { Command } from 'commander';`,
  'packages/cli/launch.cjs': `const fs = require('node:fs');`,
  'packages/core/test/a.test.ts': `import fc from 'fast-check'; import { y } from '@batondb/testbed/hosts'; import { z } from '@batondb/core/errors';`,
  'packages/core/src/protocol/a.ts': `import { createHash } from 'node:crypto'; import { x } from '../limits.ts';`,
  'test/a.test.ts': `import { x } from '../scripts/modules.ts'; import { y } from '@batondb/testbed/hosts';`,
};
for (const [path, text] of Object.entries(allowed)) {
  test(`allowed: ${text} in ${path}`, () => {
    assert.deepEqual(problemsOf({ [path]: text }), []);
  });
}

const refused: readonly (readonly [path: string, text: string, problem: RegExp])[] = [
  ['packages/core/src/a.ts', `import { z } from 'zod';`, /package\.json does not declare zod/],
  ['packages/core/src/a.ts', `import fc from 'fast-check';`, /does not declare fast-check/],
  ['packages/core/src/a.ts', `import { x } from '@batondb/copy';`, /core may import no package of the workspace/],
  ['packages/core/test/a.test.ts', `import { x } from '@batondb/copy';`, /core may import no package of the workspace/],
  ['packages/copy/src/a.ts', `import { x } from '@batondb/galera';`, /door may import core and part, and this is door/],
  [
    'packages/copy/src/a.ts',
    `export type { X } from '@batondb/galera/x';`,
    /door may import core and part, and this is door/,
  ],
  ['packages/etcd/src/a.ts', `import type { X } from '@batondb/mariadb';`, /part may import core, and this is part/],
  ['packages/copy/src/a.ts', `await import('@batondb/cli');`, /this is cli/],
  ['packages/copy/src/a.ts', `await import(name); const name = 'x';`, /computed/],
  ['packages/copy/src/a.ts', `import { x } from '@batondb/testbed/hosts';`, /only tests, bench and scripts/],
  ['packages/copy/src/a.ts', `import { x } from '@batondb/copy/b';`, /inside a package paths are relative/],
  ['packages/copy/src/a.ts', `import { x } from '../../core/src/errors.ts';`, /crosses the wall/],
  ['packages/cli/launch.cjs', `require('koffi')`, /does not declare koffi/],
  ['packages/copy/src/a.ts', `import fs from 'fs';`, /write node:/],
  ['test/a.test.ts', `import { x } from '../packages/core/src/errors.ts';`, /crosses the wall/],
  ['bench/a.ts', `import { z } from 'zod';`, /does not declare zod/],
  ['packages/core/src/protocol/a.ts', `import { readFileSync } from 'node:fs';`, /does no I\/O/],
  ['packages/core/src/protocol/a.ts', `import { open } from 'node:fs/promises';`, /does no I\/O/],
  ['packages/core/src/protocol/a.ts', `import type { Socket } from 'node:net';`, /does no I\/O/],
  ['packages/core/src/protocol/a.ts', `import koffi from 'koffi';`, /does no I\/O/],
  ['packages/core/src/protocol/a.ts', `import { stat } from '../files/stat.ts';`, /does no I\/O/],
  ['packages/core/src/protocol/a.ts', `import type { Connection } from '../transport/tls.ts';`, /does no I\/O/],
  ['packages/galera/src/protocol/a.ts', `import { run } from '@batondb/core/process/child';`, /does no I\/O/],
  [
    'packages/core/src/a.ts',
    `export const name = 'mysqldump';`,
    /a\.ts:1: core names no database, and this says mysql/,
  ],
  [
    'packages/core/src/a.ts',
    `\nfunction readFromEtcd(): void {}`,
    /a\.ts:2: core names no database, and this says Etcd/,
  ],
];
for (const [path, text, problem] of refused) {
  test(`refused: ${text.trim()} in ${path}`, () => {
    const problems = checkSource(path, text);
    assert.equal(problems.length, 1, problems.join('\n'));
    assert.match(problems[0] ?? '', problem);
  });
}

function checkSource(path: string, text: string): string[] {
  const module = readModule(path, text);
  return typeof module === 'string' ? [module] : problemsOf({ [path]: text });
}

test('I/O that a protocol module reaches by way of another one is found, with the way', () => {
  const problems = problemsOf({
    'packages/core/src/protocol/a.ts': `import { b } from '../b.ts';`,
    'packages/core/src/b.ts': `import type { Stats } from 'node:fs'; import { c } from './c.ts';`,
    'packages/core/src/c.ts': `import { b } from './b.ts'; import tls from 'node:tls';`,
  });
  assert.deepEqual(problems, [
    'packages/core/src/protocol/a.ts → packages/core/src/b.ts → packages/core/src/c.ts: ' +
      'imports node:tls: protocol/ is bytes in, messages out, and does no I/O',
  ]);
});

// Proves: the room of the client protocol is judged as a protocol, too.
test('hrana/ does no I/O', () => {
  const problems = problemsOf({ 'packages/sqlite/src/hrana/a.ts': `import { createServer } from 'node:http';` });
  assert.match(problems.join('\n'), /^packages\/sqlite\/src\/hrana\/a\.ts: imports node:http: /);
});

// Proves: a check that looked at nothing, or not at everything, fails.
test('it fails when it saw no modules, or fewer than there are files', () => {
  assert.match(problemsOf({}, { modules: [] }).join('\n'), /no module was seen/);
  assert.match(problemsOf({}, { filesFound: 8 }).join('\n'), /7 of 8 files/);
  assert.match(problemsOf({}, { packages: [] }).join('\n'), /no package was seen/);
  assert.match(
    problemsOf({}, { packages: [...packages, pack('new', [])] }).join('\n'),
    /packages\/new: the package is in no room/,
  );
});

test('the command reads a directory, and fails for an empty workspace and for a file that does not parse', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'baton-boundaries-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  };
  write('package.json', '{ "name": "baton" }');
  assert.deepEqual(runCommand(directory).status, 1);
  write('packages/core/package.json', '{ "name": "@batondb/core" }');
  write('packages/core/src/a.ts', 'export const a = 1;');
  assert.deepEqual(runCommand(directory), { status: 0, stdout: '1 modules in 1 packages\n', stderr: '' });
  write('packages/core/src/b.ts', 'import {');
  const broken = runCommand(directory);
  assert.equal(broken.status, 1);
  assert.match(broken.stderr, /^packages\/core\/src\/b\.ts: Expected/);
});

function runCommand(directory: string): { status: number | null; stdout: string; stderr: string } {
  const script = resolve(import.meta.dirname, '../scripts/boundaries.ts');
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, '--root', directory], { encoding: 'utf8' });
  return { status, stdout, stderr };
}
