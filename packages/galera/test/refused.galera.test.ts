// Transfers that cannot be: a real joiner with data of its own, whose next step its log names. Its data is untouched each time (G1), nothing is left, and the donor is Synced.
import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { makeIdentity } from '@batondb/core/transport/certificate';
import { waitUntil } from '@batondb/testbed/process-table';
import { mustRun } from '@batondb/testbed/processes';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { dataOf, Joining, moveOnto } from './joining.ts';
import { makeMethod } from './method.ts';

const timeout = 240_000;
const mebibyte = 1024 * 1024;

async function makeKeyFile(sandbox: Sandbox, name: string, mode = 0o640): Promise<string> {
  const path = sandbox.join(name);
  writeFileSync(path, `${name} `.padEnd(40, name), { mode });
  await mustRun(['chown', 'root:mysql', path]);
  return path;
}

/** What is refused before `ready` troubles nobody: the donor's process was never started. */
type Refusal = { readonly name: string; readonly joiner: RegExp; readonly donor: RegExp | 'never asked' };

/** Runs an attempt that has to fail as it is said, and looks at what it leaves. */
async function expectRefusal(joining: Joining, { joiner, donor }: Omit<Refusal, 'name'>): Promise<void> {
  const old = dataOf(joining.joiner);
  const { ending, joinerLog, donorLog } = await joining.attempt();
  assert.equal(ending, 'ended');
  assert.match(joinerLog, joiner);
  if (donor === 'never asked') assert.doesNotMatch(donorLog, /baton donor|Shifting SYNCED -> DONOR/);
  else assert.match(donorLog, donor);
  assert.deepEqual(dataOf(joining.joiner), old);
  const { position } = await joining.recover();
  assert.match(position.kind, /^(none|kept|restored)$/);
}

// Proves (G5, G11): nodes whose keys are not alike, or of which one has none, or has one that everybody can read, transfer nothing; nor do nodes without any key on
// a group channel in clear. The joiner's own faults are found before the donor is asked.
test('keys and credentials', { timeout }, async (t) => {
  await using sandbox = makeSandbox();
  const [ours, theirs] = [await makeKeyFile(sandbox, 'ours.key'), await makeKeyFile(sandbox, 'theirs.key')];
  const open = await makeKeyFile(sandbox, 'open.key');
  chmodSync(open, 0o644);
  const missing = sandbox.join('missing.key');
  const path = [await makeMethod(sandbox)];
  await using joining = await Joining.start(sandbox, { path, sst: { key: ours } });
  const { donor, joiner } = joining;
  await joining.leaveBehind();
  const keys = (atDonor: string, atJoiner: string): void => {
    donor.configure({ sst: { key: atDonor } });
    joiner.configure({ sst: { key: atJoiner } });
  };
  const cases: readonly (Refusal & { readonly keys: readonly [string, string] })[] = [
    {
      name: 'different keys',
      keys: [theirs, ours],
      joiner: /was refused: .* has not proven the secret of this transfer and the key[\s\S]*failed: Permission denied/,
      donor: /baton donor: the transfer has failed: .*has not proven .*NOT_TRUSTED[\s\S]*next step: compare the key/,
    },
    {
      name: 'no key file on the donor',
      keys: [missing, ours],
      joiner: /State transfer to .* failed: No such file or directory/,
      donor: /the transfer has failed: .*missing\.key.* \(NOT_FOUND\)/,
    },
    {
      name: 'no key file on the joiner',
      keys: [ours, missing],
      joiner: /the transfer has failed: .*missing\.key.* \(NOT_FOUND\)/,
      donor: 'never asked',
    },
    {
      name: 'a key file that everybody can read',
      keys: [ours, open],
      joiner: /open\.key can be read or written by everybody \(mode 644\) \(NO_PERMISSION\)/,
      donor: 'never asked',
    },
  ];
  for (const one of cases) {
    await t.test(one.name, async () => {
      keys(...one.keys);
      await expectRefusal(joining, one);
    });
  }
  keys(ours, ours);
  await t.test("the donor's credentials are wrong", async () => {
    await donor.sql("ALTER USER 'sst'@'localhost' IDENTIFIED BY 'another'");
    await expectRefusal(joining, {
      // Its server hears of it from the group, and its process from the donor's: either may be first.
      joiner:
        /^(?=[\s\S]*the transfer has failed: the donor failed: .*\(ACCESS_DENIED\))[\s\S]*failed: Permission denied/,
      donor: /the transfer has failed: .*Access denied.*\(ACCESS_DENIED\)/,
    });
    await donor.sql("ALTER USER 'sst'@'localhost' IDENTIFIED BY 'of-all-nodes'");
  });
  await t.test('no key at all, and a group channel in clear', async () => {
    joiner.configure({ sst: {}, server: { 'wsrep-sst-auth': '' } });
    await expectRefusal(joining, {
      joiner: /there is no key: .* socket\.ssl is off.*NOT_TRUSTED[\s\S]*next step: make .* by 'baton galera install'/,
      donor: 'never asked',
    });
    joiner.configure({ sst: { key: ours }, server: {} });
  });
  await t.test('and with the right ones it goes on', async () => {
    assert.equal((await joining.attempt()).ending, 'Synced');
    assert.equal(await joining.generationOf(joiner), joining.generation);
  });
});

// Proves: a group channel that is encrypted carries the secret safely, and is enough without any key.
test('socket.ssl without a key', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const { privateKeyPem, certificatePem } = makeIdentity();
  const [key, certificate] = [sandbox.join('group.key'), sandbox.join('group.crt')];
  writeFileSync(key, privateKeyPem);
  writeFileSync(certificate, certificatePem);
  await mustRun(['chown', 'mysql', key, certificate]);
  const provider = {
    'socket.ssl': 'yes',
    'socket.ssl_key': key,
    'socket.ssl_cert': certificate,
    'socket.ssl_ca': certificate,
  };
  const path = [await makeMethod(sandbox)];
  const server = { 'wsrep-sst-auth': '' };
  await using joining = await Joining.start(sandbox, { path, provider, server, sst: { method: 'files' } });
  assert.match(joining.joiner.log(), /both sides are proven by the encrypted group channel/);
  assert.match(joining.donor.log(), /both sides are proven by the encrypted group channel/);
});

// Proves: a disk that is too small for both is told with the numbers before anything is received, and one that fills up in the middle costs nothing but the attempt.
test('a full disk', { timeout }, async (t) => {
  await using sandbox = makeSandbox();
  const path = [await makeMethod(sandbox)];
  const slow = { bwlimit: '8M', compression: 'none' };
  await using joining = await Joining.start(sandbox, { path, provider: { 'gcache.size': '4M' } });
  await joining.leaveBehind();
  await using disk = await moveOnto(sandbox, joining, { sizeBytes: 700 * mebibyte });
  await t.test('too small from the beginning', async () => {
    await disk.fill(150 * mebibyte);
    await expectRefusal(joining, {
      joiner: /the donor has about \d+ MiB of data, which takes \d+ MiB .* has 1\d\d MiB free.*\(NO_SPACE\)/,
      donor: /the transfer has failed: the joiner .*the donor has about .*\(NO_SPACE\)/,
    });
    disk.empty();
  });
  await t.test('filled up in the middle', async () => {
    joining.donor.configure({ sst: slow });
    const old = dataOf(joining.joiner);
    const log = joining.follow();
    await joining.joiner.start();
    await waitUntil('the backup comes', () => /receiving a hot backup/.test(log().joinerLog), 60_000);
    await disk.fill(4 * mebibyte);
    assert.equal(await joining.untilEnding(), 'ended');
    await joining.untilQuiet();
    assert.match(log().joinerLog, /the transfer has failed: .*No space left on device.*\(NO_SPACE\)/);
    assert.match(log().donorLog, /the transfer has failed: the joiner failed: .*\(NO_SPACE\)/);
    disk.empty();
    assert.deepEqual(dataOf(joining.joiner), old);
  });
  await t.test('and with room it goes on', async () => {
    assert.equal((await joining.attempt()).ending, 'Synced');
    assert.equal(await joining.generationOf(joining.joiner), joining.generation);
  });
  await joining.joiner.stop();
});
