import { type NodeLayout, runtimeProgram } from './layout.ts';

// The small files of an installation, as texts. They are POSIX shell, since some node has nothing else; each hands over to the runtime at once.

/** Nothing in a server's environment is to change how our Node runs. */
const cleanEnvironment = 'unset NODE_OPTIONS NODE_PATH NODE_EXTRA_CA_CERTS NODE_REPL_EXTERNAL_MODULE';

/**
 * What the server starts. The descriptors that it was given beyond the standard ones are the server's own files and pipes: those that POSIX shell can
 * name are closed here, and the runtime is told of the others, since it cannot tell them from its own any more. Only standard error is ever written to.
 */
export function transferScript(layout: NodeLayout): string {
  const program = runtimeProgram(layout);
  return `#!/bin/sh
# A State Snapshot Transfer, started by a Galera server whose wsrep_sst_method is baton. Standard output belongs to the server.
umask 0007
${cleanEnvironment}
inherited=
for number in /proc/$$/fd/*; do
  number=\${number##*/}
  [ "$number" -gt 2 ] || continue
  flags=
  { while read -r key value; do [ "$key" = flags: ] && flags=$value; done <"/proc/$$/fdinfo/$number"; } 2>/dev/null
  # What is closed by the exec below is this shell's own.
  [ -n "$flags" ] && [ $((flags & 02000000)) -eq 0 ] || continue
  case $number in
    [3-9]) eval "exec $number>&-" ;;
    *) inherited="$inherited $number" ;;
  esac
done
if [ ! -x '${program}' ]; then
  echo 'WSREP_SST: [ERROR] baton: ${program} cannot be executed; next step: baton galera install' >&2
  exit 2
fi
BATON_INHERITED=$inherited exec '${program}' galera sst "$@"
`;
}

/** What runs before the server does. Node is started only where a transfer has left something: a node in order does not depend on us. */
export function recoverScript(layout: NodeLayout): string {
  return `#!/bin/sh
# recover [SERVER OPTIONS]: brings the data directory into order after a transfer that was cut short. To be run before the server.
set -f
${cleanEnvironment}
if [ "$(id -u)" = 0 ]; then
  exec setpriv --reuid=mysql --regid=mysql --init-groups "$0" "$@"
fi
# A server takes the value of an option as the next word, too. What stands before the first option is a program.
option=
for word; do
  shift
  case $word in
    --*) [ -z "$option" ] || set -- "$@" "$option"; option=$word ;;
    -h) [ -z "$option" ] || set -- "$@" "$option"; option=--datadir ;;
    -*) [ -z "$option" ] || set -- "$@" "$option"; option= ;;
    *) [ -z "$option" ] || set -- "$@" "$option=$word"; option= ;;
  esac
done
[ -z "$option" ] || set -- "$@" "$option"
directory=
files=
for word; do
  case $word in
    --datadir=*) directory=\${word#*=} ;;
    --defaults-*=*) files="$files $word" ;;
  esac
done
if [ -z "$directory" ]; then
  # shellcheck disable=SC2086
  directory=$(my_print_defaults $files --mysqld | sed -n 's/^--datadir=//p' | tail -n 1)
fi
[ -e "\${directory:-/var/lib/mysql}/.sst" ] || exit 0
exec '${runtimeProgram(layout)}' galera recover -- "$@"
`;
}

/**
 * For containers: the entrypoint in front of the image's own. The first process of a container ignores every signal that it has not asked for, so what
 * stops a container would wait for the end of `recover`; what is cut short there goes on with the next start.
 */
export function entrypointScript({ library }: NodeLayout): string {
  return `#!/bin/sh
# entrypoint COMMAND [SERVER OPTIONS]: what recover does, then the command: ENTRYPOINT ["${library}/entrypoint", "docker-entrypoint.sh"]
if [ "$#" = 0 ]; then
  echo 'entrypoint: no command; next step: name the server, or the entrypoint of the image: entrypoint docker-entrypoint.sh mariadbd' >&2
  exit 2
fi
recover=
stop() {
  [ -z "$recover" ] || kill -s TERM "$recover" 2>/dev/null
  exit 143
}
trap stop TERM INT HUP
'${library}/recover' "$@" &
recover=$!
wait "$recover" || exit
exec "$@"
`;
}

/** The command, for people. */
export function commandScript(layout: NodeLayout): string {
  return `#!/bin/sh
exec '${runtimeProgram(layout)}' "$@"
`;
}

/** Before ExecStart, in which galera_recovery opens the data directory. A failure keeps the server from starting, and says why. */
export function unitDropIn({ library }: NodeLayout): string {
  return `[Service]
# A swap of the data that was cut short is finished or undone before anything opens the data directory.
ExecStartPre=${library}/recover $MYSQLD_OPTS
`;
}

/** Of the template, whose instances have groups of their own in the option files. */
export function instanceDropIn({ library }: NodeLayout): string {
  return `[Service]
# A swap of the data that was cut short is finished or undone before anything opens the data directory.
ExecStartPre=${library}/recover $MYSQLD_MULTI_INSTANCE $MYSQLD_OPTS
`;
}
