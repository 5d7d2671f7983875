# Guardian: starts jobs one after the other, outlives the agent, and writes down how each job ended.
#
#   bash guardian.sh BOOT_ID ENV SETSID
#
# stdin: run directories, each ended by NUL. A run directory holds `request`, NUL-separated: stdin, stdout and stderr
# ('' = spool file), cwd, number of variables, NAME=value ..., argument ... It is never parsed as shell text.
# Written there: claim (who starts the run), pid, exit, and error (why it did not start).
# stdout: ready VERSION | started PID | exited STATUS TIME | taken | refused TEXT
# Nothing forks but the job itself: every command below is a builtin. All of it is in functions because bash reads a
# script piecemeal, and the file may be replaced by an upgrade while this runs.

# Tells why the job cannot start; the redirection of the failed command repeats it for its message.
refuse() {
  { printf '%s\n' "$1" && shift && "$@"; } >"$dir/error" 2>&1
  exit 125
}
open_stdin() { exec <"$in"; }
open_stdout() { exec >>"$out"; }
open_stderr() { exec 2>>"$err"; }
quiet() { "$@" 2>/dev/null; }

find_executable() {
  local name=${args[0]} variable
  if [[ $name == */* ]]; then
    [[ -e $name ]] || refuse "no such executable: $name"
    [[ -f $name && -x $name ]] || refuse "not executable: $name"
    return
  fi
  PATH=/bin:/usr/bin
  for variable in "${vars[@]}"; do
    [[ $variable == PATH=* ]] && PATH=${variable#PATH=}
  done
  type -P -- "$name" >/dev/null || refuse "no such executable: $name (PATH is $PATH)"
}

# In the child. The pid file is the second claim: an agent that finds the guardian dead and makes the file itself
# knows that the program was not started, and never will be.
launch() {
  trap - HUP INT QUIT TERM PIPE
  exec 3>&-
  local stat
  read -ra stat </proc/self/stat
  set -C
  printf '%s %s %s\n' "$BASHPID" "${stat[21]}" "$boot" >"$dir/pid" || refuse 'cannot write to the spool'
  set +C
  if [[ ! $out ]]; then exec >>"$dir/stdout" || refuse 'cannot write to the spool'; fi
  umask "$mask"
  quiet cd -- "$cwd" || refuse 'cannot change to the working directory' cd -- "$cwd"
  quiet open_stdin || refuse 'cannot open the stdin file' open_stdin
  if [[ $out ]]; then quiet open_stdout || refuse 'cannot open the stdout file' open_stdout; fi
  find_executable
  if [[ $err ]]; then
    # not `quiet`: it would put the old stderr back
    open_stderr || refuse 'cannot open the stderr file' open_stderr
  else
    umask 077
    exec 2>>"$dir/stderr" || refuse 'cannot write to the spool'
    umask "$mask"
  fi
  exec "$env" -i -- "${vars[@]}" "$setsid" -- "${args[@]}"
}

run() {
  local request in out err cwd vars args job status now
  # O_EXCL: of this guardian and a restarted agent, one wins
  set -C
  if ! printf 'guardian %s %s %s\n' "$$" "$birth" "$boot" >"$dir/claim"; then
    set +C
    [[ -e $dir/claim ]] && echo taken || echo refused 'cannot write to the spool'
    return
  fi
  set +C
  mapfile -d '' -t request <"$dir/request" && exec 3>"$dir/exit" || { echo refused 'cannot use the spool'; return; }
  in=${request[0]:-/dev/null} out=${request[1]} err=${request[2]} cwd=${request[3]}
  vars=("${request[@]:5:request[4]}")
  args=("${request[@]:5+request[4]}")
  launch &
  job=$!
  printf 'started %s\n' "$job"
  wait "$job"
  status=$?
  # Exit code 137 and death by SIGKILL are the same status. Of a job that exited, `jobs` still tells; one that died
  # from a signal is off the list. Not in a CHLD trap: bash 5.2 then frees the job under the feet of `wait`.
  if ((status > 128)); then jobs -l %launch >&3; fi
  if [[ ${EPOCHREALTIME-} ]]; then now=$EPOCHREALTIME; else printf -v now '%(%s)T' -1; fi
  printf 'exit %s %s\n' "$status" "$now" >&3
  exec 3>&-
  printf 'exited %s %s\n' "$status" "$now"
}

# What the agent's parent left open (the lock of a flock, a socket) must not live on here and in the jobs.
close_inherited() {
  local path fd
  for path in /proc/self/fd/*; do
    fd=${path##*/}
    if ((fd > 2)) && [[ -e $path && ! $path -ef ${BASH_SOURCE[0]} ]]; then exec {fd}>&-; fi
  done
}

main() {
  trap '' HUP INT QUIT TERM PIPE
  local boot=$1 env=$2 setsid=$3 birth mask dir stat
  close_inherited
  mask=$(umask)
  umask 077
  read -ra stat </proc/self/stat
  birth=${stat[21]}
  printf 'ready %s\n' "$BASH_VERSION"
  while IFS= read -r -d '' dir; do run; done
}

main "$@"; exit
