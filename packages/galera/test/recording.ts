// How real servers call a method: recorded by a method that only writes it down, and made independent of the machine.
import { chmodSync, copyFileSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type GaleraCluster, makeMysqlDirectory, startGalera } from '@batondb/testbed/galera';
import type { Sandbox } from '@batondb/testbed/sandbox';

/** One call, as it was: everything that a method can see, and what it said. */
export type Transcript = {
  readonly argv: readonly string[];
  /** What of the environment is the server's. */
  readonly environment: Readonly<Record<string, string>>;
  readonly workingDirectory: string;
  readonly umask: string;
  /** Open descriptors, `NUMBER TARGET`; those above 2 without their numbers, which vary, and each target once. */
  readonly descriptors: readonly string[];
  /** Standard output. */
  readonly lines: readonly string[];
};

export const transcriptNames = ['joiner-full', 'donor-full', 'joiner-bypass', 'donor-bypass'] as const;

/** Copies a method of `test/methods` to where user mysql can run it; returns the directory. */
export function installMethod(sandbox: Sandbox, name: string): string {
  const directory = sandbox.join(`method-${name}`);
  mkdirSync(directory, { mode: 0o755 });
  const path = join(directory, `wsrep_sst_${name}`);
  copyFileSync(new URL(`methods/wsrep_sst_${name}`, import.meta.url), path);
  chmodSync(path, 0o755);
  return directory;
}

/** Runs a full and an incremental transfer between two real nodes; returns the transcripts in the order of {@link transcriptNames}. */
export async function recordTranscripts(sandbox: Sandbox): Promise<Transcript[]> {
  const place = await makeMysqlDirectory(sandbox, 'record');
  await using cluster = await startGalera(sandbox, {
    nodes: 2,
    method: 'record',
    path: [installMethod(sandbox, 'record')],
    environment: { BATON_RECORD: place },
    auth: { user: 'sst', password: 'known-to-all-tests' },
    server: { 'log-bin': 'binlog', 'log-slave-updates': '1' },
  });
  const second = cluster.node(2);
  await second.stop();
  await cluster.first.sql('CREATE DATABASE later');
  await second.start({ more: ['--innodb-lock-wait-timeout=42'] });
  await second.untilSynced();
  const calls = readdirSync(place)
    .sort()
    .map((name) => readTranscript(join(place, name), cluster, sandbox));
  return calls;
}

function readTranscript(directory: string, cluster: GaleraCluster, sandbox: Sandbox): Transcript {
  const read = (name: string): string => normalise(readFileSync(join(directory, name), 'utf8'), cluster, sandbox);
  const lines = (text: string, end: string): string[] => text.split(end).slice(0, -1);
  const environment = lines(read('environ'), '\0')
    .filter((line) => /^(WSREP_|INNODB_|ARIA_)/.test(line))
    .sort()
    .map((line): [string, string] => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]);
  return {
    argv: lines(read('argv'), '\0'),
    environment: Object.fromEntries(environment),
    workingDirectory: read('cwd').trim(),
    umask: read('umask').trim(),
    descriptors: [
      ...new Set(lines(read('descriptors'), '\n').map((line) => line.replace(/^([3-9]|\d{2,}) /, 'more '))),
    ].sort(),
    lines: lines(read('lines'), '\n'),
  };
}

/** Values that differ from run to run become values of the same form. */
function normalise(text: string, cluster: GaleraCluster, sandbox: Sandbox): string {
  let normal = text.replaceAll(sandbox.path, '/var/lib/testbed');
  for (const [index, { place, pid }] of cluster.nodes.entries()) {
    for (const [name, port] of Object.entries(place.ports)) {
      const known = { client: 3306, group: 4567, incremental: 4568, transfer: 4444 }[name] ?? 0;
      normal = normal.replaceAll(new RegExp(`(?<![\\d])${port}(?![\\d])`, 'g'), `${known + index * 10_000}`);
    }
    normal = normal.replaceAll(new RegExp(`(?<=--parent\\0)\\d+`, 'g'), `${pid > 0 ? 4242 : 0}`);
  }
  return normal
    .replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}:\d+/g, '3c9f1b1e-c71e-11f0-9d1f-6f3a2a1e7b11:17')
    .replaceAll(/pipe:\[\d+\]/g, 'pipe')
    .replaceAll(/socket:\[\d+\]/g, 'socket');
}
