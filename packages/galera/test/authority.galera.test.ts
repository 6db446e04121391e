// A real cluster whose nodes have certificates of one authority and nothing else: no key, and a group channel in clear.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { mustRun } from '@batondb/testbed/processes';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { checkNode } from '../src/node/check/check-node.ts';
import { type Issued, TestAuthority } from './authority.certificates.ts';
import { dataOf, Joining } from './joining.ts';
import { makeMethod } from './method.ts';

const timeout = 240_000;
// Each costs an attempt of a whole server; the wire's own tests have them all without one.
const isSoak = process.env['BATON_SOAK'] === '1';

/** What an operator writes into `[sst]` of a node. */
function demand(authority: TestAuthority, { certificateFile, keyFile }: Issued): Record<string, string> {
  const files = { 'ssl-ca': authority.file, 'ssl-cert': certificateFile, 'ssl-key': keyFile };
  return { method: 'files', 'ssl-mode': 'VERIFY_IDENTITY', ...files };
}

async function giveToMysql(...paths: readonly string[]): Promise<void> {
  await mustRun(['chown', 'mysql', ...paths]);
  await mustRun(['chmod', '600', ...paths]);
}

/** An attempt that has to fail, with the old data untouched. */
async function expectRefusal(joining: Joining, joiner: RegExp, donor: RegExp): Promise<void> {
  const old = dataOf(joining.joiner);
  const { ending, joinerLog, donorLog } = await joining.attempt();
  assert.equal(ending, 'ended');
  assert.match(joinerLog, joiner);
  assert.match(donorLog, donor);
  assert.deepEqual(dataOf(joining.joiner), old);
  await joining.recover();
}

async function findingsOf(optionFile: string): Promise<string> {
  const findings = await checkNode([`--defaults-file=${optionFile}`], AbortSignal.timeout(60_000));
  const about = findings.filter(({ subject }) => subject === 'certificates' || subject === 'key');
  return about.map(({ severity, subject, text }) => `${severity} ${subject}: ${text}`).join('\n');
}

async function makeKeyFile(sandbox: Sandbox): Promise<string> {
  const path = sandbox.join('baton.key');
  writeFileSync(path, 'of all nodes '.repeat(4), { mode: 0o640 });
  await mustRun(['chown', 'root:mysql', path]);
  return path;
}

// Proves (G5, G11): certificates of an authority that both nodes demand are enough for a transfer, and what only one of them demands is refused with the cause in both logs.
test('nodes with certificates of an authority', { timeout }, async (t) => {
  await using sandbox = makeSandbox();
  const authority = await TestAuthority.make(sandbox.path);
  const [one, other] = [await authority.issue('one'), await authority.issue('other')];
  await giveToMysql(one.keyFile, other.keyFile);
  const path = [await makeMethod(sandbox)];
  const server = { 'wsrep-sst-auth': '' };
  await using joining = await Joining.start(sandbox, { path, server, sst: demand(authority, one) });
  const { joiner, donor } = joining;
  for (const node of [joiner, donor]) {
    assert.match(node.log(), /both sides are proven by certificates, as ssl-mode=VERIFY_IDENTITY demands/);
  }
  const pinned = await mustRun(['openssl', 'x509', '-noout', '-fingerprint', '-sha256', '-in', one.certificateFile]);
  const fingerprint = pinned.stdout.split('=')[1]?.replaceAll(':', '').trim().toLowerCase() ?? '';
  assert.ok(donor.log().includes(fingerprint), "the request names the server's own certificate");
  // G10.
  const [, ...secrets] = readFileSync(one.keyFile, 'utf8').split('\n').slice(0, -2);
  for (const node of [joiner, donor]) assert.ok(secrets.every((line) => !node.log().includes(line)));
  await joining.leaveBehind();
  const key = await makeKeyFile(sandbox);
  await t.test('only the donor demands it', async () => {
    joiner.configure({ sst: { method: 'files', key } });
    await expectRefusal(
      joining,
      /^(?=[\s\S]*was refused: .* nobody but its owner has signed it)[\s\S]*failed: Permission denied/,
      /baton donor: the transfer has failed: .*ssl-mode=VERIFY_IDENTITY on this side .*nobody but its owner.*\(NOT_TRUSTED\)[\s\S]*next step: demand the same on all nodes/,
    );
  });
  await t.test('only the joiner demands it', async () => {
    joiner.configure({ sst: { ...demand(authority, other), key } });
    donor.configure({ sst: { method: 'files', key } });
    await expectRefusal(
      joining,
      /was refused: .*ssl-mode=VERIFY_IDENTITY on this side .*nobody but its owner/,
      /baton donor: the transfer has failed: the joiner refused: .*ssl-mode=VERIFY_IDENTITY.*\(NOT_TRUSTED\)/,
    );
  });
  await t.test('a joiner whose certificate is for another host finds it out before anybody is asked', async () => {
    const far = await authority.issue('far', { names: 'DNS:far.example' });
    await giveToMysql(far.keyFile);
    joiner.configure({ sst: demand(authority, far) });
    await expectRefusal(
      joining,
      /far\.pem is for DNS:far\.example, and donors connect to 127\.0\.0\.1/,
      /^(?!.*baton donor)/,
    );
  });
  await t.test('what check says of it', async () => {
    const far = await authority.issue('far', { names: 'DNS:far.example' });
    joiner.configure({ sst: demand(authority, far) });
    assert.match(await findingsOf(joiner.optionFile), /^error certificates: .*far\.pem is for DNS:far\.example/m);
    joiner.configure({ sst: demand(authority, one) });
    const said = await findingsOf(joiner.optionFile);
    assert.match(said, /^ok certificates: .*one\.pem is of .*ca\.pem and good until \d{4}-/m);
    const soon = await authority.issue('soon', { days: 5 });
    joiner.configure({ sst: demand(authority, soon) });
    assert.match(
      await findingsOf(joiner.optionFile),
      /^error certificates: .*soon\.key cannot be read by the user mysql/m,
    );
    await mustRun(['chmod', '644', soon.keyFile]);
    assert.match(await findingsOf(joiner.optionFile), /^warning certificates: .*soon\.pem expires on/m);
    assert.match(await findingsOf(joiner.optionFile), /^warning certificates: .*soon\.key has mode 644/m);
  });
  if (!isSoak) return;
  await t.test('and with another certificate each it goes on', async () => {
    joiner.configure({ sst: demand(authority, other) });
    donor.configure({ sst: { ...demand(authority, one), 'ssl-mode': 'VERIFY_CA' } });
    assert.equal((await joining.attempt()).ending, 'Synced');
    assert.equal(await joining.generationOf(joiner), joining.generation);
  });
});
