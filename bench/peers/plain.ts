import type { Method } from './method.ts';

export const scp: Method = {
  name: 'scp',
  title: 'scp -r',
  needs: ['scp', 'ssh', 'sshd', 'ssh-keygen'],
  ssh: true,
  script: 'scp -rq -F "$SSH_CONFIG" "$SOURCE/$NAME" bench-target:"$TARGET/"',
};

/** No encryption, no verification: what the cores can do at most with a stream of zstd. */
export const tarZstd: Method = {
  name: 'tar-zstd',
  title: 'tar, zstd -1 -T0, nc',
  needs: ['tar', 'zstd', 'nc'],
  script: `
nc -dl 127.0.0.1 "$PORT" | zstd -dc | tar xf - -C "$TARGET" &
receiver=$!
# The first field of the table is a socket's own address, the third its state: 0A is listening.
until grep -q "^ *[0-9]*: 0100007F:$(printf %04X "$PORT") .* 0A " /proc/net/tcp; do sleep 0.01; done
tar cf - -C "$SOURCE" "$NAME" | zstd -1 -T0 -c | nc -N 127.0.0.1 "$PORT"
wait "$receiver"
`,
};

/** No network at all: the floor. */
export const cp: Method = {
  name: 'cp',
  title: 'cp -a',
  needs: ['cp'],
  script: 'cp -a "$SOURCE/$NAME" "$TARGET/"',
};
