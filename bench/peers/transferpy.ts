import type { Method } from './method.ts';

// The pipeline that Wikimedia's transferpy builds by default, written anew from what its documentation says of it
// (https://wikitech.wikimedia.org/wiki/Transfer.py and https://doc.wikimedia.org/transferpy/) and from watching it run:
// a listener on the target, a fixed pause of 3 s instead of waiting for its port, then tar, pigz, openssl and netcat; md5
// sums of the source's files meanwhile, and of the target's files afterwards. Its cluster shell and firewall are left out.
// The cipher is the cheapest for it of those we tried.
function pipeline(openssl: string): string {
  const cipher = `openssl enc -chacha20 -pbkdf2 -pass env:PASSWORD ${openssl}`;
  return `
sums() { (cd "$1" && find "$NAME" -type f -exec md5sum {} + | sort -k 2); }
nc -dl 127.0.0.1 "$PORT" | ${cipher} -d | pigz -dc | tar xf - -C "$TARGET" &
receiver=$!
sleep 3
phase slept
sums "$SOURCE" >"$TARGET.source.md5" &
sums_of_source=$!
tar cf - -C "$SOURCE" "$NAME" | pigz -c | ${cipher} -e | nc -N 127.0.0.1 "$PORT"
wait "$receiver"
wait "$sums_of_source"
phase transferred
sums "$TARGET" >"$TARGET.target.md5"
cmp "$TARGET.source.md5" "$TARGET.target.md5"
rm "$TARGET.source.md5" "$TARGET.target.md5"
`;
}

const needs = ['nc', 'openssl', 'pigz', 'tar', 'md5sum'];

export const transferpy: Method = {
  name: 'transferpy',
  title: 'transferpy, default pipeline',
  needs,
  slow: true,
  // 8 bytes, where 8 KiB were meant.
  script: pipeline('-bufsize 8'),
};

export const transferpyMended: Method = {
  name: 'transferpy-mended',
  title: 'the same, buffer mended',
  needs,
  slow: true,
  script: pipeline('-bufsize 64k'),
};
