// What operators demand of certificates, in the words of MariaDB's methods, and the files that they name.
import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { BatonError } from '@batondb/core/errors';
import { mustRun } from '@batondb/testbed/processes';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { checkCertificate } from '../src/certificates/check.ts';
import { readCertificates } from '../src/certificates/read.ts';
import type { Role } from '../src/contract/call.ts';
import { type AuthorityDemand, readDemand } from '../src/settings/authority.ts';
import type { Settings } from '../src/settings/settings.ts';
import { findKey } from '../src/transfer-key.ts';
import { TestAuthority } from './authority.certificates.ts';

const timeout = 60_000;

type Group = Readonly<Record<string, string>>;

function demandOf(
  groups: { sst?: Group; server?: Group; backup?: Group },
  role: Role = 'joiner',
): AuthorityDemand | undefined {
  const [sst, server, backup] = [groups.sst, groups.server, groups.backup].map(
    (group) => new Map(Object.entries(group ?? {})),
  );
  return readDemand({ sst: sst ?? new Map(), server: server ?? new Map(), backup: backup ?? new Map() }, role, '/data');
}

const ofServer = { 'ssl-ca': '/s/ca', 'ssl-cert': '/s/cert', 'ssl-key': '/s/key' };
const ofSst = { tca: '/t/ca', tcert: '/t/cert', tkey: '/t/key' };

// Proves: certificates are asked for when an operator says so, and never since a server has some for its clients.
test('what is a demand', () => {
  const none: readonly Group[] = [
    {},
    { encrypt: '0' },
    { encrypt: '3' },
    { 'ssl-mode': 'REQUIRED' },
    { 'ssl-mode': 'DISABLED' },
  ];
  for (const sst of none) assert.equal(demandOf({ sst }), undefined, JSON.stringify(sst));
  assert.equal(demandOf({ server: ofServer, sst: { 'ssl-mode': 'REQUIRED' } }), undefined);
  assert.equal(demandOf({ server: ofServer, sst: { encrypt: '3', tcert: '/t/cert', tkey: '/t/key' } }), undefined);
  const cases: readonly (readonly [Group, string, boolean])[] = [
    [{ 'ssl-mode': 'VERIFY_CA' }, 'ssl-mode=VERIFY_CA', false],
    [{ 'ssl-mode': 'verify_identity' }, 'ssl-mode=VERIFY_IDENTITY', true],
    [{ encrypt: '4' }, 'encrypt=4', false],
    [{ encrypt: '2' }, 'encrypt=2', false],
    [{ encrypt: '3' }, 'encrypt=3', true],
    [{ encrypt: '3', 'ssl-mode': 'VERIFY_CA' }, 'ssl-mode=VERIFY_CA', false],
    [{ encrypt: '4', 'ssl-mode': 'VERIFY_IDENTITY' }, 'ssl-mode=VERIFY_IDENTITY', true],
  ];
  for (const [sst, option, isForHost] of cases) {
    const { option: found, isForHost: foundForHost } = demandOf({ server: ofServer, sst }) ?? {};
    assert.deepEqual([found, foundForHost], [option, isForHost]);
  }
});

// Proves: the files are those that MariaDB's scripts would take.
test('which files are meant', () => {
  const mode = { 'ssl-mode': 'VERIFY_CA' };
  const files = (demand: AuthorityDemand | undefined): unknown => [
    demand?.authorityFile,
    demand?.certificateFile,
    demand?.keyFile,
  ];
  assert.deepEqual(files(demandOf({ sst: { ...mode, ...ofSst }, server: ofServer })), ['/t/ca', '/t/cert', '/t/key']);
  assert.deepEqual(files(demandOf({ sst: { ...mode, 'ssl-ca': '/x' }, server: ofServer })), [
    '/s/ca',
    '/s/cert',
    '/s/key',
  ]);
  assert.deepEqual(files(demandOf({ server: mode, backup: { 'ssl-ca': 'ca', 'ssl-cert': 'c', 'ssl-key': 'k' } })), [
    '/data/ca',
    '/data/c',
    '/data/k',
  ]);
  const roles = { ...mode, 'ssl-server-cert': '/r/joins', 'ssl-client-cert': '/r/gives' };
  assert.equal(demandOf({ sst: roles, server: ofServer }, 'joiner')?.certificateFile, '/r/joins');
  assert.equal(demandOf({ sst: { ...roles, ...ofSst } }, 'donor')?.certificateFile, '/r/gives');
  assert.equal(demandOf({ sst: { encrypt: '2', tca: '/t/ca', tcert: '/t/both' } })?.keyFile, '/t/both');
  assert.deepEqual(demandOf({ sst: { ...mode, ...ofSst, tca: '/t/certs/' } })?.authorityDirectory, '/t/certs/');
  assert.equal(demandOf({ sst: { ...mode, ...ofSst, 'ssl-crl': '/t/crl' } })?.revocationFile, '/t/crl');
});

/** Reads a demand's files and has them judged; returns what is said of them. */
async function judge(demand: AuthorityDemand, role: Role = 'joiner', host = '127.0.0.1'): Promise<string> {
  try {
    await checkCertificate(readCertificates(demand), demand, role, host);
    return 'good';
  } catch (error) {
    assert.ok(error instanceof BatonError && error.hint !== undefined, String(error));
    return `${error.code}: ${error.message}`;
  }
}

async function makeFiles(sandbox: Sandbox): Promise<{ authority: TestAuthority; demand: AuthorityDemand }> {
  const authority = await TestAuthority.make(sandbox.path);
  const issued = await authority.issue('node');
  const demand = {
    option: 'ssl-mode=VERIFY_CA',
    isForHost: false,
    authorityFile: authority.file,
    authorityDirectory: undefined,
    revocationFile: undefined,
    ...issued,
  };
  return { authority, demand };
}

// Proves: what is wrong with a file is found before anybody connects, and said with the file's name and the next step.
test('files that are good, and files that are not', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const { authority, demand } = await makeFiles(sandbox);
  const { certificateFile, keyFile } = demand;
  const write = (name: string, text: string): string => {
    writeFileSync(sandbox.join(name), text);
    return sandbox.join(name);
  };
  assert.equal(await judge(demand), 'good');
  assert.equal(await judge(demand, 'donor'), 'good');
  const both = write('both.pem', `${readFileSync(certificateFile, 'utf8')}${readFileSync(keyFile, 'utf8')}`);
  assert.equal(await judge({ ...demand, certificateFile: both, keyFile: both }), 'good');
  const empty = write('empty.pem', 'nothing\n');
  const elsewhere = await TestAuthority.make(sandbox.path, 'elsewhere');
  const expired = await authority.issue('expired', { days: -1 });
  const server = await authority.issue('server', { usage: 'serverAuth' });
  const short = await authority.issue('short', { key: ['-newkey', 'rsa:1024', '-nodes'] });
  const sealed = sandbox.join('sealed.key');
  await mustRun(['openssl', 'pkey', '-in', keyFile, '-aes256', '-passout', 'pass:secret', '-out', sealed]);
  const cases: readonly (readonly [Partial<AuthorityDemand>, RegExp])[] = [
    [{ certificateFile: '/nowhere/cert.pem' }, /^NOT_FOUND: \/nowhere\/cert\.pem/],
    [{ certificateFile: empty }, /^USAGE: .*empty\.pem holds no certificate in PEM/],
    [{ keyFile: empty }, /^USAGE: .*empty\.pem holds no private key/],
    [{ keyFile: sealed }, /^USAGE: .*sealed\.key is encrypted/],
    [{ keyFile: elsewhere.keyFile }, /^USAGE: .*elsewhere\.key is not the private key of .*node\.pem/],
    [{ authorityFile: empty }, /^USAGE: .*empty\.pem holds no certificate of an authority/],
    [
      { authorityFile: elsewhere.file },
      /^USAGE: .*node\.pem is not taken by nodes that ask .*elsewhere\.pem: the authority/,
    ],
    [expired, /^USAGE: .*expired\.pem has expired on \d{4}-\d\d-\d\d/],
    [short, /^USAGE: .*short\.pem cannot be used with .*ca\.pem: OpenSSL does not take it: ee key too small/],
    [{ isForHost: true }, /^good/],
    [
      {
        isForHost: true,
        certificateFile: (await authority.issue('far', { names: 'DNS:far' })).certificateFile,
        keyFile: sandbox.join('far.key'),
      },
      /^USAGE: .*far\.pem is for DNS:far, and donors connect to 127\.0\.0\.1/,
    ],
    [
      { authorityFile: write('damaged.pem', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n') },
      /damaged\.pem holds a damaged certificate/,
    ],
  ];
  for (const [more, said] of cases) assert.match(await judge({ ...demand, ...more }), said);
  assert.equal(await judge({ ...demand, ...server }, 'joiner'), 'good');
  assert.match(await judge({ ...demand, ...server }, 'donor'), /server\.pem is not taken .*extended key usage/);
});

// Proves: a directory of authorities is read by the names that OpenSSL looks for, and a list of revocations counts.
test('a directory of authorities, and revocations', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const { authority, demand } = await makeFiles(sandbox);
  const directory = sandbox.join('authorities');
  mkdirSync(directory);
  const ofDirectory = { ...demand, authorityFile: undefined, authorityDirectory: directory };
  copyFileSync(authority.file, `${directory}/ca.pem`);
  assert.match(await judge(ofDirectory), /^USAGE: .*authorities holds no certificates by the names/);
  const { stdout } = await mustRun(['openssl', 'x509', '-noout', '-hash', '-in', authority.file]);
  copyFileSync(authority.file, `${directory}/${stdout.trim()}.0`);
  assert.equal(await judge(ofDirectory), 'good');
  const revoked = await authority.issue('revoked');
  const revocationFile = await authority.revoke(revoked);
  assert.equal(await judge({ ...demand, revocationFile }), 'good');
  assert.match(await judge({ ...demand, ...revoked, revocationFile }), /revoked\.pem is not taken .*: it was revoked/);
});

// Proves: an authority of the cluster's own is enough where there is no key and the group channel is in clear (G5); a store of many authorities, of which anybody gets a certificate, is not.
test('whether an authority is enough without a key', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const { authority, demand } = await makeFiles(sandbox);
  const settings = {
    keyFile: sandbox.join('none.key'),
    isKeyFileNamed: false,
    allowUnauthenticatedDonor: false,
    credentials: undefined,
  };
  const keyWith = (files: AuthorityDemand | undefined): ReturnType<typeof findKey> =>
    findKey(
      { dialect: 'mariadb' },
      settings as Settings,
      { isGroupEncrypted: false } as never,
      files && readCertificates(files),
    );
  assert.deepEqual(keyWith(demand), { bytes: undefined, origin: `certificates of ${authority.file}` });
  assert.throws(() => keyWith(undefined), /there is no key/);
  const store = sandbox.join('store.pem');
  writeFileSync(store, readFileSync(authority.file, 'utf8').repeat(17));
  assert.throws(() => keyWith({ ...demand, authorityFile: store }), /there is no key/);
  writeFileSync(settings.keyFile, 'k'.repeat(40));
  chmodSync(settings.keyFile, 0o640);
  assert.equal(keyWith(demand).origin, settings.keyFile);
});
