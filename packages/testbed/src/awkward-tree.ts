// A tree with one of every thing that copying tools get wrong. What each thing is for stands beside it.
import { mkdirSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { makeDeepPath, makeNames, makeSparseFiles } from './awkward-files.ts';
import { mustRun } from './processes.ts';
import { requireRoot, requireTools } from './requirements.ts';

/** What the tree has besides what every user can make. */
export type AwkwardOptions = {
  /** Devices, owners, trusted attributes, capabilities. Needs root. */
  readonly root: boolean;
  /** A sparse file of 5 GiB with little data. Reading it takes seconds. Default: false. */
  readonly huge?: boolean;
};

/** What a test must know of the tree it got. Paths are relative to the tree. */
export type AwkwardTree = {
  readonly sockets: readonly string[];
  /** Length of the longest path below the tree, in bytes. */
  readonly longestPathBytes: number;
};

const gib = 1024 ** 3;

function script(options: AwkwardOptions, largeValueBytes: number): string {
  const asRoot = `
    mkdir devices owners
    mknod devices/null c 1 3; mknod devices/odd-character c 250 70000; mknod devices/odd-block b 7 99
    chmod 640 devices/odd-block; chown 12345:54321 devices/odd-character
    echo theirs > owners/someone; chown 12345:54321 owners/someone
    echo last > owners/last; chown 4294967294:4294967294 owners/last
    ln -s someone owners/link; chown -h 777:778 owners/link
    mkdir owners/directory; chown 65534:0 owners/directory
    # After the owner: chown takes setuid and capabilities away.
    cp /bin/true owners/setuid; chown 12345:54321 owners/setuid; chmod 6755 owners/setuid
    setfattr -n trusted.overlay -v 0x00ff attributes/trusted
    cp /bin/true attributes/capable; setcap cap_net_raw,cap_net_admin+ep attributes/capable
    setfattr -h -n trusted.link -v yes links/dangling`;
  return `set -eu
    # --- links
    mkdir links; echo content > links/file
    ln -s no/such/file links/dangling
    ln -s /etc/hostname links/absolute
    ln -s .. links/parent
    ln -s . links/itself
    ln -s "$(printf 'with\\nnewline\\377')" links/bytes
    perl -e 'symlink("x" x 4095, "links/longest") or die $!'
    ln links/file links/second-name; ln links/file links/third-name
    ln links/absolute links/second-symlink
    mkdir links/elsewhere; ln links/file links/elsewhere/fourth-name
    # --- what is no file
    mkdir special; mkfifo special/fifo; chmod 600 special/fifo; ln special/fifo special/second-fifo
    (cd special && perl -MSocket -e 'socket(S, PF_UNIX, SOCK_STREAM, 0) && bind(S, sockaddr_un("socket")) or die $!')
    # --- modes
    mkdir modes; for mode in 000 001 111 400 644 1644 2755 4755 6711 7777; do echo $mode > modes/file-$mode; chmod $mode modes/file-$mode; done
    mkdir -m 1777 modes/sticky; mkdir -m 2775 modes/setgid; mkdir -m 500 modes/unwritable
    mkdir modes/closed; echo inside > modes/closed/file; chmod 000 modes/closed
    mkdir -p empty/directory/below; : > empty/file
    # --- attributes and access lists
    mkdir attributes; for name in user trusted file; do echo $name > attributes/$name; done
    setfattr -n user.empty attributes/user
    setfattr -n user.binary -v 0x000a0dff3d22 attributes/user
    setfattr -n user.large -v "0x$(perl -e 'print "a5" x ${largeValueBytes}')" attributes/file
    setfattr -n "user.name with = and spaces" -v value attributes/file
    setfattr -n user.directory -v yes attributes
    mkdir acl; echo listed > acl/file; setfacl -m u:12345:rw-,g:54321:r--,m::r-- acl/file
    mkdir acl/default; setfacl -m u:12345:rwx acl/default; setfacl -d -m u:12345:r-x,g:54321:--- acl/default; echo inherits > acl/default/file
    ${options.root ? asRoot : ''}
    # --- times, last, since the work above changes them
    mkdir times; for name in ns old newest both; do echo $name > times/$name; done
    ln -s ns times/link
    touch -d '2021-02-03 04:05:06.123456789 UTC' times/ns
    touch -d '1965-03-04 05:06:07.987654321 UTC' times/old
    touch -d '2097-12-31 23:59:59.000000001 UTC' times/newest
    touch -a -d '1999-01-01 00:00:00.5 UTC' times/both; touch -m -d '2038-01-19 03:14:08.999999999 UTC' times/both
    touch -h -d '1969-12-31 23:59:59.25 UTC' times/link
    touch -h -d '2011-11-11 11:11:11.111111111 UTC' links/dangling special/fifo
    touch -d '2040-01-02 03:04:05.678901234 UTC' times empty/directory acl/default modes/closed
    touch -d '1950-01-02 03:04:05.000000001 UTC' links`;
}

/** Makes the tree in a directory, which must not exist. Its file system must know attributes and access lists. */
export async function makeAwkwardTree(directory: string, options: AwkwardOptions): Promise<AwkwardTree> {
  if (options.root) requireRoot('a tree with devices and owners');
  requireTools('the awkward tree', ['setfattr', 'setfacl', 'setcap', 'perl']);
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  await makeNames(join(directory, 'names'));
  makeSparseFiles(join(directory, 'sparse'), options.huge === true ? 5 * gib : undefined);
  const longestPathBytes = await makeDeepPath(directory, 'deep', 4095);
  // ext4 keeps a file's attributes in one block; other file systems allow 64 KiB a value.
  const isExt4 = statfsSync(directory).type === 0xef53;
  await mustRun(['sh', '-c', script(options, isExt4 ? 3000 : 60_000)], {
    cwd: directory,
    env: { LC_ALL: 'C', PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
  });
  return { sockets: ['special/socket'], longestPathBytes };
}
