// Proves: what an unpacker has written leaves the memory when it is on the disk, but for the last parts and what is read soon.
import assert from 'node:assert/strict';
import { closeSync, fsyncSync, mkdtempSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { mustRun } from '@batondb/testbed/processes';
import { WriteBehind } from '../src/write-behind.ts';

const mib = 1024 * 1024;
const tmpfsType = 0x01021994;

/** Bytes of a file that are in memory. */
async function cachedBytes(path: string): Promise<number> {
  const { stdout } = await mustRun(['fincore', '--bytes', '--noheadings', '--output', 'RES', path]);
  return Number(stdout.trim());
}

test('a file leaves the memory behind its writer', { timeout: 20_000 }, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'baton-behind-'));
  try {
    const parts = 32;
    for (const name of ['table.ibd', 'ib_logfile0']) {
      const descriptor = openSync(join(directory, name), 'w');
      for (let part = 0; part < parts; part++) writeSync(descriptor, Buffer.alloc(mib, part));
      fsyncSync(descriptor);
      closeSync(descriptor);
    }
    const behind = new WriteBehind(directory);
    for (let part = 0; part < parts; part++) {
      for (const path of ['./table.ibd', 'ib_logfile0', 'gone.ibd']) {
        behind.given({ path, offset: part * mib, bytes: mib });
      }
    }
    const inMemory = statfsSync(directory).type === tmpfsType ? parts * mib : 12 * mib;
    const table = join(directory, 'table.ibd');
    while ((await cachedBytes(table)) > inMemory) await sleep(20);
    assert.equal(await cachedBytes(join(directory, 'ib_logfile0')), parts * mib);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
