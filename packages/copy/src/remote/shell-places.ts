// The part of the far side's shell that all scripts share: where carried agents may lie, and who else could write there.
// POSIX sh with the coreutils, and no single quotes: a whole script is one single-quoted word of a command.

/** A script as it is written, but for `\${`, which stands for `${`. */
export function shell({ raw }: TemplateStringsArray): string {
  return raw.join('').replaceAll('\\${', () => '${');
}

/**
 * What the scripts of the far side begin with. Their first argument is a token, by which `say` marks its lines, so that no
 * banner of a login is taken for one. `each_place F` calls F with the parent and the name of each directory that may have
 * `agents/`, the usual one first. `own DIR`: a real directory that this user alone can enter. `safe DIR`: nobody but this user
 * and root can put another directory in its place; `why` says who could. `sweep DIR`: removes what killed scripts left there. `close_place DIR`: an
 * empty one goes, with the directories above it that were made for it, which the mark `.made` says.
 */
export const shellPlaces: string = shell`
token=$1
uid=$(id -u)
old_locale=\${LC_ALL-}
LC_ALL=C
export LC_ALL
umask 077
say() { printf "%s %s\n" "BATON-$token" "$*"; }
each_place() {
  case \${XDG_CACHE_HOME-} in
    /*) "$1" "$XDG_CACHE_HOME" baton ;;
    *) case \${HOME-} in /?*) "$1" "$HOME/.cache" baton ;; esac ;;
  esac
  "$1" /var/tmp "baton-$uid"
  case \${XDG_RUNTIME_DIR-} in /*) "$1" "$XDG_RUNTIME_DIR" baton ;; esac
}
facts() {
  line=$(ls -ldn -- "$1" 2>/dev/null)
  mode=\${line%% *}
  set -f
  set -- $line
  set +f
  owner=\${3-}
}
own() {
  facts "$1"
  case $mode in drwx------*) [ "$owner" = "$uid" ] ;; *) false ;; esac
}
safe() {
  where=$(cd -P -- "$1" 2>/dev/null && pwd -P) || { why="it cannot be entered"; return 1; }
  while :; do
    facts "$where"
    case $owner in "$uid"|0) ;; *) why="$where belongs to user $owner"; return 1 ;; esac
    case $mode in
      ?????????[tT]*) ;;
      ?????w*|????????w*) why="others can write to $where"; return 1 ;;
    esac
    [ "$where" = / ] && return 0
    where=\${where%/*}
    where=\${where:-/}
  done
}
close_place() {
  own "$1" || return 0
  set -- "$1" "$1"/*-* "$1"/.new-*
  [ "$*" = "$1 $1/*-* $1/.new-*" ] || return 0
  made=
  [ ! -e "$1/.made" ] || made=1
  rm -f -- "$1/.made"
  rmdir -- "$1" "\${1%/*}" 2>/dev/null
  parent=\${1%/*}
  [ -z "$made" ] || rmdir -- "\${parent%/*}" 2>/dev/null
  return 0
}
sweep() {
  for left in "$1"/.new-* "$1"/.gone-*; do
    case $left in
      "$1"/.new-"$(uname -n)"-*)
        pid=\${left#"$1"/.new-"$(uname -n)"-}
        # A process that has ended and was not waited for has a number, but stands nowhere.
        [ -e "/proc/\${pid%%-*}/cwd" ] || rm -rf -- "$left" ;;
      "$1"/.gone-*) rm -rf -- "$left" ;;
    esac
  done
}
`;
