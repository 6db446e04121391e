/** All keys of `[sst]` that the settings come from. */
export const ownKeys: readonly string[] = [
  ...[
    'method',
    'key',
    'allow-unauthenticated-donor',
    'streams',
    'compression',
    'bwlimit',
    'rlimit',
    'space',
    'use-memory',
  ],
  ...[
    'backup-threads',
    'inno-backup-opts',
    'inno-apply-opts',
    'sst-initial-timeout',
    'sst-idle-timeout',
    'wsrep-sst-auth',
  ],
];
