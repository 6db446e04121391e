// What stands between a donor and a joiner: a network that breaks or changes bytes, and strangers at the joiner's port, while a real cluster transfers its state.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { waitUntil } from '@batondb/testbed/process-table';
import { mustRun } from '@batondb/testbed/processes';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { connectToJoiner } from '../src/wire/donor-session.ts';
import { makeSecret } from '../src/wire/proof.ts';
import { dataOf, Joining, scriptOf } from './joining.ts';
import { detourDonors, makeMethod } from './method.ts';
import { CuttingProxy, hasCode, never } from './wire.sessions.ts';

const key = 'the-key-of-this-cluster-0123456789';
const recordedBytesMax = 2_000_000;

test('between donor and joiner', { timeout: 300_000 }, async (t) => {
  await using sandbox = makeSandbox();
  const keyFile = sandbox.join('baton.key');
  writeFileSync(keyFile, key, { mode: 0o640 });
  await mustRun(['chown', 'root:mysql', keyFile]);
  const method = await makeMethod(sandbox);
  const sst = { key: keyFile, bwlimit: '16M', compression: 'none', 'sst-idle-timeout': '15' };
  await using joining = await Joining.start(sandbox, { path: [method], sst });
  const { joiner, donor } = joining;
  using proxy = await CuttingProxy.open(joiner.place.ports.transfer);
  detourDonors(method, proxy.port);
  const receiving = async (log: () => { joinerLog: string }): Promise<void> => {
    const bytes = proxy.bytes;
    const isSo = (): boolean => /receiving a hot backup/.test(log().joinerLog) && proxy.bytes > bytes + 1_000_000;
    await joiner.withLog(waitUntil('the backup comes', isSo, 60_000));
  };
  const untilSynced = async (): Promise<void> => {
    assert.equal(await joining.untilEnding(), 'Synced');
    await joining.untilQuiet();
    assert.equal(await joining.generationOf(joiner), joining.generation);
  };
  const recorded: Buffer[] = [];

  // Proves: a network that is gone for some seconds costs these seconds, and not the transfer.
  await t.test('cut for seconds', async () => {
    await joining.leaveBehind();
    const log = joining.follow();
    proxy.tamper = (chunk) => {
      if (recorded.length < recordedBytesMax / 16_384) recorded.push(Buffer.from(chunk));
      return chunk;
    };
    await joiner.start();
    await receiving(log);
    proxy.isDown = true;
    proxy.cut();
    await sleep(2000);
    proxy.isDown = false;
    await untilSynced();
    proxy.tamper = undefined;
    assert.match(log().donorLog, /the donor has reached the joiner again/);
    assert.match(log().joinerLog, /the connection with the donor broke/);
  });

  // Proves (G1, G6): a network that is gone for good ends both sides, each says why, and the old data is untouched.
  await t.test('silent for good', async () => {
    for (const node of [joiner, donor]) node.configure({ sst: { ...sst, 'sst-idle-timeout': '4' } });
    const old = await joining.leaveBehind();
    const log = joining.follow();
    await joiner.start();
    await receiving(log);
    proxy.isHeld = true;
    assert.equal(await joining.untilEnding(), 'ended');
    await joining.untilQuiet();
    proxy.isHeld = false;
    for (const node of [joiner, donor]) node.configure({ sst });
    const why = /the transfer has failed: .*\((CONNECTION_LOST|STALLED|HOP_UNREACHABLE|INTERRUPTED)\)/;
    assert.match(log().joinerLog, why);
    assert.match(log().donorLog, /the transfer has failed: .*\((CONNECTION_LOST|STALLED|HOP_UNREACHABLE)\)/);
    assert.deepEqual(dataOf(joiner), old);
  });

  // Proves: a byte that was changed on its way ends its connection, never gets into the data, and does not end the transfer.
  await t.test('a flipped byte', async () => {
    await joining.leaveBehind();
    let flipped = 0;
    proxy.tamper = (chunk, at) => {
      if (flipped >= 2 || at < 300_000 || chunk.length < 100) return chunk;
      flipped += 1;
      const changed = Buffer.from(chunk);
      changed.writeUInt8(changed.readUInt8(50) ^ 1, 50);
      return changed;
    };
    const log = joining.follow();
    await joiner.start();
    await untilSynced();
    proxy.tamper = undefined;
    assert.equal(flipped, 2);
    assert.match(log().donorLog, /a data connection with the joiner broke and is opened again/);
  });

  // Proves (G5): who has the ready line but not the key, who has the key but not the secret, who replays a transfer and who talks nonsense gets nothing and
  // spoils nothing: the joiner waits for the right donor, and takes its state.
  await t.test('strangers at the port', async () => {
    await joining.leaveBehind();
    proxy.isDown = true;
    const log = joining.follow();
    await joiner.start();
    await donor.withLog(waitUntil("the donor's process runs", () => scriptOf(donor) !== undefined, 60_000));
    const place = { host: '127.0.0.1', port: joiner.place.ports.transfer, ...readyOf(joining, log().donorLog) };
    const strangers = [
      { ...place, key: undefined },
      { ...place, key: Buffer.from('the-key-of-another-cluster-0123456') },
      { ...place, key: Buffer.from(key), secret: makeSecret() },
    ];
    for (const stranger of strangers) await assert.rejects(connectToJoiner(stranger, never), hasCode('NOT_TRUSTED'));
    for (const bytes of [Buffer.concat(recorded), Buffer.from('GET / HTTP/1.0\r\n\r\n')]) await say(place.port, bytes);
    proxy.isDown = false;
    await untilSynced();
    assert.ok(log().joinerLog.match(/was refused: .* has not proven/g)?.length === strangers.length, log().joinerLog);
  });
});

/** What a donor has been told of its joiner: what everybody sees in a process list, and what its environment hides. */
function readyOf({ donor }: Joining, log: string): { fingerprint: string; secret: string } {
  const fingerprint = /--address '127\.0\.0\.1:\d+\/1\.([0-9a-f]{64})/.exec(log)?.[1] ?? '';
  const environment = readFileSync(`/proc/${scriptOf(donor)?.pid}/environ`, 'latin1');
  const secret = /WSREP_SST_OPT_REMOTE_AUTH=baton:([0-9a-f]{64})/.exec(environment)?.[1] ?? '';
  assert.ok(fingerprint !== '' && secret !== '');
  return { fingerprint, secret };
}

/** Writes bytes to a port and waits until the other side has had enough of them. */
async function say(port: number, bytes: Buffer): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.resume();
  socket.write(bytes);
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  await Promise.race([closed, sleep(5000)]);
  socket.destroy();
}
