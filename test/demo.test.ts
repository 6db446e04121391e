import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { before, suite, test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { compareTrees } from '@batondb/testbed/compare';
import { requireRoot } from '@batondb/testbed/requirements';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';

// npm run demo as a stranger runs it: in a checkout of their own, with a home that nobody can write to.

const root = resolve(import.meta.dirname, '..');
const nobody = 65_534;

/** A copy of this checkout that belongs to nobody, since others may be at work on this one. */
function makeCheckout(sandbox: Sandbox): string {
  const checkout = sandbox.join('checkout');
  mkdirSync(checkout);
  const names = readdirSync(root).filter((name) => !['.git', '.demo'].includes(name));
  execFileSync('cp', ['-a', '--reflink=auto', ...names, checkout], { cwd: root });
  execFileSync('chown', ['-R', `${nobody}:${nobody}`, checkout]);
  return checkout;
}

type Ending = { readonly code: number | null; readonly output: string };

/** Runs a command to its end. Its environment is bare: nothing of ours helps it. */
function run(argv: readonly string[], checkout: string, home: string): Promise<Ending> {
  const [program = '', ...args] = argv;
  // Without the Node that runs this test: a stranger has their own, or none that is new enough.
  const path = (process.env['PATH'] ?? '').split(delimiter).filter((entry) => !entry.includes('node_modules'));
  const env = { PATH: path.join(delimiter), HOME: home, TERM: 'xterm', LANG: 'C.UTF-8' };
  const child = spawn(program, args, { cwd: checkout, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  return new Promise((resolveEnd, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolveEnd({ code, output: stripVTControlCharacters(output) }));
  });
}

/** What every demo has to show, whoever runs it. */
async function checkShown({ code, output }: Ending, checkout: string): Promise<void> {
  assert.equal(code, 0, output);
  assert.match(output, /it listens at http:\/\/127\.0\.0\.1:\d+, process \d+/);
  assert.match(output, /it joined after [\d.]+ s/);
  assert.match(output, /✗ kill -9 \d+/);
  assert.match(output, /acknowledged before the kill: (\d+), of which stored: \1/);
  assert.match(output, /with the same checksum of all pages/);
  assert.match(output, /integrity_check: ok/);
  assert.match(output, /kill -9 \d+: that was the agent of \.demo\/one, at \d+ %/);
  assert.match(output, /rerouted: \.demo\/two now gets its data from \.demo\/backup/);
  assert.match(output, /damaged: unit \d+ is not what its digest says/);
  assert.match(output, /did not travel again/);
  assert.equal(output.match(/entries identical in content/g)?.length, 2, output);
  assert.match(output, /\.demo\/replay\.md/);
  for (const target of ['one', 'two']) {
    const directory = join(checkout, '.demo', target);
    assert.deepEqual(readdirSync(directory), ['backup'], 'nothing of the partial copy is left');
    assert.deepEqual(await compareTrees(join(checkout, '.demo/backup'), join(directory, 'backup')), []);
  }
  for (const node of ['leader', 'replica'])
    assert.ok(existsSync(join(checkout, '.demo', node, 'main.db')), `${node} ended in order`);
}

/** Runs the commands of replay.md as a person would who interrupts no copy: without that kill, the damage, and the rerun. */
async function checkReplay(checkout: string, home: string): Promise<void> {
  const page = readFileSync(join(checkout, '.demo/replay.md'), 'utf8');
  const script = /```sh\n(.*?)```/s.exec(page)?.[1] ?? '';
  const steps = script.split(/^(?=# )/m);
  const chosen = steps.filter((step) => !/^# (in a second terminal|turn over|continue)/.test(step));
  assert.equal(steps.length - chosen.length, 3, page);
  // With jobs, as an interactive shell has them.
  const { code, output } = await run(['bash', '-emuc', chosen.join('\n')], checkout, home);
  assert.equal(code, 0, output);
  assert.equal(output.match(/^identical$/gm)?.length, 2, output);
}

suite('npm run demo', () => {
  before(() => requireRoot('running the demo as another user'));

  // Proves: a stranger without root, with a read-only home and on a terminal, sees all of the demo; and what it says is so.
  // Proves: root sees it without a terminal, after another demo has left its copies; and the commands it leaves work by hand.
  test('as nobody on a terminal, then as root without one', async () => {
    await using sandbox = makeSandbox();
    const home = sandbox.join('home');
    mkdirSync(home, { mode: 0o555 });
    const checkout = makeCheckout(sandbox);
    const asNobody = ['setpriv', `--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups'];
    const onTerminal = [
      'script',
      '--quiet',
      '--return',
      '--command',
      'stty cols 100 && npm run demo -- --wait 1',
      '/dev/null',
    ];
    const first = await run([...asNobody, ...onTerminal], checkout, home);
    await checkShown(first, checkout);
    assert.match(first.output, /█/, 'a terminal gets bars');
    assert.match(first.output, /your turn, in another terminal: kill -9 \d+/);
    assert.deepEqual(readdirSync(home), [], 'the home stays as it was');

    const second = await run(['npm', 'run', 'demo'], checkout, home);
    await checkShown(second, checkout);
    await checkReplay(checkout, home);
  });

  // Proves: git does not see what the demo leaves, and help is there before anything is done.
  test('what it leaves alone', async () => {
    await using sandbox = makeSandbox();
    const argv = [join(root, 'node_modules/.bin/node'), '--conditions=batondb-source', 'scripts/demo.ts', '--help'];
    const { code, output } = await run(argv, root, sandbox.path);
    assert.equal(code, 0, output);
    assert.match(output, /^Usage: npm run demo/);
    assert.match(readFileSync(join(root, '.gitignore'), 'utf8'), /^\/\.demo\/$/m);
  });
});
