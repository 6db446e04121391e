// Power cuts at every kind of operation, on a disk that keeps only what was synced and of the rest what it likes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random, seedOfRun } from '@batondb/testbed/random';
import type { WriterHost } from '../src/node/writer-host.ts';
import { audit, judge, openBank, transfer } from './bank.ts';
import { FaultyLayer } from './faulty-layer.ts';
import { openHost, request, run } from './in-process.ts';
import { isSoak } from './property.ts';

const rounds = isSoak ? 10_000 : 300;
const timeout = isSoak ? 3_600_000 : 120_000;

/** Moves money until the machine dies or enough was moved; tells what was acknowledged as it is. */
async function work(host: WriterHost, random: Random, acknowledged: Set<number>, firstId: number): Promise<number> {
  let id = firstId;
  const end = id + random.integer(1, 25);
  while (id < end) {
    const group = Array.from({ length: random.integer(1, 6) }, () => id++);
    const replies = group.map(async (number) => {
      await host.executor.run(request('', [], { statements: transfer(number, random), isAtomic: true }));
      acknowledged.add(number);
    });
    const all = Promise.allSettled(replies);
    await host.machine.flush();
    await all;
    if (host.machine.failure !== undefined) return id;
    if (random.integer(0, 5) === 0) await host.checkpoint();
    if (random.integer(0, 15) === 0) await run(host, 'DELETE FROM ledger WHERE 0').catch(() => undefined);
    if (random.integer(0, 15) === 0) await run(host, 'VACUUM').catch(() => undefined);
  }
  if (random.integer(0, 2) === 0) await host.close();
  return id;
}

async function judgeHost(host: WriterHost, acknowledged: ReadonlySet<number>): Promise<Set<number>> {
  const rows = async (sql: string): Promise<readonly (readonly unknown[])[]> => (await run(host, sql)).results[0]!.rows;
  return judge(await rows(audit.ledger), await rows(audit.accounts), await rows(audit.integrity), acknowledged);
}

// Proves: whatever a power cut or a failed fdatasync leaves of unsynced writes, every acknowledged transaction is there, no other
// one is half there, and the file is sound (L3, L4, L6, C1 to C3, N1); again and again on the same directory.
test('power cuts', { timeout }, async (t) => {
  const seed = seedOfRun();
  t.diagnostic(`BATON_SEED=${seed}`);
  for (let round = 0; round < rounds; ) {
    const random = new Random(seed).fork(`directory ${round}`);
    const acknowledged = new Set<number>();
    let layer = new FaultyLayer(random);
    let nextId = 1;
    const first = await openHost(layer);
    await first.openDatabase('main', 1024);
    await run(first, '', [], { statements: openBank, isAtomic: true });
    for (const last = round + random.integer(3, 8); round < last; round++) {
      const faults =
        random.integer(0, 4) === 0 ? { failSyncAt: random.integer(1, 120) } : { dieAt: random.integer(1, 400) };
      layer = layer.afterPowerCut(faults);
      try {
        const host = await openHost(layer);
        nextId = await work(host, random, acknowledged, nextId);
      } catch (error) {
        // The machine was off, or its disk failed; what it acknowledged counts.
        assert.ok(isExpected(error), `BATON_SEED=${seed} round ${round}: ${String((error as Error).stack)}`);
      }
      if (random.integer(0, 2) === 0) {
        // A kill first: what the process wrote is there, and a power cut that follows its next start takes what that did not sync.
        layer = layer.afterKill();
        const killed = await openHost(layer);
        for (const id of await judgeHost(killed, acknowledged)) acknowledged.add(id);
      }
      layer = layer.afterPowerCut();
      const host = await openHost(layer);
      try {
        for (const id of await judgeHost(host, acknowledged)) acknowledged.add(id);
      } catch (error) {
        throw new Error(`BATON_SEED=${seed} round ${round}`, { cause: error });
      }
      nextId = Math.max(nextId, ...acknowledged) + 1;
    }
  }
});

function isExpected(error: unknown): boolean {
  const text = [error, (error as Error).cause].map(String).join(' ');
  return /the machine is off|EIO|could not be written|nothing more is written/.test(text);
}
