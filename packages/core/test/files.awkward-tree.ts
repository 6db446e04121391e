import { execFileSync } from 'node:child_process';
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';

// Trees with everything a file system can hold, made and compared with the system's own tools.

export const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

/** What every user can make. */
export async function makePlainTree(root: string): Promise<void> {
  mkdirSync(join(root, 'empty directory'), { recursive: true });
  mkdirSync(join(root, 'a/b/c'), { recursive: true });
  writeFileSync(join(root, 'a/empty'), '');
  writeFileSync(join(root, 'a/small'), 'small\n', { mode: 0o640 });
  writeFileSync(join(root, 'a/b/large'), Buffer.alloc(3_000_001, 'baton'));
  writeFileSync(join(root, 'a/b/read only'), 'x', { mode: 0o444 });
  writeFileSync(join(root, 'grün\n日本'), 'text');
  writeFileSync(Buffer.concat([Buffer.from(root), bytes('/not\xff\xfeutf8')]), 'bytes');
  makeSparse(join(root, 'sparse'), 40_000_000, [0, 12_345_678, 39_999_990]);
  makeSparse(join(root, 'all hole'), 5_000_000, []);
  symlinkSync('a/small', join(root, 'link'));
  symlinkSync('/nowhere/at all', join(root, 'dangling'));
  execFileSync('ln', [join(root, 'a/b/large'), join(root, 'a/b/c/large again')]);
  execFileSync('ln', ['-P', join(root, 'link'), join(root, 'link again')]);
  execFileSync('mkfifo', ['-m', '620', join(root, 'fifo')]);
  execFileSync('setfattr', ['-n', 'user.baton', '-v', 'value with \\000 in it', join(root, 'a/small')]);
  execFileSync('setfattr', ['-n', 'user.empty', join(root, 'a/b')]);
  await makeSocket(join(root, 'socket'));
  utimesSync(join(root, 'a/small'), 1_600_000_000.123456, 1_500_000_000.654321);
  execFileSync('touch', ['-h', '-d', '1969-07-20 20:17:40.123456789 UTC', join(root, 'dangling')]);
  execFileSync('touch', ['-d', '2040-01-02 03:04:05.987654321 UTC', join(root, 'a/b/c')]);
}

/** And what only root can. */
export function addRootOnly(root: string): void {
  const run = (...command: string[]): unknown => execFileSync(command[0]!, command.slice(1), { cwd: root });
  writeFileSync(join(root, 'owned'), 'someone else', { mode: 0o644 });
  run('chown', '12345:54321', 'owned');
  writeFileSync(join(root, 'setuid'), '#!');
  run('chown', '7:8', 'setuid');
  run('chmod', '6755', 'setuid');
  run('chown', '-h', '9:10', 'dangling');
  run('chown', '11:12', 'empty directory');
  run('chmod', '3770', 'empty directory');
  writeFileSync(join(root, 'capable'), 'x', { mode: 0o755 });
  run('setcap', 'cap_net_raw+ep', 'capable');
  run('mknod', '-m', '640', 'character', 'c', '5', '300');
  run('mknod', 'block', 'b', '259', '70000');
  run('ln', 'character', 'character again');
  run('setfattr', '-n', 'trusted.baton', '-v', 'secret', 'a/small');
  run('setfattr', '-h', '-n', 'trusted.link', '-v', 'on a symlink', 'link');
  run('setfacl', '-m', 'u:4711:rw,g:4712:r', 'a/small');
  run('setfacl', '-m', 'u:4711:rwx,d:u:4711:rx,d:g::-', 'a/b');
}

function makeSparse(path: string, sizeBytes: number, dataAt: readonly number[]): void {
  const fd = openSync(path, 'w');
  ftruncateSync(fd, sizeBytes);
  for (const offset of dataAt) writeSync(fd, 'some data', offset);
  closeSync(fd);
}

async function makeSocket(path: string): Promise<void> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(`${path}.moved`, resolve));
  // Closing a server removes its socket only under the name it was given.
  execFileSync('mv', [`${path}.moved`, path]);
  await new Promise((resolve) => server.close(resolve));
}

function shell(script: string, directory: string): string {
  return execFileSync('bash', ['-c', `set -euo pipefail; cd "$0"; ${script}`, directory], {
    maxBuffer: 1 << 28,
    stdio: 'pipe',
    env: { ...process.env, LC_ALL: 'C' },
  }).toString('latin1');
}

/** What find, stat, getfattr, getfacl and sha256sum say of a tree, sockets left out. */
export function describeTree(root: string): Record<string, string> {
  return {
    // Access times first: the other tools change them.
    accessTimes: shell(`find . -type f -printf '%A@ %p\\0' | sort -z`, root),
    names: shell(`find . ! -type s -printf '%p %y %m %U %G %T@ %n %l\\0' | sort -z`, root),
    sizes: shell(`find . -type f -printf '%s %p\\0' | sort -z`, root),
    devices: shell(`find . \\( -type b -o -type c \\) -exec stat -c '%n %t:%T' {} + | sort`, root),
    links: shell(
      `find . ! -type d -links +1 -printf '%i %p\\0' | sort -z | awk -v RS='\\0' '{ if (!($1 in n)) n[$1] = ++c; $1 = ""; print $0 }' | sort`,
      root,
    ),
    xattrs: shell(
      `getfattr -R -P -h -d -m - -e hex . | awk -v RS= '{ print $0 "|" }' | tr '\\n' ' ' | tr '|' '\\n' | sort`,
      root,
    ),
    acls: shell(
      `getfacl -R -P -n . | awk -v RS= '{ print $0 "|" }' | tr '\\n' ' ' | tr '|' '\\n' | sort | grep -v 'file: socket'`,
      root,
    ),
    content: shell(`find . -type f -print0 | sort -z | xargs -0 sha256sum -z`, root),
  };
}
