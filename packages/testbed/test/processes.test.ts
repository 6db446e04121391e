import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { before, test } from 'node:test';
import { killProcess, listProcesses, processesWithVariable, waitUntil } from '@batondb/testbed/process-table';
import { mustRun, runCommand } from '@batondb/testbed/processes';
import { requireRoot } from '@batondb/testbed/requirements';
import { runBaton, startBaton } from '@batondb/testbed/run-baton';
import { makeSandbox } from '@batondb/testbed/sandbox';

before(() => requireRoot('the test of the testbed'));

// Proves: exit codes, both outputs and input arrive, and a missing program is an error.
test('runCommand collects what a command says', async () => {
  const result = await runCommand(['sh', '-c', 'cat; echo no >&2; exit 3'], { input: 'yes\n' });
  assert.deepEqual([result.code, result.stdout, result.stderr], [3, 'yes\n', 'no\n']);
  await assert.rejects(mustRun(['sh', '-c', 'echo reason >&2; exit 4']), /ended with 4: reason/);
  await assert.rejects(runCommand(['/no/such/program']), /ENOENT/);
});

// Proves: a command that takes too long is ended together with what it started.
test('runCommand ends grandchildren at its limit', async () => {
  const begin = performance.now();
  await assert.rejects(
    runCommand(['sh', '-c', 'sleep 31.5 & sleep 31.5'], { timeoutMs: 200 }),
    /took longer than 200 ms/,
  );
  assert.ok(performance.now() - begin < 5000);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual(
    listProcesses().filter(({ argv }) => argv[0] === 'sleep' && argv[1] === '31.5'),
    [],
  );
});

// Proves: the checkout's baton runs, its text is kept, and its exit code is handed on.
test('runBaton runs the checkout’s baton', async () => {
  const version = await runBaton(['--version'], { json: false });
  assert.equal(version.code, 0, version.stderr);
  assert.match(version.stdout, /\d+\.\d+\.\d+/);
  const unknown = await runBaton(['no-such-command'], { json: false });
  assert.notEqual(unknown.code, 0);
});

// Proves: waiting for an event ends with baton when the event never comes, instead of hanging.
test('a run that ends without the awaited event says so', async () => {
  await using run = startBaton(['--version'], { json: false });
  await assert.rejects(run.untilProgress(0.4), /ended .*before the awaited event|has ended without the awaited event/s);
});

// Proves: what baton leaves running on this machine is found, also outside its process group, and ended with the run.
test('a run knows what it has started', async () => {
  await using run = startBaton(['--version'], { json: false });
  await run.finished;
  await run.waitForNoProcess();
  assert.deepEqual(run.processes(), []);
  const child = spawn('setsid', ['sh', '-c', 'sleep 43.5 & wait'], { env: { ...process.env, TESTBED_MARK: 'one' } });
  await waitUntil('both run', () => processesWithVariable('TESTBED_MARK', 'one').length === 2);
  for (const { pid } of processesWithVariable('TESTBED_MARK', 'one')) await killProcess(pid);
  assert.deepEqual(processesWithVariable('TESTBED_MARK', 'one'), []);
  child.unref();
});

// Proves: a sandbox goes away with immutable files, closed directories and mounts in it.
test('a sandbox removes whatever was made in it', async () => {
  let path = '';
  {
    await using sandbox = makeSandbox();
    path = sandbox.path;
    mkdirSync(sandbox.join('closed/below'), { recursive: true });
    writeFileSync(sandbox.join('closed/below/immutable'), 'x');
    await mustRun(['chattr', '+i', sandbox.join('closed/below/immutable')]);
    await mustRun(['chmod', '000', sandbox.join('closed')]);
    mkdirSync(sandbox.join('mount'));
    await mustRun(['mount', '-t', 'tmpfs', 'none', sandbox.join('mount')]);
    writeFileSync(sandbox.join('mount/file'), 'x');
  }
  assert.ok(!existsSync(path));
});
