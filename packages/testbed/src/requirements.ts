// What the testbed needs of the machine. A test that lacks it fails and says so; it is never skipped.
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { BatonError } from '@batondb/core/errors';
import { hostPath } from './checkout.ts';

/** Programs by name, and the Debian package that has each. */
const debianPackages = {
  ip: 'iproute2',
  tc: 'iproute2',
  nft: 'nftables',
  nsenter: 'util-linux',
  setpriv: 'util-linux',
  ipcrm: 'util-linux',
  sshd: 'openssh-server',
  ssh: 'openssh-client',
  'ssh-keygen': 'openssh-client',
  getfattr: 'attr',
  setfattr: 'attr',
  setfacl: 'acl',
  setcap: 'libcap2-bin',
  'mkfs.xfs': 'xfsprogs',
  'mkfs.btrfs': 'btrfs-progs',
  perl: 'perl-base',
  mariadbd: 'mariadb-server',
  'mariadb-install-db': 'mariadb-server',
  mariadb: 'mariadb-client',
  'mariadb-dump': 'mariadb-client',
  patroni: 'patroni',
  haproxy: 'haproxy',
  etcd: 'etcd-server',
  etcdctl: 'etcd-client',
} as const;

/** Throws when this process is not root; `what` says what needs it. */
export function requireRoot(what: string): void {
  const uid = process.getuid?.();
  if (uid === 0) return;
  throw new BatonError('NO_PERMISSION', `${what} needs root, and this process runs as uid ${uid}`, {
    hint: 'run the tests as root: sudo npm test',
  });
}

/** Throws when this machine lacks one of the programs, naming all that are missing and the line that installs them. */
export function requireTools(what: string, programs: readonly (keyof typeof debianPackages)[]): void {
  const directories = [...hostPath.split(delimiter), ...(process.env['PATH'] ?? '').split(delimiter)];
  const missing = programs.filter((program) => !directories.some((directory) => existsSync(join(directory, program))));
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((program) => debianPackages[program]))].join(' ');
  throw new BatonError('UNSUPPORTED', `${what} needs ${missing.join(', ')}, which this machine does not have`, {
    hint: `apt-get install ${packages}`,
  });
}
