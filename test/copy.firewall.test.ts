import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CopyEvent } from '@batondb/copy/events';
import { killAgents } from '@batondb/testbed/faults';
import type { Host } from '@batondb/testbed/host';
import { type Bed, startHosts } from '@batondb/testbed/hosts';
import { killProcess, listProcesses, waitUntil } from '@batondb/testbed/process-table';
import { Random, seedOfRun } from '@batondb/testbed/random';
import { requireRoot } from '@batondb/testbed/requirements';
import type { BatonRun } from '@batondb/testbed/run-baton';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { makeLargeFiles } from '@batondb/testbed/trees';
import {
  assertAllDone,
  assertExit,
  assertIdentical,
  eventsOf,
  isSoak,
  makeTargets,
  resultOf,
  runCopy,
  startCopy,
  summaryOf,
} from './copy-on-bed.ts';

// Copies between hosts whose firewalls drop what they do not know, and what is left of our rules.

const mib = 1024 * 1024;
/** No rule of ours may be left later than this after whatever was killed. */
const ruleMsMax = 60_000;
let trees: Sandbox;
let tree: string;

before(() => {
  requireRoot('the test of firewalls');
  trees = makeSandbox();
  tree = trees.join('tree');
  makeLargeFiles(tree, { files: 3, bytesEach: 8 * mib, compressible: 0, seed: 5 });
});

after(async () => {
  await trees[Symbol.asyncDispose]();
});

/** A firewall as hosts have it: `setUp` makes it, with rules of others that look a little like ours. */
type Wall = { readonly name: string; readonly setUp: string };

const nftRules = `table inet guard {
  set baton_others { type ipv4_addr; flags timeout; timeout 1h; }
  chain input {
    type filter hook input priority 0; policy drop;
    ct state established,related accept
    meta l4proto ipv6-icmp accept
    tcp dport 22 accept
    ip saddr 192.0.2.1 tcp dport 4400 accept comment "baton:others"
  }
}
table ip late {
  chain arrivals { type filter hook input priority 10; policy accept; jump judge; }
  chain judge { tcp dport 22 accept; ct state established accept; drop; }
}`;

function iptablesRules(ending: string): string {
  return ['', '6']
    .flatMap((version) => {
      const program = `ip${version}tables${ending} -w 20`;
      const stranger = version === '' ? '192.0.2.1' : '2001:db8::1';
      return [
        `${program} -A INPUT -m state --state ESTABLISHED,RELATED -j ACCEPT`,
        `${program} -A INPUT -p ${version === '' ? 'icmp' : 'ipv6-icmp'} -j ACCEPT`,
        `${program} -A INPUT -p tcp --dport 22 -j ACCEPT`,
        `${program} -A INPUT -s ${stranger} -p tcp --dport 4400 -m comment --comment baton:others -j ACCEPT`,
        `${program} -P INPUT DROP`,
      ];
    })
    .join(' && ');
}

const nftables: Wall = { name: 'nftables', setUp: `nft -f - <<'EOF'\n${nftRules}\nEOF` };
const iptables: Wall = { name: 'iptables', setUp: iptablesRules('-nft') };
const legacy: Wall = { name: 'iptables-legacy', setUp: iptablesRules('-legacy') };

async function raise({ setUp }: Wall, hosts: readonly Host[]): Promise<void> {
  await Promise.all(
    hosts.map(async (host) => {
      const { code, stderr } = await host.exec(setUp);
      assert.equal(code, 0, stderr);
    }),
  );
}

/** All rules of a host, of all tools, without counters and handles. */
async function rulesOf(host: Host): Promise<string> {
  const json = await host.exec('nft -j list ruleset');
  assert.equal(json.code, 0, json.stderr);
  const skipped = new Set(['handle', 'metainfo', 'packets', 'bytes', 'expires']);
  const ruleset: unknown = JSON.parse(json.stdout, (key, value: unknown) => (skipped.has(key) ? undefined : value));
  const legacyRules = await host.exec(
    'if grep -q filter /proc/net/ip_tables_names; then iptables-legacy -w 20 -S && ip6tables-legacy -w 20 -S; fi; ' +
      'if nft list table ip filter; then iptables-nft -w 20 -S && ip6tables-nft -w 20 -S; fi',
  );
  const lines = legacyRules.stdout.split('\n').filter((line) => line.startsWith('-'));
  return `${JSON.stringify(ruleset, undefined, 1)}\n${lines.join('\n')}`;
}

/** Waits until the rules are again those from before. */
async function waitForRules(host: Host, before: string, what: string): Promise<void> {
  const deadline = performance.now() + ruleMsMax;
  let rules = await rulesOf(host);
  while (rules !== before && performance.now() < deadline) {
    // A look takes a dozen programs.
    await sleep(500);
    rules = await rulesOf(host);
  }
  assert.equal(rules, before, `${what}: the rules of ${host.name}`);
}

const watchdogsOn = (host: Host) =>
  listProcesses(host.namespaceInode).filter(({ argv }) => argv[0] === 'sh' && argv[2]?.includes('baton:') === true);

const victims = ['the command', 'the agents', 'the watchdogs', 'an ssh process'] as const;
type Victim = (typeof victims)[number];

async function kill(victim: Victim, bed: Bed, run: BatonRun<CopyEvent>, random: Random): Promise<void> {
  const host = random.pick(bed.hosts.slice(1));
  switch (victim) {
    case 'the command':
      await killProcess(run.pid);
      return;
    case 'an ssh process':
      await Promise.all(host.sshSessions().map(({ pid }) => killProcess(pid)));
      return;
    case 'the agents':
      await killAllAgents(bed);
      return;
    case 'the watchdogs':
      await killWatchdogs(bed);
  }
}

/** All at once: the others end by themselves as soon as one is gone. */
async function killAllAgents(bed: Bed): Promise<void> {
  await Promise.all(bed.hosts.flatMap((host) => host.agents()).map(({ pid }) => killProcess(pid)));
}

async function killWatchdogs(bed: Bed): Promise<void> {
  const found = bed.hosts.flatMap(watchdogsOn);
  assert.ok(found.length > 0, 'there is no watchdog to be killed');
  await Promise.all(found.map(({ pid }) => killProcess(pid)));
}

/** A chain from a to b behind nftables and c behind iptables, slow enough to be hit in the middle. */
async function startWalled() {
  const bed = await startHosts({ count: 3, linkMbit: 40 });
  const [, b, c] = bed.hosts as [Host, Host, Host];
  await Promise.all([raise(nftables, [b]), raise(iptables, [c])]);
  const before = await Promise.all([b, c].map(rulesOf));
  const assertRules = async (what: string): Promise<void> => {
    await Promise.all([b, c].map((host, index) => waitForRules(host, before[index] ?? '', what)));
  };
  return { bed, targets: await makeTargets([b, c]), assertRules };
}

/** Waits until a job whose agent and watchdog are dead lets nobody in: sets are empty, rules are past their time. */
async function waitForNobody(bed: Bed): Promise<void> {
  const isClosed = async (host: Host): Promise<boolean> => {
    const { stdout } = await host.exec('nft list ruleset; iptables -w 20 -S INPUT; ip6tables -w 20 -S INPUT');
    const isTimed = [...stdout.matchAll(/baton:[0-9a-f]{16}:([0-9]+)/g)].every(
      ([, end]) => Number(end) * 1000 < Date.now(),
    );
    return isTimed && !/set baton_[0-9a-f]{16}_[46] \{[^}]*elements/.test(stdout);
  };
  const areClosed = async (): Promise<boolean> => (await Promise.all(bed.hosts.map(isClosed))).every(Boolean);
  await waitUntil('nobody is let in any more', areClosed, 45_000, 500);
}

// At the same time, since most of each is waiting.
describe('firewalls', { concurrency: 3 }, () => {
  // Proves: behind firewalls that drop, of three kinds, a chain works with `auto`, every target says what it opened, and the rules afterwards
  // are those from before, others' alike; with `none` the same copy is refused before a byte moves, and --dry-run leaves nothing.
  test('a chain behind nftables, iptables and iptables-legacy', async () => {
    await using bed = await startHosts({ count: 4 });
    const [a, b, c, d] = bed.hosts as [Host, Host, Host, Host];
    await Promise.all([raise(nftables, [b]), raise(iptables, [c]), raise(legacy, [d])]);
    const targets = await makeTargets([b, c, d]);
    const before = await Promise.all([b, c, d].map(rulesOf));
    const assertRules = async (when: string): Promise<void> => {
      await Promise.all([b, c, d].map((host, index) => waitForRules(host, before[index] ?? '', when)));
    };
    // One address for each target, since every one takes its time to be given up.
    const refused = await runCopy(bed, ['--firewall', 'none', '--bind', `${a.ipv4}/24`, `a:${tree}`, ...targets]);
    assertExit(refused, 30);
    const codes = eventsOf(refused.events, 'findings').flatMap(({ findings }) =>
      findings.map(({ error }) => error.code),
    );
    assert.deepEqual(codes, ['HOP_UNREACHABLE', 'HOP_UNREACHABLE', 'HOP_UNREACHABLE']);
    assertExit(await runCopy(bed, ['--dry-run', `a:${tree}`, ...targets]), 0);
    await assertRules('after a dry run');
    const result = await runCopy(bed, [`a:${tree}`, ...targets]);
    assertAllDone(result, targets);
    const told = eventsOf(result.events, 'firewall');
    const places = [
      /^nftables inet guard input, nftables ip late arrivals$/,
      /^iptables-nft INPUT, ip6tables-nft INPUT$/,
      /^iptables-legacy INPUT, ip6tables-legacy INPUT$/,
    ];
    for (const [index, place] of places.entries()) {
      const [event, ...others] = told.filter(({ target }) => target === targets[index]);
      assert.ok(event !== undefined && others.length === 0, `${told.length} events of firewalls`);
      assert.equal(event.did, 'opened');
      assert.match(event.where, place);
      const [sender, ...strangers] = [bed.hosts[index], ...bed.hosts.filter((_, number) => number !== index)] as Host[];
      assert.ok(sender !== undefined && event.addresses.includes(sender.ipv4), event.addresses.join(' '));
      assert.ok(!strangers.some(({ ipv4 }) => event.addresses.includes(ipv4)), 'only the sender is let in');
    }
    await assertRules('after the copy');
    await assertIdentical(tree, d.join('in', 'tree'));
  });

  // Proves: where nothing filters, nothing is done and that is said; who is not root cannot look, which `auto` says and goes on, and which is
  // a finding when a firewall was named.
  test('without a firewall, and without the right', async () => {
    await using bed = await startHosts({ count: 2, user: 'plain' });
    const b = bed.host('b');
    const open = await runCopy(bed, ['--as', 'open', 'a:/etc/hostname', `b:${b.path}`]);
    assertExit(open, 0);
    const [nothing] = eventsOf(open.events, 'firewall');
    assert.equal(nothing?.did, 'nothing');
    const place = `${bed.user}@b:${bed.path}/.bed/home`;
    const plain = await runCopy(bed, ['--as', 'plain', 'a:/etc/hostname', place]);
    assertExit(plain, 0);
    const [unable] = eventsOf(plain.events, 'firewall');
    assert.equal(unable?.did, 'unable');
    assert.match(unable.where, /only root/);
    const refused = await runCopy(bed, ['--firewall', 'nftables', '--as', 'refused', 'a:/etc/hostname', place]);
    assertExit(refused, 30);
    const found = eventsOf(refused.events, 'findings').flatMap(({ findings }) => findings);
    assert.deepEqual(
      found.map(({ host, error }) => [host, error.code]),
      [[`${bed.user}@b`, 'NO_PERMISSION']],
    );
  });

  // Proves: where nft is there and fails, `auto` opens what else filters and says what it could not look at; a named firewall is refused.
  test('a tool that fails', async () => {
    await using bed = await startHosts({ count: 2 });
    const b = bed.host('b');
    await raise(legacy, [b]);
    const before = await rulesOf(b);
    const [target = ''] = await makeTargets([b]);
    const program = (name: string, script: string): void =>
      writeFileSync(b.join('bin', name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    mkdirSync(b.join('bin'));
    for (const name of ['nft', 'iptables-nft', 'ip6tables-nft']) program(name, 'echo no such kernel >&2; exit 1');
    program('baton-here', `PATH=${b.join('bin')}:$PATH exec baton "$@"`);
    const args = ['--agent', b.join('bin/baton-here'), 'a:/etc/hostname', target];
    const refused = await runCopy(bed, ['--dry-run', '--firewall', 'nftables', ...args]);
    assertExit(refused, 30);
    assert.match(JSON.stringify(eventsOf(refused.events, 'findings')), /no such kernel/);
    const result = await runCopy(bed, args);
    assertAllDone(result, [target]);
    const [event] = eventsOf(result.events, 'firewall');
    assert.equal(event?.did, 'opened');
    assert.match(event.where, /^iptables-legacy INPUT, ip6tables-legacy INPUT, but not all: nft .*no such kernel/s);
    await waitForRules(b, before, 'after the copy');
  });

  // Proves: a host that dies in the middle of a chain is passed by although the next one's firewall has admitted only the dead one.
  test('healing behind firewalls', async () => {
    await using bed = await startHosts({ count: 3, linkMbit: 40 });
    const [, b, c] = bed.hosts as [Host, Host, Host];
    await raise(nftables, [b, c]);
    const before = await rulesOf(c);
    const targets = (await makeTargets([b, c])) as [string, string];
    await using run = startCopy(bed, [`a:${tree}`, ...targets]);
    await run.untilProgress(0.2);
    await killAgents(b);
    const result = await run.finished;
    assertExit(result, 50);
    assert.equal(resultOf(summaryOf(result), targets[1]).state, 'done');
    assert.ok(eventsOf(result.events, 'firewall').filter(({ target }) => target === targets[1]).length >= 2);
    await assertIdentical(tree, c.join('in', 'tree'));
    await waitForRules(c, before, 'after healing');
  });

  // Proves: a firewall that somebody loads anew in the middle of a copy is opened again, nothing of ours is left after Ctrl-C, and a second
  // copy to the same host neither needs nor disturbs the first one's rules.
  test('a firewall that is loaded anew, and two copies', async () => {
    await using bed = await startHosts({ count: 2 });
    const b = bed.host('b');
    await raise(nftables, [b]);
    const before = await rulesOf(b);
    const [target = ''] = await makeTargets([b]);
    // Two minutes, so that it is still running when all of the rest is done.
    await using long = startCopy(bed, ['--bwlimit', '200KiB', `a:${tree}`, target]);
    await long.untilProgress(0.01);
    assertAllDone(await runCopy(bed, ['--as', 'second', 'a:/etc/hostname', target]), [target]);
    assert.notEqual(await rulesOf(b), before, 'the rules of the first copy stay');
    assert.equal((await b.exec(`nft flush ruleset\n${nftables.setUp}`)).code, 0);
    await waitUntil('the firewall is open again', async () => (await rulesOf(b)) !== before, 45_000);
    long.killGroup('SIGINT');
    assertExit(await long.finished, 130);
    await waitForRules(b, before, 'after both');
  });

  // Proves: after kill -9 of any process of a copy, no rule of ours is left a minute later, and others' rules are untouched.
  test('kill -9 of any process', async (t) => {
    const seed = seedOfRun();
    t.diagnostic(`seed ${seed}`);
    const random = new Random(seed);
    const { bed, targets, assertRules } = await startWalled();
    await using _bed = bed;
    const rounds = isSoak ? 30 : 3;
    for (let round = 0; round < rounds; round++) {
      const victim = victims[round % victims.length] ?? 'the command';
      await using run = startCopy(bed, ['--as', `copy${round}`, `a:${tree}`, ...targets]);
      await run.untilProgress(0.05 + random.fraction() * 0.3);
      await kill(victim, bed, run, random);
      await run.finished;
      await assertRules(`round ${round}, ${victim}`);
    }
  });

  // Proves: where watchdogs and agents were both killed, the rules that stay let nobody in after half a minute, and the next copy removes them,
  // also from chains that filter no more, and whichever firewall it is told to open.
  test('kill -9 of watchdogs and agents', async () => {
    const { bed, targets, assertRules } = await startWalled();
    await using _bed = bed;
    await using run = startCopy(bed, [`a:${tree}`, ...targets]);
    await run.untilProgress(0.1);
    await killWatchdogs(bed);
    await killAllAgents(bed);
    await run.finished;
    const left = await Promise.all(bed.hosts.slice(1).map(rulesOf));
    assert.ok(
      left.every((rules) => /baton[:_][0-9a-f]{16}/.test(rules)),
      'nothing stayed, so nothing is proven',
    );
    await waitForNobody(bed);
    const [, b, c] = bed.hosts as [Host, Host, Host];
    const setPolicies = async (policy: 'accept' | 'drop'): Promise<void> => {
      assert.equal((await b.exec(`nft chain inet guard input '{ policy ${policy}; }'`)).code, 0);
      const set = (program: string) => `${program} -w 20 -P INPUT ${policy.toUpperCase()}`;
      assert.equal((await c.exec(`${set('iptables-nft')} && ${set('ip6tables-nft')}`)).code, 0);
    };
    await setPolicies('accept');
    const sweepBy = async (firewall: string, target = ''): Promise<void> => {
      // Whether it gets through is not the question.
      await runCopy(bed, ['--dry-run', '--firewall', firewall, 'a:/etc/hostname', target]);
    };
    await Promise.all([sweepBy('iptables', targets[0]), sweepBy('nftables', targets[1])]);
    await setPolicies('drop');
    await assertRules('after the next copies');
    assertAllDone(await runCopy(bed, ['--as', 'next', 'a:/etc/hostname', ...targets]), targets);
    await assertRules('after a copy');
  });
});
