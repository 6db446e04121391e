// Sessions between nodes that demand certificates of an authority: what is let through, and that what is not is refused on both sides, never taken with less (G5, G11).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect as connectRawTls } from 'node:tls';
import { BatonError } from '@batondb/core/errors';
import { encodeFrame, frameTypes } from '@batondb/core/protocol/frame';
import { makeIdentity } from '@batondb/core/transport/certificate';
import { connectTls } from '@batondb/core/transport/tls';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import type { Certified } from '../src/wire/certified.ts';
import { connectToJoiner } from '../src/wire/donor-session.ts';
import { decodeMessage, encodeMessage } from '../src/wire/messages.ts';
import { makeProof } from '../src/wire/proof.ts';
import { type IssueOptions, TestAuthority } from './authority.certificates.ts';
import { hasCode, key, never, openJoiner, openPair, placeOf } from './wire.sessions.ts';

const timeout = 40_000;

type Demand = Certified | undefined;

/** An authority, and what nodes with certificates of it have. */
async function makeAuthority(
  sandbox: Sandbox,
  name = 'ca',
): Promise<(name: string, options?: IssueOptions, isForHost?: boolean) => Promise<Certified>> {
  const authority = await TestAuthority.make(sandbox.path, name);
  return async (node, options, isForHost) => authority.certified(await authority.issue(node, options), isForHost);
}

/** Has a donor connect, which has to fail; returns what both sides say. */
async function refusal(
  ofJoiner: Demand,
  ofDonor: Demand,
  more: { readonly host?: string } = {},
): Promise<{ readonly donor: string; readonly joiner: string }> {
  const notes: string[] = [];
  await using joiner = await openJoiner({ certified: ofJoiner, onNote: (note) => notes.push(note) });
  const error = await connectToJoiner(placeOf(joiner, { certified: ofDonor, ...more }), never).then(
    () => assert.fail('the donor was let in'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof BatonError && error.code === 'NOT_TRUSTED', String(error));
  assert.ok(!joiner.hasDonor && !joiner.signal.aborted);
  return { donor: error.message, joiner: notes.join('; ') };
}

// Proves: with certificates of one authority on both sides a session goes its whole way, also where all nodes share one certificate, and with the joiner's address in it.
test('both sides have certificates of the authority', { timeout }, async (t) => {
  await using sandbox = makeSandbox();
  const issue = await makeAuthority(sandbox);
  const [one, other] = [await issue('one'), await issue('other')];
  const cases: readonly (readonly [string, Certified, Certified])[] = [
    ['one each', one, other],
    ['the same for all', one, one],
    ['names are asked', await issue('named', {}, true), { ...other, isForHost: true }],
    [
      'each for what it does',
      await issue('server', { usage: 'serverAuth' }),
      await issue('client', { usage: 'clientAuth' }),
    ],
  ];
  for (const [name, ofJoiner, ofDonor] of cases) {
    await t.test(name, async () => {
      await using pair = await openPair({ joiner: { certified: ofJoiner }, donor: { certified: ofDonor } });
      assert.equal(pair.joiner.fingerprint, ofJoiner.identity.fingerprint);
      const offering = pair.donor.offer({ method: 'bypass', estimatedBytes: 0, about: {} }, never);
      await pair.joiner.offer(never);
      pair.proxy.cut();
      pair.joiner.accept();
      await offering;
      const finished = pair.donor.finish('u:1', {}, never);
      assert.equal((await pair.joiner.finish(never)).position, 'u:1');
      await pair.joiner.verified();
      await finished;
    });
  }
});

// Proves: mutual verification is no substitute of secret and key where there are some: who has a certificate still has to prove both.
test('a certificate of the authority is not enough', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const issue = await makeAuthority(sandbox);
  const [one, other] = [await issue('one'), await issue('other')];
  await using joiner = await openJoiner({ certified: one });
  for (const more of [{ key: undefined }, { key: Buffer.alloc(32, 9) }, { secret: 'ab'.repeat(32) }]) {
    await assert.rejects(
      connectToJoiner(placeOf(joiner, { certified: other, ...more }), never),
      hasCode('NOT_TRUSTED'),
    );
  }
  assert.ok(!joiner.hasDonor);
});

// Proves: a demand of one side alone, another authority, an expired certificate, one for another use or another name: refused, with the reason in both logs.
test('what the authority does not vouch for', { timeout }, async (t) => {
  await using sandbox = makeSandbox();
  const issue = await makeAuthority(sandbox);
  const issueElsewhere = await makeAuthority(sandbox, 'elsewhere');
  const good = await issue('good');
  const named = { ...good, isForHost: true };
  const cases: readonly (readonly [string, Demand, Demand, RegExp])[] = [
    ['only the joiner demands it', good, undefined, /nobody but its owner has signed it/],
    ['only the donor demands it', undefined, good, /nobody but its owner has signed it/],
    [
      'a donor of another authority',
      good,
      { ...(await issueElsewhere('stranger')), authority: good.authority },
      /(another authority has signed it|authority that has signed it is not known)/,
    ],
    [
      'a joiner of another authority',
      await issueElsewhere('impostor'),
      good,
      /(another authority has signed it|authority that has signed it is not known)/,
    ],
    ['a donor whose certificate has expired', good, await issue('expired', { days: -1 }), /has expired/],
    ['a joiner whose certificate has expired', await issue('late', { days: -1 }), good, /has expired/],
    ["a donor with a server's certificate", good, await issue('server', { usage: 'serverAuth' }), /extended key usage/],
    [
      "a joiner with a client's certificate",
      await issue('client', { usage: 'clientAuth' }),
      good,
      /extended key usage/,
    ],
    [
      'a joiner with another address',
      await issue('far', { names: 'IP:192.0.2.1,DNS:far.example' }),
      named,
      /it is for IP Address:192\.0\.2\.1, DNS:far\.example, and not for 127\.0\.0\.1/,
    ],
  ];
  for (const [name, ofJoiner, ofDonor, reason] of cases) {
    await t.test(name, async () => {
      const said = await refusal(ofJoiner, ofDonor);
      assert.match(said.donor, reason);
      assert.match(said.donor, /ssl-mode=VERIFY_/);
      assert.match(said.joiner, reason);
    });
  }
  // A name is only asked where it is demanded.
  await using joiner = await openJoiner({ certified: await issue('nearby', { names: 'DNS:nearby' }) });
  await using donor = await connectToJoiner(placeOf(joiner, { certified: good }), never);
  assert.ok(!donor.signal.aborted);
});

// Proves: nobody without a certificate gets as far as a first message, and one of its own making that proves secret and key is refused.
test('a stranger with the secret and the key', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const issue = await makeAuthority(sandbox);
  await using joiner = await openJoiner({ certified: await issue('joiner') });
  const { port, fingerprint: expectedFingerprint, secret } = joiner;
  const socket = connectRawTls({ host: '127.0.0.1', port, rejectUnauthorized: false });
  await new Promise((resolve) => socket.on('close', resolve).on('error', resolve).resume());
  const place = { host: '127.0.0.1', port, expectedFingerprint, timeoutMs: 4000 };
  await using connection = await connectTls({ ...place, identity: makeIdentity() });
  const proof = makeProof('donor', { secret, key }, connection.binding);
  const hello = {
    type: 'hello',
    versions: { min: 1, max: 1 },
    proof,
    purpose: 'control',
    transfer: 0,
    received: 0,
  } as const;
  await connection.write(...encodeFrame(frameTypes.message, encodeMessage(hello)));
  const answer = decodeMessage((await connection.readFrame(AbortSignal.timeout(5000)))?.payload ?? new Uint8Array());
  assert.ok(answer.message.type === 'failed' && answer.message.code === 'NOT_TRUSTED');
  assert.ok(!joiner.hasDonor);
});

// Proves: processes that share a certificate are told apart: a second donor is refused while one is at work, and one of the first format, which does not say which it is, is no donor.
test('a second donor with the same certificate', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const issue = await makeAuthority(sandbox);
  const shared = await issue('shared');
  await using joiner = await openJoiner({ certified: shared });
  const { port, fingerprint: expectedFingerprint, secret } = joiner;
  const { identity } = shared;
  await using connection = await connectTls({
    host: '127.0.0.1',
    port,
    expectedFingerprint,
    identity,
    timeoutMs: 4000,
  });
  const proof = makeProof('donor', { secret, key }, connection.binding);
  const hello = {
    type: 'hello',
    versions: { min: 1, max: 1 },
    proof,
    purpose: 'control',
    transfer: 0,
    received: 0,
  } as const;
  await connection.write(...encodeFrame(frameTypes.message, encodeMessage(hello)));
  const answer = decodeMessage((await connection.readFrame(AbortSignal.timeout(5000)))?.payload ?? new Uint8Array());
  assert.ok(answer.message.type === 'failed' && answer.message.code === 'PROTOCOL');
  assert.ok(!joiner.hasDonor);
  await using donor = await connectToJoiner(placeOf(joiner, { certified: shared }), never);
  await assert.rejects(connectToJoiner(placeOf(joiner, { certified: shared }), never), hasCode('BUSY'));
  assert.ok(!donor.signal.aborted);
});
