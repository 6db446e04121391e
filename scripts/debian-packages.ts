import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';

// The Debian packages that the tests and the bench run, in one place, and how they get onto a machine.

/** What is needed, each with the reason. */
const packages: Readonly<Record<string, string>> = {
  'openssh-server': 'a real sshd in every host of the testbed',
  'openssh-client': 'the remote hand',
  iproute2: 'network namespaces, links, shaping',
  nftables: 'cut links, redirected ports, and firewalls that a copy opens',
  iptables: 'firewalls that a copy opens, of both backends',
  attr: 'an independent view of extended attributes',
  acl: 'an independent view of access control lists',
  'libcap2-bin': 'an independent view of capabilities',
  sudo: 'agents under sudo -n',
  strace: 'faults at a system call, and proof of what was synced',
  xfsprogs: 'file systems that share blocks: XFS',
  'btrfs-progs': 'and btrfs',
  rsync: 'a peer of the bench, and a method of Galera beside ours',
  socat: 'the other method of Galera beside ours, mariabackup, sends by it',
  pigz: 'a peer of the bench',
  zstd: 'a peer of the bench',
  'netcat-openbsd': 'a peer of the bench',
  chromium: 'a real browser for the page of a server',
  sqlite3: 'the independent judge of database files',
  openssl: 'a certificate for an address',
  systemd: 'systemd-analyze, which judges the unit',
  'etcd-server': 'a real etcd, of one and of three members',
  'etcd-client': 'the independent hand on its keys: etcdctl',
  'mariadb-server': 'a real server that is backed up, started from the backup, and replicates',
  postgresql: 'a real server that is followed; its own cluster `main` is neither started nor touched',
  'postgresql-contrib': 'types of extensions: hstore and citext',
  patroni: 'failovers, promotions and rewinds as they happen to people',
  haproxy: 'one address that leads to the primary',
  'galera-4': 'clusters whose nodes take their state from one another',
  'mariadb-backup': 'hot backups: mariadb-backup and mbstream',
};

const policyFile = '/usr/sbin/policy-rc.d';
const policyMark = '# Made by the tests of baton while they install packages; they remove it again.';
/** invoke-rc.d's word for "action forbidden by policy": what is installed is not started. */
const policy = `#!/bin/sh\n${policyMark}\nexit 101\n`;

/**
 * Installs what is missing when that is possible. Returns what a person has to do when it is not, undefined when all is there.
 * Starts no service: the testbed starts its own.
 */
export function ensureDebianPackages(): string | undefined {
  const missing = missingPackages();
  if (missing.length === 0) return undefined;
  const line = `apt-get install --no-install-recommends --yes ${missing.join(' ')}`;
  if (process.getuid?.() !== 0) {
    return `missing Debian packages: ${missing.join(' ')}\nrun: sudo apt-get update && sudo ${line}`;
  }
  console.log(`installing Debian packages: ${missing.join(' ')}`);
  const failed = withoutStartingServices(() => install(missing));
  if (failed !== undefined) return failed;
  const still = missingPackages();
  return still.length === 0 ? undefined : `still missing after apt-get: ${still.join(' ')}\nrun: ${line}`;
}

function missingPackages(): string[] {
  const format = '--showformat=${Package} ${db:Status-Status}\n';
  const { stdout, error } = spawnSync('dpkg-query', ['--show', format, ...Object.keys(packages)], { encoding: 'utf8' });
  if (error !== undefined) throw new Error(`the tests need Debian or a descendant of it: ${error.message}`);
  const installed = new Set(
    stdout
      .split('\n')
      .filter((line) => line.endsWith(' installed'))
      .map((line) => line.split(' ')[0]),
  );
  return Object.keys(packages).filter((name) => !installed.has(name));
}

function install(names: readonly string[]): string | undefined {
  const options = ['-o', 'DPkg::Lock::Timeout=120', '-o', 'Dpkg::Use-Pty=0', '--quiet=2'];
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  for (const args of [['update'], ['install', '--no-install-recommends', '--yes', ...names]]) {
    const { status, error } = spawnSync('apt-get', [...options, ...args], {
      env,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    if (status !== 0) return `apt-get ${args.join(' ')} failed: ${error?.message ?? `exit code ${status}`}`;
  }
  return undefined;
}

/** A machine's own policy stays as it is; ours, perhaps left by a killed run, goes with the end of this one. */
function withoutStartingServices<T>(work: () => T): T {
  if (!isOurPolicy()) {
    try {
      writeFileSync(policyFile, policy, { flag: 'wx', mode: 0o755 });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
  try {
    return work();
  } finally {
    if (isOurPolicy()) rmSync(policyFile);
  }
}

function isOurPolicy(): boolean {
  try {
    return readFileSync(policyFile, 'utf8').includes(policyMark);
  } catch {
    return false;
  }
}
