import type { Method } from './method.ts';

function rsyncOverSsh(options: string): string {
  return `rsync -aHAX ${options} -e "ssh -F $SSH_CONFIG" "$SOURCE/$NAME" bench-target:"$TARGET/"`;
}

const needs = ['rsync', 'ssh', 'sshd', 'ssh-keygen'];

export const rsync: Method = {
  name: 'rsync',
  title: 'rsync -aHAX over ssh',
  needs,
  ssh: true,
  script: rsyncOverSsh(''),
};

export const rsyncFsync: Method = {
  name: 'rsync-fsync',
  title: 'the same with --fsync',
  needs,
  ssh: true,
  script: rsyncOverSsh('--fsync'),
};
