import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Row } from '@batondb/sync';
import { Random, seedOfRun } from '@batondb/testbed/random';
import { readLines } from './ndjson-reader.ts';
import { runs } from './property.ts';
import { type Contents, contentsOf } from './sink-model.ts';
import { counts, numbers, processSink, transaction } from './sink-process.ts';
import { readReplica } from './sqlite-reader.ts';

// kill -9 of the process that writes to a file, at random points.

const rounds = runs(3).numRuns;

/** Runs the process and kills it while it writes. Gives the last position that it said was durable. */
async function runAndKill(kind: string, path: string, random: Random): Promise<number> {
  const program = join(import.meta.dirname, 'sink-process.ts');
  const child = spawn(process.execPath, ['--conditions=batondb-source', program, kind, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  const exited = new Promise((resolve) => child.once('exit', resolve));
  const { promise: isWriting, resolve } = Promise.withResolvers<void>();
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString();
    resolve();
  });
  await Promise.race([isWriting, exited]);
  await sleep(random.integer(0, 300));
  child.kill('SIGKILL');
  await exited;
  // The last line may be torn.
  return Number(said.split('\n').slice(0, -1).at(-1) ?? 0);
}

/** Each row is as the transaction after its own left it, but for the last. */
function expected(position: number): Contents {
  const rows = new Map<string, Row>();
  for (let number = 1; number <= position; number++) {
    for (const event of transaction(number)) {
      if ((event.kind === 'insert' || event.kind === 'update') && event.table === numbers) {
        rows.set(String(event.row[0]), event.row);
      }
    }
  }
  return contentsOf([
    { table: numbers, rows: [...rows.values()] },
    { table: counts, rows: [[String(position)]] },
  ]);
}

for (const kind of ['sqlite', 'ndjson']) {
  // Proves: what was told to be durable survives kill -9, the file is at one position, and the next owner goes on there: nothing twice, no hole (Y1, Y3).
  test(`${kind}: kill -9 at any point`, async (t) => {
    const random = new Random(seedOfRun());
    t.diagnostic(`BATON_SEED=${random.seed}`);
    const directory = await mkdtemp(join(tmpdir(), 'baton-sink-kill-'));
    t.after(() => rm(directory, { recursive: true }));
    const path = join(directory, 'rows');
    let before = 0;
    for (let round = 0; round < rounds; round++) {
      const said = await runAndKill(kind, path, random);
      await using owned = await processSink(kind, path).own(
        new AbortController().signal,
        () => {},
        () => {},
      );
      const position = Number(owned.state.position);
      assert.ok(said > before, `round ${round} has written beyond ${before}`);
      assert.ok(position >= said, `${said} was durable, and the file is at ${position}`);
      const found = kind === 'sqlite' ? readReplica(path) : readLines(await readFile(path, 'utf8'));
      assert.deepEqual(found, expected(position), `at ${position}`);
      before = position;
    }
  });
}
