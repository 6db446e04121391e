// Proves: threads share a tree: two write and read the pieces of the same files at once, and priorities reach every thread.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { openTree, walkAll } from './files.copy-tree.ts';

test('two threads copy one tree', { timeout: 60_000 }, async () => {
  const base = mkdtempSync(join(tmpdir(), 'baton-workers-'));
  try {
    mkdirSync(join(base, 'source/d'), { recursive: true });
    for (let index = 0; index < 300; index += 1)
      writeFileSync(join(base, `source/d/${index}`), `${index}`.repeat(index));
    writeFileSync(join(base, 'source/large'), Buffer.alloc(9_000_000, 'large'));
    const { entries } = walkAll(join(base, 'source'));
    using copy = openTree(join(base, 'copy'), entries, false);
    copy.writer.makeDirectories();
    const script = join(import.meta.dirname, 'files.copy-worker.ts');
    const workers = [0, 1].map((part) => new Worker(script, { workerData: { base, part, parts: 2 } }));
    const exits = workers.map(
      (worker) => new Promise<number>((resolve, reject) => worker.on('error', reject).on('exit', resolve)),
    );
    assert.deepEqual(await Promise.all(exits), [0, 0]);
    assert.deepEqual(copy.writer.finish({ applyAllFiles: false }), []);
    execFileSync('diff', ['-r', join(base, 'source'), join(base, 'copy')]);
  } finally {
    rmSync(base, { recursive: true });
  }
});

test('a lower priority reaches threads that run already and those that come', { timeout: 30_000 }, () => {
  const script = `
    import { Worker } from 'node:worker_threads';
    import { readdirSync, readFileSync } from 'node:fs';
    import { execFileSync } from 'node:child_process';
    import { lowerPriority } from '${join(import.meta.dirname, '../src/files/priority.ts')}';
    const worker = new Worker('setInterval(() => {}, 1000)', { eval: true });
    await new Promise((resolve) => worker.once('online', resolve));
    lowerPriority();
    lowerPriority();
    const nices = readdirSync('/proc/self/task').map((task) => readFileSync('/proc/self/task/' + task + '/stat', 'latin1').split(') ')[1].split(' ')[16]);
    console.log(JSON.stringify({ nices, io: execFileSync('ionice', ['-p', String(process.pid)]).toString().trim() }));
    process.exit(0);`;
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['--conditions=batondb-source', '--disable-warning=ExperimentalWarning', '--input-type=module', '-e', script],
    { encoding: 'utf8', timeout: 20_000 },
  );
  assert.notEqual(stdout, '', stderr);
  const { nices, io } = JSON.parse(stdout) as { nices: string[]; io: string };
  assert.ok(nices.length > 4);
  assert.deepEqual([...new Set(nices)], ['10']);
  assert.equal(io, 'best-effort: prio 7');
});
