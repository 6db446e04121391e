import { quoteWord } from '@batondb/core/text/words';
import { shell, shellPlaces } from './shell-places.ts';

// The script that removes what was carried to a host, and leaves nothing. It needs no agent.

/** One command for a POSIX shell. `token` marks its lines; letters and digits. */
export function forgetCommand(token: string): string {
  return `exec sh -c ${quoteWord(forgetScript)} baton ${token}`;
}

const forgetScript =
  shellPlaces +
  shell`
running=$(cat /proc/[0-9]*/cmdline 2>/dev/null | tr "\0" "\n")
tab=$(printf "\t")
forget_entry() {
  kib=$(du -sk -- "$1" | cut -f 1)
  case $running in
    *"$1"/bin/node*) say KEPT "$kib" "$1\${tab}an agent runs from it"; return ;;
  esac
  # Under another name first: who starts an agent meanwhile finds none, not half of one.
  gone=$(dirname -- "$1")/.gone-$$
  if said=$({ mv -T -- "$1" "$gone" && rm -rf -- "$gone"; } 2>&1); then say REMOVED "$kib" "$1"
  else say KEPT "$kib" "$1$tab$(printf "%s" "$said" | tr "\n" " ")"
  fi
}
forget_place() {
  agents=$1/$2/agents
  [ -e "$agents" ] || [ -L "$agents" ] || return 0
  own "$agents" || { say KEPT 0 "$agents\${tab}it is not a directory of this user alone"; return 0; }
  sweep "$agents"
  for entry in "$agents"/*-* "$agents"/.new-*; do
    case $entry in
      "$agents"/.new-\*) ;;
      "$agents"/.new-*) say KEPT 0 "$entry\${tab}a copy is about to put an agent there" ;;
      *) [ ! -d "$entry" ] || forget_entry "$entry" ;;
    esac
  done
  close_place "$agents"
  return 0
}
each_place forget_place
say END
`;
