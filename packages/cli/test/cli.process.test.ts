// Proves: the command as a process: what goes to which stream, the exit codes, and that signals end it and all it started.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

const baton = resolve(import.meta.dirname, '../../../baton');
const timeout = 60_000;

type Ended = { readonly code: number | null; readonly stdout: string; readonly stderr: string };

function start(words: readonly string[], input?: string): { child: ChildProcess; ended: Promise<Ended> } {
  const child = spawn(baton, words, { stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.end(input);
  const ended = Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]).then(
    ([stdout, stderr, [code]]) => ({ code: code as number | null, stdout, stderr }),
  );
  return { child, ended };
}

function run(words: readonly string[], input?: string): Promise<Ended> {
  return start(words, input).ended;
}

function makeDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'baton-cli-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Processes whose command line holds a word. */
function processesWith(word: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(word);
    } catch {
      return false;
    }
  });
}

test('the version and asked-for help go to stdout', { timeout }, async () => {
  const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };
  assert.deepEqual(await run(['--version']), { code: 0, stdout: `baton ${manifest.version}\n`, stderr: '' });
  const help = await run(['copy', '--help']);
  assert.equal(help.code, 0);
  assert.match(help.stdout, /^Usage: baton copy \[options\] SOURCE TARGET…[\s\S]*Examples:/);
});

test('a wrong command line is 2, says why on stderr, and nothing on stdout', { timeout }, async () => {
  assert.deepEqual(await run(['copy', 'a', 'b:c', '--exlude', 'x']), {
    code: 2,
    stdout: '',
    stderr: `baton: unknown option '--exlude'\n  hint: did you mean --exclude?\n`,
  });
  const bare = await run([]);
  assert.equal(bare.code, 2);
  assert.match(bare.stderr, /^Usage: baton/);
  assert.match((await run(['copy', 'a', '@-'], 'db2:/srv\ndb3\n')).stderr, /^baton: -:2: 'db3' names no host\n/);
});

test('a path that is no UTF-8 arrives as its bytes', { timeout }, async () => {
  // Node cannot start a program with such an argument; a shell can.
  const child = spawn('sh', ['-c', `exec '${baton}' copy a "$(printf 'b\\377:')"`], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  assert.match(await text(child.stderr), /^baton: 'b\\xff:': /);
});

test('an output that nobody reads is no crash', { timeout }, async () => {
  const child = spawn('sh', ['-c', `'${baton}' help exit-codes | true; '${baton}' help exit-codes 2>&1 >/dev/full`], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  assert.doesNotMatch(await text(child.stdout), /at .*\.ts:\d+/);
});

test('a host that cannot be reached is a refusal: 30, with host and hint, and in JSON too', { timeout }, async (t) => {
  const directory = makeDirectory(t);
  const words = ['copy', 'no-such-host.invalid:/a', directory, '--ssh', 'ssh -F none'];
  const human = await run(words);
  assert.equal(human.code, 30);
  assert.match(human.stderr, /no-such-host\.invalid: the name cannot be resolved[\s\S]*hint: check the spelling/);
  const json = await run([...words, '--json']);
  assert.equal(json.code, 30);
  const events = json.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { type: string; time: string });
  assert.equal(events.at(-1)?.type, 'error');
  assert.ok(events.every(({ time }) => !Number.isNaN(Date.parse(time))));
});

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const) {
  test(`${signal} while a host does not answer ends the command with ${code}, and all it started`, {
    timeout,
  }, async (t) => {
    const directory = makeDirectory(t);
    // A remote shell that never lets the agent speak; the name of its script is its mark among the processes.
    const shell = join(directory, `silent-${signal}`);
    writeFileSync(shell, '#!/bin/sh\nsleep 300\n', { mode: 0o755 });
    const { child, ended } = start(['copy', 'db1:/a', directory, '--ssh', shell]);
    for (let tries = 0; tries < 500 && processesWith(shell).length < 2; tries++) await sleep(20);
    const startMs = performance.now();
    child.kill(signal);
    const { code: exitCode, stderr } = await ended;
    assert.equal(exitCode, code);
    assert.match(stderr, new RegExp(`ended by ${signal}`));
    assert.ok(performance.now() - startMs < 9_000);
    assert.deepEqual(processesWith(shell), []);
  });
}

test('a copy on this machine: progress and news on stderr, the summary on stdout', { timeout }, async (t) => {
  const directory = makeDirectory(t);
  for (const name of ['source', 'one', 'two']) mkdirSync(join(directory, name));
  writeFileSync(join(directory, 'source', 'file'), 'content');
  const words = ['copy', join(directory, 'source'), join(directory, 'one'), join(directory, 'two')];
  const planned = await run([...words, '--dry-run']);
  assert.equal(planned.code, 0, planned.stderr);
  assert.match(planned.stdout, /^source {3}.*1 file in 2 entries[\s\S]*dry run: nothing was copied\n$/);
  assert.deepEqual(readdirSync(join(directory, 'one')), []);
  const copied = await run(words);
  assert.equal(copied.code, 0, copied.stderr);
  assert.match(
    copied.stdout,
    /^done .*\ndone .*\ntotal .*to 2 of 2 targets.*\nmanifest [0-9a-f]{64}\ntree .*the same on 2 targets/,
  );
  assert.equal(readFileSync(join(directory, 'two', 'source', 'file'), 'utf8'), 'content');
});

test('on a terminal the progress is rewritten in place and the cursor comes back', { timeout }, async (t) => {
  const directory = makeDirectory(t);
  for (const name of ['source', 'one']) mkdirSync(join(directory, name));
  writeFileSync(join(directory, 'source', 'file'), 'x'.repeat(1_000_000));
  const command = `'${baton}' copy '${join(directory, 'source')}' '${join(directory, 'one')}'`;
  const env = { ...process.env, TERM: 'xterm', NO_COLOR: '1' };
  const child = spawn('script', ['-qec', command, '/dev/null'], { stdio: ['ignore', 'pipe', 'ignore'], env });
  const shown = await text(child.stdout);
  assert.match(shown, /done {5}/);
  assert.ok(shown.lastIndexOf('\x1b[?25h') > shown.lastIndexOf('\x1b[?25l'), JSON.stringify(shown));
});
