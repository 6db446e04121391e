// Proves: a `ready` line reaches the donor whole, its secret is in no log and no process list, and a donor's exit code is what the joiner's log says.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { BatonError } from '@batondb/core/errors';
import { type GaleraCluster, makeMysqlDirectory, startGalera } from '@batondb/testbed/galera';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { parseCall } from '../src/contract/call.ts';
import { errnoOf } from '../src/contract/exit-codes.ts';
import { formatReady, parseReady } from '../src/contract/ready.ts';
import { installMethod } from './recording.ts';

const fingerprint = '0123456789abcdef'.repeat(4);

type Probe = { readonly cluster: GaleraCluster; readonly place: string };

async function startProbe(sandbox: Sandbox): Promise<Probe> {
  const place = await makeMysqlDirectory(sandbox, 'probe');
  const path = [installMethod(sandbox, 'probe')];
  const environment = { BATON_PROBE: place };
  const cluster = await startGalera(sandbox, {
    nodes: 2,
    running: 1,
    method: 'probe',
    host: '[::1]',
    path,
    environment,
  });
  return { cluster, place };
}

/** Lets the second node ask for a state with a line, and its donor fail with a code; returns what reached the donor, if anything did. */
async function ask(
  { cluster, place }: Probe,
  line: string,
  code: number,
): Promise<ReturnType<typeof readCall> | undefined> {
  for (const name of ['argv', 'environ', 'processes', 'seen']) rmSync(join(place, name), { force: true });
  writeFileSync(join(place, 'ready'), `${line}\n`);
  writeFileSync(join(place, 'code'), `${code}`);
  const second = cluster.node(2);
  await second.start();
  await second.untilEnd();
  return existsSync(join(place, 'seen')) ? readCall(place) : undefined;
}

function readCall(place: string): { readonly argv: string[]; readonly environment: Record<string, string> } {
  const read = (name: string): string => readFileSync(join(place, name), 'utf8');
  const environment = Object.fromEntries(
    read('environ')
      .split('\n')
      .map((text) => [text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1)]),
  ) as Record<string, string>;
  return { argv: read('argv').split('\0').slice(0, -1), environment };
}

test('a ready line travels, also over IPv6, and its secret stays secret', { timeout: 120_000 }, async () => {
  await using sandbox = makeSandbox();
  const probe = await startProbe(sandbox);
  const { cluster, place } = probe;
  await using _ = cluster;
  const secret = 'Top.Secret_of-this.Session0123456789abcdefg';
  const { transfer: port } = cluster.node(2).place.ports;
  const ready = { host: '::1', port, secret, fingerprint };
  const asked = await ask(probe, formatReady(ready), errnoOf(new BatonError('NO_SPACE', 'the disk is full')));
  assert.ok(asked !== undefined);
  assert.deepEqual(parseReady(parseCall(asked.argv, asked.environment)), ready);
  for (const node of cluster.nodes) {
    const log = node.log();
    assert.ok(!log.includes(secret), node.name);
    assert.match(log, /State transfer to \d\.\d \(n2\) failed: No space left on device/);
  }
  const processes = readFileSync(join(place, 'processes'), 'utf8');
  assert.match(processes, /wsrep_sst_probe --role donor --address \[::1\]/);
  assert.ok(!processes.includes(secret));
  assert.equal(await cluster.first.state(), 'Synced');
});

test('the longest line that is written is read whole', { timeout: 120_000 }, async () => {
  await using sandbox = makeSandbox();
  const probe = await startProbe(sandbox);
  await using _ = probe.cluster;
  const ready = { host: '::1', port: 4444, secret: 's', fingerprint };
  const rest = formatReady(ready).length - 1;
  const longest = { ...ready, secret: 's'.repeat(510 - rest) };
  assert.throws(() => formatReady({ ...longest, secret: `${longest.secret}s` }), BatonError);
  const asked = await ask(probe, formatReady(longest), 1);
  assert.deepEqual(asked && parseReady(parseCall(asked.argv, asked.environment)), longest);
});
