# Runs $BENCH_SCRIPT for measure.ts and tells it over descriptor 3 when what happened:
#   ready                    everything the method needs is up; waits for a line before it starts
#   phase NAME TIME          said by the script itself
#   done STATUS START END    before it and before `ready`, what `times` says: its second line is of ended children
# TIME, START and END are $EPOCHREALTIME.
set -u
exec 1>&2 </dev/null
if [ -n "$BENCH_CGROUP" ]; then echo $$ >"$BENCH_CGROUP" || exit 90; fi

phase() { echo "phase $1 $EPOCHREALTIME" >&3; }

sshd_pid=
if [ -n "$BENCH_SSHD_CONFIG" ]; then
  "$BENCH_SSHD" -D -e -f "$BENCH_SSHD_CONFIG" &
  sshd_pid=$!
  answers=
  for ((try = 0; try < 250; try++)); do
    if (exec 4<>"/dev/tcp/127.0.0.1/$BENCH_SSHD_PORT") 2>/dev/null; then answers=yes; break; fi
    sleep 0.02
  done
  if [ -z "$answers" ]; then echo 'sshd does not answer'; exit 91; fi
fi

times >&3
echo ready >&3
read -r _ <&3
start=$EPOCHREALTIME
(
  set -euo pipefail
  eval "$BENCH_SCRIPT"
)
status=$?
end=$EPOCHREALTIME

# sshd waits for its sessions, and this shell for sshd: only then do their times count here.
if [ -n "$sshd_pid" ]; then kill "$sshd_pid"; wait "$sshd_pid"; fi
times >&3
echo "done $status $start $end" >&3
