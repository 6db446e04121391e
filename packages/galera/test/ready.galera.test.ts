// Proves: a `ready` line reaches the donor whole, its secret is in no log and no process list, and a donor's exit code is what the joiner's log says.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BatonError } from '@batondb/core/errors';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { parseCall } from '../src/contract/call.ts';
import { errnoOf } from '../src/contract/exit-codes.ts';
import { formatReady, parseReady } from '../src/contract/ready.ts';
import { ScriptedCluster, wait } from './scripted.ts';

const isSoak = process.env['BATON_SOAK'] === '1';
const fingerprint = '0123456789abcdef'.repeat(4);
const secret = 'Top.Secret_of-this.Session0123456789abcdefg';
const ready = { host: '::1', port: 14_444, secret, fingerprint };
const full = errnoOf(new BatonError('NO_SPACE', 'the disk is full'));
const sayReady = `echo '${formatReady(ready)}'`;

test('ready lines travel, over IPv6, and their secrets stay secret', { timeout: 120_000 }, async () => {
  await using sandbox = makeSandbox();
  await using scripted = await ScriptedCluster.start(sandbox);
  const asked = await scripted.ask({ joiner: `${sayReady}; ${wait}`, donor: `sleep 0.5; exit ${full}` });
  const { donorCall, joinerLog, donorLog } = asked;
  assert.ok(donorCall !== undefined);
  assert.deepEqual(parseReady(parseCall(donorCall.argv, donorCall.environment)), ready);
  for (const log of [joinerLog, donorLog]) {
    assert.ok(!log.includes(secret));
    assert.match(log, /State transfer to \d\.\d \(n2\) failed: No space left on device/);
  }
  assert.match(donorCall.processes, /wsrep_sst_scripted --role donor --address \[::1\]:14444\/1\./);
  assert.ok(!donorCall.processes.includes(secret));
  // Nobody tells the joiner's process: it has to watch its server (G7).
  assert.equal(asked.joinerLingers, true);
  assert.deepEqual(asked.signalled, []);

  const longest = { ...ready, secret: 's'.repeat(510 - formatReady(ready).length + secret.length) };
  assert.throws(() => formatReady({ ...longest, secret: `${longest.secret}s` }), BatonError);
  const again = await scripted.ask({ joiner: `echo '${formatReady(longest)}'; ${wait}`, donor: 'exit 1' });
  const call = again.donorCall;
  assert.deepEqual(call && parseReady(parseCall(call.argv, call.environment)), longest);
});

// Slow, and nothing of ours: it shows what CONTRACT.md says of the servers.
if (isSoak)
  test('what servers make of bad endings', { timeout: 300_000 }, async (t) => {
    await using sandbox = makeSandbox();
    await using scripted = await ScriptedCluster.start(sandbox);
    const joiner = `${sayReady}; ${wait}`;
    const failed = (words: string): RegExp => new RegExp(`State transfer to \\d\\.\\d \\(n2\\) failed: ${words}`);
    const donors: [string, string, RegExp][] = [
      ['done without a position is a failure', 'echo done; exit 0', failed('Invalid argument')],
      ['an end without done is a failure', 'exit 0', failed('Remote address changed')],
      ['127 is taken for another errno', 'exit 127', failed('No such file or directory')],
      ['the number of a signal is no errno', 'kill -9 $$', failed('Unknown error 137')],
    ];
    for (const [name, donor, words] of donors) {
      await t.test(name, async () => {
        const asked = await scripted.ask({ joiner, donor });
        assert.match(asked.joinerLog, words);
        assert.equal(asked.donorState, 'Synced');
      });
    }
    await t.test('an exit code after done is ignored', async () => {
      const asked = await scripted.ask({
        joiner: `${sayReady}; sleep 2; exit 1`,
        donor: 'echo "done $position 0"; exit 28',
      });
      assert.match(asked.donorLog, /SST sent: /);
      assert.doesNotMatch(asked.joinerLog, failed(''));
    });
    await t.test(
      "a joiner that fails after ready leaves the donor Desynced until the donor's process ends",
      async () => {
        const asked = await scripted.ask({ joiner: `${sayReady}; sleep 1; exit ${full}`, donor: wait });
        assert.equal(asked.donorState, 'Donor/Desynced');
        assert.doesNotMatch(asked.donorLog, failed(''));
        assert.match(asked.joinerLog, /Failed to read uuid:seqno/);
      },
    );
    await t.test('a joiner that fails before ready troubles nobody', async () => {
      const asked = await scripted.ask({ joiner: `exit ${full}`, donor: wait });
      assert.equal(asked.donorCall, undefined);
      assert.equal(asked.donorState, 'Synced');
    });
  });
