import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { type TestContext, test } from 'node:test';

// The launcher in a checkout of its own, with an entry that tells what it was started with.

const root = resolve(import.meta.dirname, '..');
const bundledPackage = `node-${process.platform}-${process.arch}`;

const entry = `import { readFileSync } from 'node:fs';
const cmdline = readFileSync('/proc/self/cmdline', 'latin1').split('\\0').slice(0, -1);
const told: Record<string, unknown> = {
  pid: process.pid,
  version: process.version,
  flags: process.execArgv,
  main: process.argv[1],
  args: cmdline.slice(1 + process.execArgv.length + 1),
  cache: process.env.NODE_COMPILE_CACHE,
};
console.log(JSON.stringify(told));
process.stdin.on('data', (chunk) => process.exit(Number(chunk)));
`;

const entryBuilt = entry.replace(': Record<string, unknown>', '');

type Told = {
  readonly pid: number;
  readonly version: string;
  readonly flags: string[];
  readonly main: string;
  /** What follows the entry on the command line, each byte a character. */
  readonly args: string[];
  readonly cache?: string;
};

/** Preloads that take from the running Node what an old one lacks. */
const preloads = {
  noExecve: 'delete process.execve;',
  old: `delete process.execve; Object.defineProperty(process.versions, 'node', { value: '18.20.0' });`,
};

function checkout(t: TestContext, modules: readonly string[], main = 'src/main.ts'): string {
  const directory = mkdtempSync(join(tmpdir(), 'baton-launcher-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const cli = join(directory, 'packages/cli');
  for (const path of [join(cli, main, '..'), join(directory, 'node_modules'), join(directory, 'home/.cache')]) {
    mkdirSync(path, { recursive: true });
  }
  cpSync(join(root, 'packages/cli/baton.cjs'), join(cli, 'baton.cjs'));
  symlinkSync('packages/cli/baton.cjs', join(directory, 'baton'));
  writeFileSync(join(cli, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(cli, main), main.endsWith('.ts') ? entry : entryBuilt);
  for (const name of modules) symlinkSync(join(root, 'node_modules', name), join(directory, 'node_modules', name));
  for (const [name, text] of Object.entries(preloads)) writeFileSync(join(directory, `${name}.cjs`), text);
  return directory;
}

type Start = {
  readonly child: ChildProcess & { readonly pid: number };
  readonly told: Told;
  readonly end: (exitCode: number) => Promise<unknown>;
};

async function start(directory: string, args: readonly string[], env: Record<string, string> = {}): Promise<Start> {
  const run = launch(directory, args, env);
  const output = await run.firstLine;
  if (output === '') assert.fail((await run.ended).stderr);
  return {
    child: run.child as Start['child'],
    told: JSON.parse(output) as Told,
    end: async (exitCode) => {
      run.child.stdin?.end(String(exitCode));
      return (await run.ended).code;
    },
  };
}

function launch(directory: string, args: readonly string[], env: Record<string, string>) {
  // Node first in PATH is the one that runs this test, so that the launcher finds it by /usr/bin/env.
  const path = `${join(process.execPath, '..')}:${process.env['PATH'] ?? ''}`;
  const child = spawn(join(directory, 'baton'), args, {
    env: { PATH: path, HOME: join(directory, 'home'), ...env },
    timeout: 20_000,
  });
  let stdout = '';
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const ended = new Promise<{ code: number | null; signal: string | null; stderr: string }>((settle) => {
    child.on('close', (code, signal) => settle({ code, signal, stderr }));
  });
  const firstLine = new Promise<string>((settle) => {
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
      if (stdout.includes('\n')) settle(stdout);
    });
    child.stdout.on('end', () => settle(stdout));
  });
  return { child, ended, firstLine };
}

const preload = (directory: string, name: keyof typeof preloads): Record<string, string> => ({
  NODE_OPTIONS: `--require=${join(directory, `${name}.cjs`)}`,
});

// Proves: the command has the process id its caller knows, whichever way it came there, and passes arguments and exit code on.
for (const way of ['process.execve', 'execve of the C library'] as const) {
  test(`the launcher becomes the command by ${way}`, async (t) => {
    const directory = checkout(t, ['koffi', '@koromix', bundledPackage]);
    const env = way === 'process.execve' ? {} : preload(directory, 'noExecve');
    const { child, told, end } = await start(directory, ['copy', '', 'a b', '--as=ü', '--', '-x'], env);
    assert.equal(told.pid, child.pid);
    assert.deepEqual(told.flags, ['--conditions=batondb-source', '--disable-warning=ExperimentalWarning']);
    assert.deepEqual(
      told.args.map(bytes),
      ['copy', '', 'a b', '--as=ü', '--', '-x'].map((text) => Buffer.from(text)),
    );
    assert.equal(await end(7), 7);
  });
}

function bytes(latin1: string): Buffer {
  return Buffer.from(latin1, 'latin1');
}

test('an old Node hands over to the bundled one, also through a symlink', async (t) => {
  const directory = checkout(t, ['koffi', '@koromix', bundledPackage]);
  mkdirSync(join(directory, 'elsewhere'));
  symlinkSync('../baton', join(directory, 'elsewhere/baton'));
  const { child, told, end } = await start(join(directory, 'elsewhere'), [], {
    ...preload(directory, 'old'),
    HOME: join(directory, 'home'),
  });
  assert.equal(told.pid, child.pid);
  assert.equal(await end(0), 0);
});

test('arguments that are no UTF-8 arrive as the bytes they are', async (t) => {
  const directory = checkout(t, ['koffi', '@koromix']);
  const odd = join(directory, 'odd');
  mkdirSync(odd);
  const script = `#!/bin/sh\nexec ${directory}/baton "$(printf 'a\\377b')" plain "$(printf '\\303\\050')"\n`;
  writeFileSync(join(odd, 'baton'), script, { mode: 0o755 });
  const { told, end } = await start(odd, [], { HOME: join(directory, 'home') });
  assert.deepEqual(told.args, ['a\xffb', 'plain', '\xc3(']);
  assert.equal(await end(0), 0);
});

test('without koffi a child is started, with its exit code and its signals', async (t) => {
  const directory = checkout(t, [bundledPackage]);
  const first = await start(directory, ['x'], preload(directory, 'old'));
  assert.notEqual(first.told.pid, first.child.pid);
  assert.equal(await first.end(5), 5);
  const second = launch(directory, [], preload(directory, 'old'));
  const { pid } = JSON.parse(await second.firstLine) as Told;
  second.child.kill('SIGTERM');
  assert.equal((await second.ended).signal, 'SIGTERM');
  assert.equal(existsSync(`/proc/${pid}`), false);
});

test('without a new enough Node it says what to install, and exits 69', async (t) => {
  const directory = checkout(t, ['koffi', '@koromix']);
  const { code, stderr } = await launch(directory, [], preload(directory, 'old')).ended;
  assert.equal(code, 69);
  assert.match(stderr, /^baton: needs Node\.js 24 or newer, and this is v/);
  assert.match(stderr, new RegExp(`npm ci .*${bundledPackage}`));
});

test('without an entry it says what to run, and exits 69', async (t) => {
  const directory = checkout(t, []);
  rmSync(join(directory, 'packages/cli/src'), { recursive: true });
  const { code, stderr } = await launch(directory, [], {}).ended;
  assert.equal(code, 69);
  assert.match(stderr, /neither src\/main\.ts nor dist\/main\.js/);
});

test('a build without sources is run', async (t) => {
  const directory = checkout(t, [], 'dist/main.js');
  const { told, end } = await start(directory, []);
  assert.match(told.main, /dist\/main\.js$/);
  assert.equal(await end(0), 0);
});

// Proves: a build is run while its sources are as they were, and never instead of changed ones, whatever their times of modification say;
// an agent, and nothing else, is the file that was built for it.
test('the build of a checkout is run until a source changes', async (t) => {
  const directory = checkout(t, []);
  const source = join(directory, 'packages/cli/src/main.ts');
  const built = join(directory, 'packages/cli/built');
  const isBuiltRun = async (): Promise<boolean> => {
    const { told, end } = await start(directory, []);
    assert.equal(await end(0), 0);
    return told.main.startsWith(built);
  };
  assert.equal(await isBuiltRun(), false);
  mkdirSync(join(built, 'cli/src'), { recursive: true });
  writeFileSync(join(built, 'cli/src/main.js'), entryBuilt);
  const noteInputs = (): void => {
    const { ctimeMs, size } = statSync(source);
    writeFileSync(join(built, 'inputs.json'), JSON.stringify([['packages/cli/src/main.ts', ctimeMs, size]]));
  };
  noteInputs();
  assert.equal(await isBuiltRun(), true);
  mkdirSync(join(built, 'copy/src/agent'), { recursive: true });
  writeFileSync(join(built, 'copy/src/agent/run.js'), entryBuilt);
  const mainOf = async (args: readonly string[]): Promise<string> => {
    const { told, end } = await start(directory, args);
    assert.equal(await end(0), 0);
    return relative(built, told.main);
  };
  assert.equal(await mainOf(['agent']), 'copy/src/agent/run.js');
  assert.equal(await mainOf(['agent', '--help']), 'cli/src/main.js');
  const { atime, mtime } = statSync(source);
  writeFileSync(source, entry);
  utimesSync(source, atime, mtime);
  assert.equal(await isBuiltRun(), false, 'a change that keeps size and time of modification');
  noteInputs();
  assert.equal(await isBuiltRun(), true);
  writeFileSync(join(built, 'inputs.json'), '[');
  assert.equal(await isBuiltRun(), false, 'a list that was cut off');
});

// Proves: compiled code, which is executed, is never taken from where somebody else could have put it.
test('the compile cache is used only where nobody else can write', async (t) => {
  const directory = checkout(t, []);
  const cache = join(directory, 'home/.cache/baton');
  const cacheOf = async (env: Record<string, string> = {}): Promise<string | undefined> => {
    const { told, end } = await start(directory, [], env);
    await end(0);
    return told.cache;
  };
  assert.equal(await cacheOf(), join(cache, 'compiled'));
  assert.equal(statSync(cache).mode & 0o777, 0o700);
  assert.equal(await cacheOf({ NODE_COMPILE_CACHE: '/somewhere' }), '/somewhere');
  assert.equal(await cacheOf({ NODE_DISABLE_COMPILE_CACHE: '1' }), undefined);
  rmSync(cache, { recursive: true });
  mkdirSync(cache, { mode: 0o755 });
  assert.equal(await cacheOf(), undefined);
  rmSync(cache, { recursive: true });
  symlinkSync(tmpdir(), cache);
  assert.equal(await cacheOf(), undefined);
  assert.equal(await cacheOf({ XDG_CACHE_HOME: tmpdir() }), undefined);
  assert.equal(await cacheOf({ XDG_CACHE_HOME: 'relative', HOME: '/nonexistent' }), undefined);
});
