import assert from 'node:assert/strict';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { startMariadb } from '@batondb/testbed/mariadb';
import { Random, seedOfRun } from '@batondb/testbed/random';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { describeRecovery } from '../src/state/describe.ts';
import { noUuid, readGrastate, writeGrastate } from '../src/state/grastate.ts';
import { recover } from '../src/state/recover.ts';
import { saveState } from '../src/state/saved-state.ts';
import { openStaging } from '../src/state/staging.ts';
import { type ChildStep, type Kill, killsOf, runChild } from './state.kills.ts';
import { type Content, contentOf, layOut, makeData, recoverArguments, recoveredUuid, topOf } from './state.servers.ts';

const isSoak = process.env['BATON_SOAK'] === '1';
const never = new AbortController().signal;
/** Kills of a run that is no soak: each takes some seconds of a server's starts. */
const killsMax = 5;
const zeros = { uuid: noUuid, seqno: -1n, safeToBootstrap: false };

/** The renames and syncs at which a directory of a server is killed; all calls are tried in state.swap.test.ts, with plain files. */
function choose(kills: readonly Kill[]): Kill[] {
  const moving = kills.filter(({ call }) => /^(renameat2?|fsync)$/.test(call));
  if (isSoak) return moving;
  const random = new Random(seedOfRun()).fork('servers');
  const chosen = new Set<Kill>();
  while (chosen.size < Math.min(killsMax, moving.length)) chosen.add(random.pick(moving));
  return [...chosen];
}

function commandFor(sandbox: Sandbox, dataDirectory: string): { dataDirectory: string; command: { argv: string[] } } {
  return { dataDirectory, command: { argv: recoverArguments(sandbox, dataDirectory) } };
}

// Proves (G2, G3): killed after any rename and any sync of a swap, `--wsrep-recover` and a server with Galera switched off refuse, or find the old
// data whole or the new data whole; after recover, they find one of both.
test('a swap of real data is killed, and servers are started on what is there', async (t) => {
  await using sandbox = makeSandbox();
  const contents = { old: await makeData(sandbox, 'old', 1000), new: await makeData(sandbox, 'new', 3000) };
  const named = (rows: string | undefined): string | undefined =>
    rows === undefined ? 'refused' : Object.entries(contents).find(([, content]) => content.rows === rows)?.[0];
  const data = await layOut(sandbox);
  const position = `${contents.new.uuid}:7`;
  const step: ChildStep = {
    dataDirectory: data,
    step: 'swap',
    layout: { binlog: 'binlog', relayLog: 'relay' },
    position,
  };
  const kills = await killsOf(step, sandbox.join('strace'));
  assert.equal(named(await contentOf(sandbox, data)), 'new');
  const chosen = choose(kills);
  for (const kill of chosen) {
    await layOut(sandbox);
    writeGrastate(data, zeros);
    assert.ok(await runChild(step, kill), `${JSON.stringify(kill)} was never reached`);
    const isGuarded = statSync(join(data, 'ibdata1')).isDirectory();
    const at = `${JSON.stringify(kill)}, seed ${seedOfRun()}: ${topOf(data)}`;
    const uuid = await recoveredUuid(sandbox, data);
    const before = named(await contentOf(sandbox, data));
    if (isGuarded) assert.deepEqual([uuid, before], [undefined, 'refused'], at);
    else assert.ok(before !== undefined && before !== 'refused' && uuid === contents[before as 'old' | 'new'].uuid, at);
    const report = await recover(commandFor(sandbox, data), never);
    const after = named(await contentOf(sandbox, data));
    assert.equal(after, isGuarded ? 'new' : before, `${at}: ${JSON.stringify(report.swap)}`);
    // A swap that recover has ended leaves a node that knows where its data is.
    if (report.swap === 'finished') {
      assert.deepEqual([report.position.kind, readGrastate(data)?.uuid], ['restored', contents.new.uuid], at);
    }
    assert.ok(!existsSync(join(data, '.sst')), at);
  }
  t.diagnostic(`seed ${seedOfRun()}: ${chosen.length} of ${kills.length} kills`);
});

// Proves (G8): after a transfer that failed before its swap, the old position is written back if InnoDB says the same, and not otherwise.
test('the old position is written back', async () => {
  await using sandbox = makeSandbox();
  const old: Content = await makeData(sandbox, 'old', 10);
  const data = sandbox.join('old/data');
  assert.deepEqual(await recover(commandFor(sandbox, data), never), { swap: 'nothing', position: { kind: 'none' } });
  const save = (): void => {
    using staging = openStaging(data, { make: true });
    assert.equal(saveState(staging)?.uuid, old.uuid);
    writeFileSync(join(staging.path, 'received'), 'half of the new data');
  };
  const saved = readGrastate(data);
  assert.ok(saved !== undefined && saved.uuid === old.uuid && saved.seqno > 0n);
  save();
  {
    await using _server = await startMariadb(sandbox, { name: 'running', dataDirectory: data });
    await assert.rejects(recover(commandFor(sandbox, data), never), { code: 'IN_USE' });
    await _server.stop();
  }
  assert.equal((await recover(commandFor(sandbox, data), never)).position.kind, 'kept');
  save();
  writeGrastate(data, zeros);
  const report = await recover(commandFor(sandbox, data), never);
  assert.match(
    describeRecovery(report).join(),
    /^grastate\.dat has the position of the old data again, .*an incremental transfer is possible$/,
  );
  assert.deepEqual(report.position, { kind: 'restored', uuid: old.uuid, seqno: saved.seqno, of: 'old data' });
  assert.deepEqual(readGrastate(data), { uuid: old.uuid, seqno: -1n, safeToBootstrap: false });
  // A server that has run since would have had its own reason to give the position up.
  writeGrastate(data, { ...saved, seqno: saved.seqno - 1n });
  {
    using staging = openStaging(data, { make: true });
    assert.equal(saveState(staging)?.seqno, String(saved.seqno - 1n));
  }
  writeGrastate(data, zeros);
  assert.equal((await recover(commandFor(sandbox, data), never)).position.kind, 'refused');
  // Another cluster's position is nothing to go by.
  const other = '6a1c6d3e-0d1c-11f0-8f1b-3f4a9c8d7e6f';
  writeGrastate(data, { ...zeros, uuid: other });
  {
    using staging = openStaging(data, { make: true });
    assert.equal(saveState(staging)?.uuid, other);
  }
  writeGrastate(data, zeros);
  assert.equal((await recover(commandFor(sandbox, data), never)).position.kind, 'refused');
  assert.equal(readGrastate(data)?.uuid, noUuid);
});
