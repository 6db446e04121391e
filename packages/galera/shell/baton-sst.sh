# shellcheck shell=sh
# For State Snapshot Transfer methods of your own: a POSIX shell script sources this file, and then has
#
#   $sst_role                donor or joiner
#   $sst_data_directory      of the server, which is the working directory, too
#   $sst_address             joiner: the address to listen on; donor: the joiner's HOST
#   $sst_port                joiner: the port to listen on, or empty; donor: the port that the joiner is ready on
#   $sst_path                donor: what the joiner has put behind the slash in `sst_ready`
#   $sst_bypass              yes where the joiner takes an incremental transfer and needs nothing but $sst_gtid, else empty
#   $sst_gtid, $sst_gtid_domain   donor: the position that is to be sent, and the domain of the server's own GTIDs, or empty
#   $sst_socket              donor: of the server
#   $sst_defaults            options for the server's programs, such as --defaults-file=…; without quotes around it
#   $sst_server_pid          of the server that waits for us
#   $sst_user, $sst_password      of wsrep_sst_auth, or empty
#   $sst_secret              donor: what the joiner has said as its secret
#
# and the functions below. Standard output belongs to the server: it is put aside, and what you or your programs print goes to the error log.
# docs/galera-own-method.md has a whole method.

exec 3>&1 1>&2
umask 0007

sst_role= sst_data_directory= sst_address= sst_port= sst_path= sst_bypass= sst_gtid= sst_gtid_domain= sst_socket=
sst_defaults= sst_server_pid= sst_user= sst_password= sst_secret= sst_progress_wanted=
sst__stop= sst__defaults_words= sst__address=
# The command of the same installation as this file.
sst__baton=${BATON:-@library@/current/bin/baton}

# Says a line to the server, and only there.
sst__tell() {
  printf '%s\n' "$1" >&3
}

# sst_log SENTENCE: into the server's error log.
sst_log() {
  printf 'WSREP_SST: [INFO] %s %s: %s (%s)\n' "${0##*/wsrep_sst_}" "$sst_role" "$1" "$(date '+%Y%m%d %H:%M:%S')" >&2
}

# sst_fail SENTENCE [ERRNO]: says why, and ends. The number's words are what the other node's log shows: 28 is no space, 110 timed out, 111 refused.
sst_fail() {
  printf 'WSREP_SST: [ERROR] %s %s: %s (%s)\n' "${0##*/wsrep_sst_}" "$sst_role" "$1" "$(date '+%Y%m%d %H:%M:%S')" >&2
  exit "${2:-121}"
}

# sst_send COMMAND …: donor. Has the joiner's command read what this one writes, by an authenticated and encrypted connection; ends well only when both
# commands have. Where the joiner takes an incremental transfer, no command is run.
sst_send() {
  sst__pipe send "$@" || exit
}

# sst_receive COMMAND …: joiner. Says ready by itself, and runs the command on what the donor's one writes. Afterwards $sst_gtid is the position, and
# $sst_bypass is yes where nothing came but that.
sst_receive() {
  sst__said=$(sst__pipe receive "$@") || exit
  [ "${sst__said%% *}" = full ] || sst_bypass=yes
  sst_gtid=${sst__said#* }
}

sst__pipe() {
  sst__kind=$1
  shift
  # shellcheck disable=SC2086
  "$sst__baton" galera "$sst__kind" --role "$sst_role" --address "$sst__address" --datadir "$sst_data_directory" \
    ${sst_gtid:+--gtid "$sst_gtid"} ${sst_gtid_domain:+--gtid-domain-id "$sst_gtid_domain"} ${sst_bypass:+--bypass} \
    $sst__defaults_words -- "$@"
}

# sst_ready HOST:PORT [PATH] [SECRET]: joiner without sst_receive, once it listens. PATH and SECRET may hold letters, digits, and . _ -
sst_ready() {
  case ${2-}${3-} in
    *[!A-Za-z0-9._-]*) sst_fail "'${2-}' and '${3-}' may hold letters, digits, and . _ - only" 22 ;;
  esac
  sst__tell "ready ${3:+sst:$3@}$1${2:+/$2}"
}

# sst_progress DONE TOTAL [WHAT]: bytes, for the error log and, where the server wants them, for its own.
sst_progress() {
  [ "$2" -gt 0 ] || return 0
  sst_log "${3:-transferred} $1 of $2 bytes ($(($1 * 100 / $2)) %)"
  [ "$sst_role" = joiner ] && [ "${sst_progress_wanted:-0}" -gt 0 ] || return 0
  [ -n "${sst__total-}" ] || sst__tell "total $2"
  sst__total=$2
  sst__tell "complete $1"
}

# sst_flush_tables [SECONDS]: donor. Blocks writes, and waits until the server has done so; $sst_gtid is the position of what its files hold then.
sst_flush_tables() {
  sst__flushed=$sst_data_directory/tables_flushed
  sst__refused=$sst_data_directory/sst_error
  rm -f "$sst__flushed" "$sst__refused"
  sst__tell 'flush tables'
  sst__left=$((${1:-300} * 10))
  until grep -q : "$sst__flushed" 2>/dev/null; do
    [ ! -e "$sst__refused" ] || { rm -f "$sst__refused" && sst_fail 'the server cannot flush its tables' 16; }
    [ $((sst__left -= 1)) -gt 0 ] || sst_fail "the server has not flushed its tables within ${1:-300} s" 110
    sleep 0.1
  done
  read -r sst_gtid sst_gtid_domain <"$sst__flushed"
  rm -f "$sst__flushed"
}

# sst_continue: donor. Lets the server go on writing.
sst_continue() {
  sst__tell continue
}

# sst_done [GTID]: the last word. Donor: all is sent. Joiner: the state of that position (what the donor has in "$sst_gtid $sst_gtid_domain") is in its
# place, complete and synced, since the server looks at nothing any more.
sst_done() {
  case $sst_role in
    donor) sst__tell "done ${1:-$sst_gtid${sst_gtid_domain:+ $sst_gtid_domain}}" ;;
    joiner) sst__tell "$1" ;;
  esac
  exit 0
}

# sst_at_end COMMANDS: run when the script ends in any way but kill -9.
sst_at_end() {
  sst__stop=$1
}

# Ends what was started with us, so that no port and no lock outlives the script.
sst__end() {
  sst__code=$?
  trap - EXIT HUP INT TERM
  [ -z "$sst__watchdog" ] || kill "$sst__watchdog" 2>/dev/null
  eval "$sst__stop"
  read -r sst__children <"/proc/$$/task/$$/children" 2>/dev/null
  # shellcheck disable=SC2086
  [ -z "${sst__children-}" ] || kill $sst__children 2>/dev/null
  exit "$sst__code"
}

sst__arguments() {
  while [ $# -gt 0 ]; do
    case $1 in
      --mysqld-args) return ;;
      --bypass) sst_bypass=yes && shift && continue ;;
      --role) sst_role=$2 ;;
      --address) sst__address=$2 ;;
      --datadir) sst_data_directory=${2%/} ;;
      --gtid) sst_gtid=$2 ;;
      --gtid-domain-id) sst_gtid_domain=$2 ;;
      --socket) sst_socket=$2 ;;
      --parent) sst_server_pid=$2 ;;
      --progress) sst_progress_wanted=$2 ;;
      --defaults-file | --defaults-extra-file | --defaults-group-suffix)
        [ -z "${2-}" ] || sst_defaults="$sst_defaults $1=$2" sst__defaults_words="$sst__defaults_words $1 $2"
        ;;
      --*) ;;
      *) shift && continue ;;
    esac
    # A value never begins with two hyphens, and an option that we do not know may have none.
    case ${2-} in --*) shift ;; *) shift && { [ $# -eq 0 ] || shift; } ;; esac
  done
}

# HOST:PORT/PATH, an IPv6 address in brackets.
sst__split_address() {
  sst__rest=${1%%/*}
  [ "$sst__rest" = "$1" ] || sst_path=${1#*/}
  case $sst__rest in
    \[*\]:*) sst_port=${sst__rest##*\]:} sst_address=${sst__rest%:*} ;;
    \[*\] | *:*:*) sst_address=$sst__rest ;;
    *:*) sst_port=${sst__rest##*:} sst_address=${sst__rest%:*} ;;
    *) sst_address=$sst__rest ;;
  esac
}

# Between us and the server may stand the shell that it has started us by, which outlives it.
sst__server() {
  read -r sst__name <"/proc/$PPID/comm"
  case $sst__name in
    sh | dash | bash | busybox) ;;
    *) echo "$PPID" && return ;;
  esac
  read -r sst__line <"/proc/$PPID/stat"
  # shellcheck disable=SC2086
  set -- ${sst__line##*) }
  echo "$2"
}

sst__begin() {
  sst__arguments "$@"
  case $sst_role in
    donor | joiner) ;;
    *) sst_fail "--role is '$sst_role', and has to be donor or joiner" 22 ;;
  esac
  sst__split_address "${sst__address-}"
  case ${WSREP_SST_OPT_AUTH-} in
    *:*) sst_user=${WSREP_SST_OPT_AUTH%%:*} sst_password=${WSREP_SST_OPT_AUTH#*:} ;;
  esac
  sst_secret=${WSREP_SST_OPT_REMOTE_AUTH#*:}
  # Only joiners are told.
  [ -n "$sst_server_pid" ] || sst_server_pid=$(sst__server)
  cd "$sst_data_directory" || sst_fail "cannot enter $sst_data_directory" 2
}

sst__begin "$@"
trap sst__end EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 125' TERM
# A transfer whose server is gone is nobody's any more.
(
  trap - EXIT
  trap 'kill "$sst__sleep" 2>/dev/null; exit' TERM
  exec 3>&-
  while kill -0 "$sst_server_pid" 2>/dev/null && kill -0 $$ 2>/dev/null; do
    sleep 1 &
    sst__sleep=$!
    wait "$sst__sleep"
  done
  kill -TERM $$ 2>/dev/null
) &
sst__watchdog=$!
