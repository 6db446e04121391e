import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';
import type { CopyEvent } from '@batondb/copy/events';
import { checkoutPath } from '@batondb/testbed/checkout';
import { stopAgents } from '@batondb/testbed/faults';
import { type Bed, startHosts } from '@batondb/testbed/hosts';
import { killProcess, processesWithVariable, waitUntil } from '@batondb/testbed/process-table';
import { requireRoot } from '@batondb/testbed/requirements';
import type { BatonRun } from '@batondb/testbed/run-baton';
import { makeLargeFiles } from '@batondb/testbed/trees';
import {
  assertAllDone,
  assertExit,
  assertNothingRuns,
  resultOf,
  runCopy,
  startCopy,
  summaryOf,
} from './copy-on-bed.ts';
import { TargetDirectory } from './copy-remains.ts';

// Whatever ends the command ends everything it has started, on every host, within 10 seconds, with the exit code of the cause.

const mib = 1024 * 1024;
/** A process with this variable in its environment was started by a terminal of these tests. */
const mark = 'BATON_LIFETIME_TEST';

let bed: Bed;
let tree: string;
let targets: TargetDirectory[];
let args: string[];

/** Words of a shell's command line. */
const quoted = (words: readonly string[]): string => words.map((word) => `'${word}'`).join(' ');
const batonCopy = (...options: readonly string[]): string =>
  quoted([join(checkoutPath, 'baton'), 'copy', '--ssh', bed.sshCommand, ...options, ...args]);

/** A command on a terminal of its own, as a person has it. */
class Terminal implements AsyncDisposable {
  readonly #script: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #mark = String(Math.random());
  /** All that the terminal has shown, without its control characters. */
  shown = '';

  constructor(command: string) {
    // The shell outlives the signal, to note how the command ended. Its children get the signal as ever.
    const line = `trap : HUP INT; ${command}; echo "$?" > '${this.#codePath()}'`;
    this.#script = spawn('script', ['-qefc', line, '/dev/null'], {
      stdio: ['pipe', 'pipe', 'ignore'],
      env: { ...process.env, TERM: 'xterm', NO_COLOR: '1', [mark]: this.#mark },
    });
    this.#ended = new Promise((resolve) => this.#script.once('close', resolve));
    this.#script.stdout?.on('data', (chunk: Buffer) => {
      this.shown += stripVTControlCharacters(chunk.toString());
    });
    this.#script.stdin?.on('error', () => undefined);
  }

  /** Types something; Ctrl-C is \x03. */
  type(text: string): void {
    this.#script.stdin?.write(text);
  }

  /** The terminal is gone, as when a window is closed or a connection breaks. */
  async lose(): Promise<void> {
    await killProcess(this.#script.pid ?? 0);
  }

  /** Waits until the command and all it started on this machine has ended, and returns its exit code. */
  async exitCode(): Promise<number> {
    await waitUntil('the command ends', () => existsSync(this.#codePath()), 30_000);
    await waitUntil('all it started ends', () => processesWithVariable(mark, this.#mark).length === 0, 10_000);
    return Number(readFileSync(this.#codePath(), 'utf8'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(processesWithVariable(mark, this.#mark).map(({ pid }) => killProcess(pid)));
    await this.#ended;
  }

  #codePath(): string {
    return join(bed.path, `code-${this.#mark}`);
  }
}

/** Starts a copy and waits until data moves. */
async function startMoving(): Promise<BatonRun<CopyEvent>> {
  const run = startCopy(bed, args);
  await run.untilProgress(0.1);
  return run;
}

/** Everywhere nothing runs any more, and what is there is not taken for a copy. */
async function assertAllEnded(): Promise<void> {
  await assertNothingRuns(bed);
  for (const target of targets) {
    assert.ok(!target.isDone);
    assert.equal(target.staging().length, 1);
    await target.assertSafe();
  }
}

suite('the lifetime of a copy', () => {
  before(async () => {
    requireRoot('the test of copies that are ended');
    bed = await startHosts({ count: 3, linkMbit: 60 });
    tree = bed.host('a').join('tree');
    makeLargeFiles(tree, { files: 2, bytesEach: 40 * mib, compressible: 0 });
  });

  beforeEach(async () => {
    const hosts = [bed.host('b'), bed.host('c')];
    await Promise.all(hosts.map((host) => host.exec(['rm', '-rf', host.join('in')])));
    targets = await Promise.all(hosts.map((host) => TargetDirectory.make(host.path, tree)));
    args = [`a:${tree}`, ...hosts.map(({ name }, index) => `${name}:${targets[index]?.path}`)];
  });

  after(async () => {
    await bed[Symbol.asyncDispose]();
  });

  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    // Proves (C4): a signal ends the copy on all hosts, and its exit code and last event say so.
    test(`${signal} to the command`, async () => {
      await using run = await startMoving();
      run.kill(signal);
      const result = await run.finished;
      await Promise.all([run.waitForNoProcess(), assertAllEnded()]);
      assertExit(result, code);
      const last = result.events.at(-1) as unknown as { type: string; exitCode: number; error: { code: string } };
      assert.deepEqual([last.type, last.error.code, last.exitCode], ['error', 'INTERRUPTED', code]);
    });
  }

  // Proves (C4): a signal to the whole process group, as a supervisor may send it, is the same.
  test('SIGTERM to the process group', async () => {
    await using run = await startMoving();
    run.killGroup('SIGTERM');
    assertExit(await run.finished, 143);
    await Promise.all([run.waitForNoProcess(), assertAllEnded()]);
  });

  // Proves (C4): a second Ctrl-C does not wait for a host that hangs; that host's agent ends by itself.
  test('a second Ctrl-C', async () => {
    await using run = await startMoving();
    {
      await using _hung = await stopAgents(bed.host('b'));
      run.kill('SIGINT');
      await sleep(200);
      run.kill('SIGINT');
      assertExit(await run.finished, 130);
      await Promise.all([bed.host('a').waitForNoProcess(), bed.host('c').waitForNoProcess()]);
    }
    await Promise.all([run.waitForNoProcess(), assertAllEnded()]);
  });

  // Proves (C4): one Ctrl-C is enough when a host hangs.
  test('Ctrl-C when a host hangs', async () => {
    await using run = await startMoving();
    {
      await using _hung = await stopAgents(bed.host('c'));
      run.kill('SIGINT');
      assertExit(await run.finished, 130);
      await Promise.all([bed.host('a').waitForNoProcess(), bed.host('b').waitForNoProcess(), run.waitForNoProcess()]);
    }
    await assertAllEnded();
  });

  // Proves: a person who types Ctrl-C sees why it ended and the line that continues, has the cursor again, and that line
  // completes the copy.
  test('Ctrl-C on a terminal', async () => {
    await using terminal = new Terminal(batonCopy());
    await waitUntil('progress is shown', () => / [1-9]\d? %/.test(terminal.shown), 60_000);
    terminal.type('\x03');
    assert.equal(await terminal.exitCode(), 130);
    await assertAllEnded();
    const end = terminal.shown.slice(terminal.shown.lastIndexOf('baton: '));
    assert.match(end, /^baton: ended by SIGINT\r\nto continue where this stopped.*:\r\n/);
    const [, , line = ''] = end.split('\r\n');
    await using again = new Terminal(line.trim().replace(/^baton /, `'${join(checkoutPath, 'baton')}' `));
    assert.equal(await again.exitCode(), 0, again.shown);
    for (const target of targets) await target.assertComplete();
  });

  // Proves (C4): a terminal that is lost ends the copy everywhere, also under a shell that does not pass SIGHUP on.
  test('a lost terminal', async () => {
    await using terminal = new Terminal(batonCopy());
    await waitUntil('progress is shown', () => / [1-9]\d? %/.test(terminal.shown), 60_000);
    await terminal.lose();
    assert.equal(await terminal.exitCode(), 129);
    await assertAllEnded();
  });

  // Proves: an output that nobody reads any more ends the copy everywhere.
  test('a closed output', async () => {
    await using terminal = new Terminal(`bash -c "${batonCopy('--json')} | head -8; exit \\\${PIPESTATUS[0]}"`);
    assert.equal(await terminal.exitCode(), 141);
    assert.equal(terminal.shown.match(/"type":/g)?.length, 8);
    await assertAllEnded();
  });

  // Proves: an ssh process that is killed costs its host the copy, and no other.
  test('a killed ssh process', async () => {
    await using run = await startMoving();
    const ssh = run.processes().find(({ argv }) => argv[0] === 'ssh' && argv.includes('b'));
    assert.ok(ssh !== undefined, 'an ssh process leads to b');
    await killProcess(ssh.pid);
    const result = await run.finished;
    assertExit(result, 50);
    const [b = '', c = ''] = args.slice(1);
    assert.equal(resultOf(summaryOf(result), b).error?.code, 'CONNECTION_LOST');
    assert.equal(resultOf(summaryOf(result), c).state, 'done');
    await Promise.all([run.waitForNoProcess(), assertNothingRuns(bed)]);
    for (const target of targets) await target.assertSafe();
    assert.deepEqual(
      targets.map(({ isDone }) => isDone),
      [false, true],
    );
    assertAllDone(await runCopy(bed, args), [b, c]);
    for (const target of targets) await target.assertComplete();
  });

  // Proves: without the source's ssh process there is no copy, and no process either.
  test('the killed ssh process of the source', async () => {
    await using run = await startMoving();
    const ssh = run.processes().find(({ argv }) => argv[0] === 'ssh' && argv.includes('a'));
    await killProcess(ssh?.pid ?? 0);
    assertExit(await run.finished, 50);
    await Promise.all([run.waitForNoProcess(), assertAllEnded()]);
  });
});
