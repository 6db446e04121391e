import type { Method } from './method.ts';

// Hot backups of one server: `$SOCKET` is where it answers. All of them give their targets the same files, not prepared yet.

const needsOfBaton = ['mariadb', 'mariadb-backup', 'mbstream', 'ssh', 'sshd', 'ssh-keygen'];
const includesOfBaton =
  'looking at all hosts beforehand, a digest of every MiB checked by each target, and the sync of its disk';

export const batonBackup: Method = {
  name: 'baton-backup',
  title: 'baton copy --type mariadb, one host',
  isBackup: true,
  base: 'baton-backup',
  includes: includesOfBaton,
  needs: needsOfBaton,
  ssh: true,
  script: batonTo('bench-target:"$TARGET"'),
};

export const batonBackupToThree: Method = {
  ...batonBackup,
  name: 'baton-backup-3',
  title: 'baton copy --type mariadb, three hosts',
  targets: 3,
  base: 'baton-backup-3',
  script: batonTo('bench-target:"$TARGET" bench-target2:"$TARGET2" bench-target3:"$TARGET3"'),
};

function batonTo(targets: string): string {
  return `"$BATON" copy --quiet --ssh "ssh -F $SSH_CONFIG" --agent "$BATON" --type mariadb "$SOCKET" ${targets}`;
}

// Written anew from what transferpy's documentation says of its type xtrabackup, as the other pipeline is (transferpy.ts): a listener on
// the target, the pause of 3 s, then the backup tool, pigz, openssl and netcat; mbstream unpacks. It serves one target after another,
// and each takes a backup of its own.
function pipeline(openssl: string, targets: string): string {
  const cipher = `openssl enc -chacha20 -pbkdf2 -pass env:PASSWORD ${openssl}`;
  return `
for target in ${targets}; do
  nc -dl 127.0.0.1 "$PORT" | ${cipher} -d | pigz -dc | mbstream -x -C "$target" &
  receiver=$!
  sleep 3
  ${backupTo('"$target.work"', '--parallel=16 --close-files')} | pigz -c | ${cipher} -e | nc -N 127.0.0.1 "$PORT"
  wait "$receiver"
  test -s "$target"/xtrabackup_info -o -s "$target"/mariadb_backup_info
done
`;
}

function backupTo(directory: string, options: string): string {
  const login = '--no-defaults --user=root --socket="$SOCKET"';
  return `mariadb-backup ${login} --backup --stream=xbstream --slave-info ${options} --target-dir=${directory}`;
}

const needsOfPipeline = ['nc', 'openssl', 'pigz', 'mariadb-backup', 'mbstream'];
const threeTargets = '"$TARGET" "$TARGET2" "$TARGET3"';

export const transferpyBackup: Method = {
  name: 'transferpy-backup',
  title: "transferpy's xtrabackup, one host",
  isBackup: true,
  base: batonBackup.name,
  includes: 'its pause of 3 s for each target; no digest, no sync',
  needs: needsOfPipeline,
  slow: true,
  script: pipeline('-bufsize 8', '"$TARGET"'),
};

export const transferpyBackupToThree: Method = {
  ...transferpyBackup,
  name: 'transferpy-backup-3',
  title: "transferpy's xtrabackup, three hosts in turn",
  targets: 3,
  base: batonBackupToThree.name,
  script: pipeline('-bufsize 8', threeTargets),
};

export const transferpyBackupMended: Method = {
  ...transferpyBackup,
  name: 'transferpy-backup-mended',
  title: 'the same to one host, buffer mended',
  slow: false,
  script: pipeline('-bufsize 64k', '"$TARGET"'),
};

export const transferpyBackupMendedToThree: Method = {
  ...transferpyBackupToThree,
  name: 'transferpy-backup-mended-3',
  title: 'the same to three in turn, buffer mended',
  slow: false,
  script: pipeline('-bufsize 64k', threeTargets),
};

/** What the tools alone take: no network, no compression, nothing encrypted or checked. */
export const backupTools: Method = {
  name: 'backup-tools',
  title: 'mariadb-backup, mbstream',
  isBackup: true,
  base: batonBackup.name,
  includes: 'nothing but the tools: no network, nothing compressed, encrypted, checked or synced',
  needs: ['mariadb-backup', 'mbstream'],
  script: `${backupTo('"$TARGET.work"', '--parallel=4')} | mbstream -x -C "$TARGET"`,
};
