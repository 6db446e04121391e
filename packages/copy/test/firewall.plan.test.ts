import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseParams } from '../src/control/schemas.ts';
import type { IptablesGate, NftGate } from '../src/firewall/gate.ts';
import { filtersInput, iptablesRemoval, replaceCommands, ruleSpecs, staleIds } from '../src/firewall/iptables.ts';
import {
  isEmptySet,
  nftRemoval,
  nftSweep,
  openCommands,
  readRuleset,
  renewCommands,
} from '../src/firewall/nftables.ts';

const id = '0123456789abcdef';
const gate: NftGate = { kind: 'nftables', family: 'inet', table: 'guard', chain: 'input' };
const admission = { addresses: ['10.0.0.1', '2001:db8::1'], port: 4400 };

type Parts = {
  readonly policy?: string;
  readonly hook?: string;
  readonly name?: string;
  readonly expr?: readonly unknown[];
};

function listing({ policy = 'accept', hook = 'input', name = 'input', expr = [] }: Parts): string {
  const chain = { family: 'inet', table: 'guard', name, handle: 1, type: 'filter', hook, prio: 0, policy };
  const rule = { family: 'inet', table: 'guard', chain: name, handle: 2, expr };
  return JSON.stringify({ nftables: [{ metainfo: { version: '1.0.6' } }, { chain }, { rule }] });
}

// Proves: a chain counts as filtering by its policy, by a verdict that turns away, and by anything that is not known to be harmless.
test('which chains of nftables filter', () => {
  const cases: readonly (readonly [Parts, boolean])[] = [
    [{}, false],
    [{ policy: 'drop' }, true],
    [{ policy: 'drop', hook: 'forward' }, false],
    [{ expr: [{ match: {} }, { counter: null }, { accept: null }] }, false],
    [{ expr: [{ match: {} }, { drop: null }] }, true],
    [{ expr: [{ reject: { type: 'tcp reset' } }] }, true],
    [{ expr: [{ jump: { target: 'other' } }] }, true],
    [{ expr: [{ vmap: {} }] }, true],
    [{ expr: [{ invented: null }] }, true],
  ];
  for (const [parts, filters] of cases) {
    assert.equal(readRuleset(listing(parts)).gates.length, filters ? 1 : 0, JSON.stringify(parts));
  }
});

// Proves: a listing that is none, and a chain whose name would become words of a command, are refused and not guessed at.
test('hostile listings', () => {
  for (const text of ['', '{', '[]', '{"nftables": 1}', '{"nftables": [{"chain": {"name": 5}}]}']) {
    assert.throws(() => readRuleset(text), text);
  }
  for (const name of ["in'put", 'in put', 'in;put', '', '$(id)', 'in\nput']) {
    assert.throws(() => readRuleset(listing({ policy: 'drop', name })), /cannot be told/, name);
  }
  const set = { family: 'inet', name: "baton_0123456789abcdef_4'; x", table: 'guard' };
  assert.deepEqual(readRuleset(JSON.stringify({ nftables: [{ set }] })).sets, []);
});

// Proves: the request to admit takes addresses and nothing else, since they become words of a firewall's commands.
test('what may be admitted', () => {
  const request = (address: string) => parseParams('admit', { addresses: [address], port: 4400, mode: 'auto' });
  for (const address of ['10.0.0.1', '2001:db8::1', '::1']) assert.deepEqual(request(address).addresses, [address]);
  for (const address of ['', 'db1', '10.0.0.0/8', '0/0', '10.0.0.1; flush ruleset', 'fe80::1%eth0', '10.0.0.1\n'])
    assert.throws(() => request(address), { code: 'PROTOCOL' }, address);
  assert.throws(() => parseParams('admit', { addresses: [], port: 4400, mode: 'auto' }), { code: 'PROTOCOL' });
});

// Proves: nftables is told each family's addresses in a set of that family, and a renewal leaves exactly those.
test('commands for nftables', () => {
  assert.deepEqual(openCommands([gate], id, admission).trim().split('\n'), [
    `add set inet guard baton_${id}_4 { type ipv4_addr; flags timeout; timeout 30s; }`,
    `add set inet guard baton_${id}_6 { type ipv6_addr; flags timeout; timeout 30s; }`,
    `add element inet guard baton_${id}_4 { 10.0.0.1 }`,
    `add element inet guard baton_${id}_6 { 2001:db8::1 }`,
    `insert rule inet guard input ip saddr @baton_${id}_4 tcp dport 4400 accept comment "baton:${id}"`,
    `insert rule inet guard input ip6 saddr @baton_${id}_6 tcp dport 4400 accept comment "baton:${id}"`,
  ]);
  assert.deepEqual(
    renewCommands([gate], id, { ...admission, addresses: ['10.0.0.2'] })
      .trim()
      .split('\n'),
    [
      `flush set inet guard baton_${id}_4`,
      `flush set inet guard baton_${id}_6`,
      `add element inet guard baton_${id}_4 { 10.0.0.2 }`,
    ],
  );
  assert.ok(
    nftRemoval([gate], id).every((line) => !line.includes('4400')),
    'no rule is found by its port',
  );
});

// Proves: what a dead job left is found by its own marks: in a chain that does not filter any more, in another one, and when its rules are
// gone already; others' rules and sets are not.
test('what is left in nftables', () => {
  const chain = { family: 'ip', table: 'filter', name: 'INPUT', type: 'filter', hook: 'input', policy: 'accept' };
  const other = 'fedcba9876543210';
  const rule = (name: string, comment: string) => ({ family: 'inet', table: 'guard', chain: name, comment });
  const set = (table: string, name: string) => ({ family: 'inet', table, name });
  const ruleset = readRuleset(
    JSON.stringify({
      nftables: [
        { chain },
        ...[`baton_${id}_4`, `baton_${id}_6`, 'baton_others'].map((name) => ({ set: set('guard', name) })),
        { set: set('bare', `baton_${other}_4`) },
        { rule: rule('input', `baton:${id}`) },
        { rule: rule('later', `baton:${id}`) },
        { rule: rule('strange', 'baton:others') },
      ],
    }),
  );
  assert.deepEqual([ruleset.gates, ruleset.managed], [[], ['ip']]);
  const lines = nftSweep(ruleset, id).join('\n');
  for (const name of ['input', 'later']) assert.match(lines, new RegExp(`list chain inet guard ${name} `));
  assert.doesNotMatch(lines, /strange|others|bare/);
  assert.match(nftSweep(ruleset, other).join('\n'), /^\{ printf 'delete set inet bare %s\\n' baton_\S+_4 baton_/m);
});

// Proves: a set counts as empty only when the kernel has forgotten all of it.
test('empty sets', () => {
  assert.equal(isEmptySet('{"nftables": [{"metainfo": {}}, {"set": {"name": "x"}}]}'), true);
  assert.equal(isEmptySet('{"nftables": [{"set": {"name": "x", "elem": [{"elem": {"val": "10.0.0.1"}}]}}]}'), false);
});

// Proves: iptables' chain counts as filtering unless all that is in it lets packets on; rules of ours are stale by their own time.
test('listings of iptables', () => {
  assert.equal(filtersInput('-P INPUT ACCEPT\n-A INPUT -p tcp -j ACCEPT\n-A INPUT -j LOG\n'), false);
  assert.equal(filtersInput('-P INPUT DROP\n'), true);
  assert.equal(filtersInput('-P INPUT ACCEPT\n-A INPUT -j ufw-before-input\n'), true);
  assert.equal(filtersInput('-P INPUT ACCEPT\n-A INPUT -g other\n'), true);
  const own = (expiry: number) => `-A INPUT -p tcp -m comment --comment "baton:${id}:${expiry}" -j ACCEPT`;
  assert.deepEqual(staleIds(`-P INPUT DROP\n${own(100)}\n${own(200)}\n`, 150_000), []);
  assert.deepEqual(staleIds(`-P INPUT DROP\n${own(100)}\n${own(200)}\n`, 201_000), [id]);
  assert.deepEqual(staleIds('-A INPUT -m comment --comment "baton:others" -j ACCEPT\n', 201_000), []);
});

// Proves: a rule of iptables names its sender, port, job and end, and is replaced in one transaction.
test('commands for iptables', () => {
  const six: IptablesGate = { kind: 'iptables', family: 'ip6', program: 'ip6tables' };
  const specs = ruleSpecs(six, id, admission, { nowMs: 1_000_000, isTimed: true });
  const rule = `INPUT -s 2001:db8::1 -p tcp -m tcp --dport 4400 -m comment --comment baton:${id}:1030`;
  assert.deepEqual(specs, [`${rule} -m time --datestop 1970-01-01T00:17:10 -j ACCEPT`]);
  assert.equal(replaceCommands(['INPUT a'], ['INPUT b']), '*filter\n-I INPUT a\n-D INPUT b\nCOMMIT\n');
  assert.ok(
    iptablesRemoval(six, id).every((line) => !line.includes('4400')),
    'no rule is found by its port',
  );
});
