import { quoteWord } from '@batondb/core/text/words';
import { shell, shellPlaces } from './shell-places.ts';

// The script that starts an agent on a host where nothing may be installed. docs/far-side.md says what it does there, and
// carry.ts is the other end of its conversation.

/** What the script is told. */
export type CarryRequest = {
  /** Marks the lines of this script; letters and digits. */
  readonly token: string;
  /** `any`: an installed baton is preferred; `carried`: it is passed over. */
  readonly how: 'any' | 'carried';
  readonly sudo: boolean;
};

/** One command for a POSIX shell. It becomes the agent by exec, so that the end of the connection is the end of its stdin. */
export function carryCommand({ token, how, sudo }: CarryRequest): string {
  return `exec sh -c ${quoteWord(carryScript)} baton ${token} ${how} ${sudo ? 'sudo' : 'plain'}`;
}

/** An agent that is there: installed, or carried before. */
const startWhatIsThere = shell`
how=$2
sudo=$3
start() {
  if [ -n "$old_locale" ]; then LC_ALL=$old_locale; else unset LC_ALL; fi
  if [ "$sudo" = sudo ]; then exec sudo -n -- "$1" agent; fi
  exec "$1" agent
}
start_carried() {
  say CARRIED "$1"
  touch -c -- "$1"
  # Under sudo root would write into a directory of this user, who could not remove it.
  if [ "$sudo" = plain ]; then NODE_COMPILE_CACHE=$1/compiled; export NODE_COMPILE_CACHE; fi
  start "$1/bin/baton"
}
if [ "$how" = any ]; then
  installed=
  # sudo says the whole path of what it would run: by its own search path, which is often not that of the login.
  if [ "$sudo" = sudo ]; then installed=$(sudo -n -l baton agent 2>/dev/null </dev/null); installed=\${installed% agent}; fi
  [ -n "$installed" ] || installed=$(command -v baton) || installed=
  case $installed in /*) say INSTALLED "$installed"; start "$installed" ;; esac
fi
machine=$(uname -m)
case $machine in
  x86_64) loader=/lib64/ld-linux-x86-64.so.2 ;;
  aarch64) loader=/lib/ld-linux-aarch64.so.1 ;;
  *) loader=/nowhere ;;
esac
if [ -e "$loader" ]; then libc=$(getconf GNU_LIBC_VERSION 2>/dev/null) || libc=glibc
elif ls /lib/ld-musl-* >/dev/null 2>&1; then libc=musl
else libc=other
fi
say MACHINE "$machine" "$libc"
IFS=" " read -r name room || exit 1
case $name in ""|*[!0-9A-Za-z.-]*|[.-]*) exit 1 ;; esac
case $room in ""|*[!0-9]*) exit 1 ;; esac
look() {
  entry=$1/$2/agents/$name
  if own "$1/$2/agents" && own "$entry" && [ -x "$entry/bin/node" ] && safe "$entry"; then start_carried "$entry"; fi
}
each_place look
`;

/** A place where one can be put: everything that could go wrong is found out before a byte is asked for. */
const findPlace = shell`
if [ "$sudo" = sudo ]; then
  said=$(sudo -n -l 2>&1 </dev/null) || { printf "%s\n" "$said" >&2; exit 1; }
fi
usable() {
  kind=WRITE
  is_made=
  [ -d "$1" ] || is_made=1
  said=$(mkdir -p -- "$agents" 2>&1) || return 1
  own "$agents" || { kind=UNSAFE; said="$agents is not a directory of this user alone (mode 0700)"; return 1; }
  safe "$agents" || { kind=UNSAFE; said=$why; return 1; }
  [ -z "$is_made" ] || : >"$agents/.made" || return 1
  sweep "$agents"
  said=$(mktemp -d "$agents/.new-$(uname -n)-$$-XXXXXX" 2>&1) || return 1
  new=$said
  said=$({ printf "#!/bin/sh\nexit 0\n" >"$new/try" && chmod 700 "$new/try"; } 2>&1) || return 1
  said=$("$new/try" 2>&1 </dev/null) || { kind=NOEXEC; return 1; }
  space=$(stat -f -c "%a %S" -- "$new")
  free=$((\${space% *} * (\${space#* } / 512) / 2))
  if [ "$free" -lt "$room" ]; then kind=SPACE; said="$room KiB are needed and $free are free"; return 1; fi
  if [ -e "$agents/$name" ]; then
    # Another copy has put it there just now, or it is one that must not be run.
    rm -rf -- "$new"
    look "$1" "$2"
    kind=UNSAFE
    said="others could write to $agents/$name"
    return 1
  fi
}
tidy() {
  [ -z "$new" ] || rm -rf -- "$new"
  close_place "$agents"
}
place() {
  [ -z "$found" ] || return 0
  agents=$1/$2/agents
  new=
  if usable "$1" "$2"; then
    found=1
  else
    say PLACE "$kind" "$agents:" "$(printf "%s" "$said" | tr "\n" " ")"
    tidy
  fi
}
found=
each_place place
if [ -z "$found" ]; then say NOWHERE; exit 1; fi
trap tidy EXIT
trap "exit 1" HUP INT TERM PIPE
`;

/** Takes the bundle, and makes it an entry by one rename: two scripts at once both find a whole one. */
const takeBundle = shell`
say WANTS "$agents"
fail() {
  say FAILED "$1" "$(printf "%s" "$2" | tr "\n" " ")"
  exit 1
}
IFS=" " read -r size digest || exit 1
case $size in ""|*[!0-9]*) fail PROTOCOL "the size of the bundle is no number" ;; esac
said=$(head -c "$size" 2>&1 >"$new/bundle") || fail WRITE "$said"
got=$(wc -c <"$new/bundle")
[ "$got" -eq "$size" ] || fail CUT "$got of $size bytes arrived"
said=$(sha256sum <"$new/bundle") || fail WRITE "sha256sum could not be run"
[ "\${said%% *}" = "$digest" ] || fail DIGEST "\${said%% *}"
mkdir -- "$new/entry"
said=$({ gzip -dc <"$new/bundle" | tar -xof - -C "$new/entry"; } 2>&1) || fail WRITE "$said"
rm -f -- "$new/bundle"
# The content is on the disk before its name is: a crash leaves a whole entry or none.
said=$(cd "$new/entry" && sync $(cat files) . 2>&1) || fail WRITE "$said"
said=$(mv -T -- "$new/entry" "$agents/$name" 2>&1) || [ -x "$agents/$name/bin/node" ] || fail WRITE "$said"
touch -c -- "$agents/$name"
if touch -d "30 days ago" "$new/month" 2>/dev/null; then
  for old in "$agents"/*-*; do
    if [ "$old" -ot "$new/month" ]; then rm -rf -- "$old"; fi
  done
fi
rm -rf -- "$new"
trap - EXIT HUP INT TERM PIPE
own "$agents/$name" || fail UNSAFE "others could write to $agents/$name"
start_carried "$agents/$name"
`;

const carryScript = shellPlaces + startWhatIsThere + findPlace + takeBundle;
