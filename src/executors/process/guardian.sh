# Guardian: starts jobs one after the other, outlives the agent, and writes down how each job ended.
#
#   bash guardian.sh JOURNAL BOOT_ID ENV SETSID
#
# stdin: messages, never parsed as shell text. A message is a line and LENGTH bytes: fields, each ended by 0x1e (with
# ESCAPED 1, 0x1d 1 and 0x1d 2 in a field stand for 0x1d and 0x1e).
#   env LENGTH ESCAPED COUNT       the environment of the runs to come: `_=value` or '', PATH to search, COUNT variables that
#                                  have to be arguments of env, the others, all as NAME=value
#   run LENGTH ESCAPED COUNT NAME  PATH that the names of its files begin with; stdin, stdout, stderr ('' = none, spool file);
#                                  cwd; COUNT variables of its own; arguments
# Written: the journal (who this is; of each run `pid`, `exit`, or `never`), PATH.stdout, PATH.stderr, PATH.error (why it did not start).
# stdout: ready VERSION | unfit TEXT | started PID TIME | exited STATUS TIME
# Nothing forks but the job itself: every command below is a builtin. No file is made that need not be: that is what a
# start costs most. All of it is in functions because bash reads a script piecemeal, and the file may be replaced by an
# upgrade while this runs. The shell's own stderr is /dev/null.

# Tells why the job cannot start; the redirection of the failed command repeats it for its message.
refuse() {
  umask 077
  { printf '%s\n' "$1" && shift && "$@"; } >"$path.error" 2>&1
  exit 125
}
open_stdin() { exec <"$in"; }
open_stdout() { exec >>"$out"; }
open_stderr() { exec 2>>"$err"; }

find_executable() {
  local name=${args[0]}
  if [[ $name == */* ]]; then
    [[ -e $name ]] || refuse "no such executable: $name"
    [[ -f $name && -x $name ]] || refuse "not executable: $name"
    return
  fi
  PATH=$search
  type -P -- "$name" >/dev/null || refuse "no such executable: $name (PATH is $PATH)"
}

# Seconds since the epoch; bash before 5.0 knows them without their parts.
clock() { if [[ ${EPOCHREALTIME-} ]]; then now=$EPOCHREALTIME; else printf -v now '%(%s)T.0' -1; fi; }

# In the child, which reads what the guardian need not know. Making the stdout file is the claim: an agent that takes that name itself knows that the program was not
# started. That it never will be, whatever becomes of the name: such an agent has given the journal another name before.
# The pid is noted first, so that whoever finds the claim taken finds the process.
launch() {
  local fields path in out err cwd own args stat claimed now
  decode
  path=${fields[0]} in=${fields[1]:-/dev/null} out=${fields[2]} err=${fields[3]} cwd=${fields[4]}
  own=("${fields[@]:5:count}")
  args=("${fields[@]:5+count}")
  trap - HUP INT QUIT TERM PIPE
  read -r stat </proc/self/stat
  clock
  printf 'pid %s %s %s\n' "$name" "$stat" "$now" >&3 || refuse 'cannot write to the spool'
  set -C
  : >"$path.stdout"
  claimed=$?
  set +C
  if [[ ! -e $journal ]]; then
    printf 'never %s\n' "$name" >&3
    exit 125
  fi
  exec 3>&-
  if ((claimed != 0)); then
    [[ ! -e $path.stdout ]] || refuse 'its output file is there already'
    refuse 'cannot write to the spool'
  fi
  if [[ ! $out ]]; then exec >>"$path.stdout" || refuse 'cannot write to the spool'; fi
  umask "$mask"
  cd -- "$cwd" || refuse 'cannot change to the working directory' cd -- "$cwd"
  open_stdin || refuse 'cannot open the stdin file' open_stdin
  if [[ $out ]]; then open_stdout || refuse 'cannot open the stdout file' open_stdout; fi
  find_executable
  if [[ $err ]]; then
    open_stderr || refuse 'cannot open the stderr file' open_stderr
  else
    umask 077
    exec 2>>"$path.stderr" || refuse 'cannot write to the spool'
    umask "$mask"
  fi
  if ((${#shown[@]})); then set -- "$env" -- "${shown[@]}"; fi
  become "$last" "$@" "$setsid" -- "${args[@]}"
}

# Anybody can read arguments in `ps`, only the owner an environment. Local, so that they do not meet variables from above.
# `_` gets a new value with each command but here.
become() {
  if ((${#vars[@]} + ${#own[@]})); then local -x -- "${vars[@]}" "${own[@]}"; fi
  if [[ $1 ]]; then _=${1#_=} exec "${@:2}"; fi
  exec "${@:2}"
}

decode() {
  local IFS=$'\x1e' i
  fields=($payload)
  ((escaped)) || return
  for i in "${!fields[@]}"; do
    fields[i]=${fields[i]//$'\x1d2'/$'\x1e'}
    fields[i]=${fields[i]//$'\x1d1'/$'\x1d'}
  done
}

take_environment() {
  local fields
  decode
  last=${fields[0]} search=${fields[1]}
  shown=("${fields[@]:2:count}")
  vars=("${fields[@]:2+count}")
}

run() {
  local job status now
  # with (): else exec counts SHLVL down, and exports it
  (launch) &
  job=$!
  clock
  printf 'started %s %s\n' "$job" "$now"
  wait "$job"
  status=$?
  # Exit code 137 and death by SIGKILL are the same status. Of a job that exited, `jobs` still tells; one that died
  # from a signal is off the list. Not in a CHLD trap: bash 5.2 then frees the job under the feet of `wait`.
  if ((status > 128)); then jobs -l %?launch >&3; fi
  clock
  printf 'exit %s %s %s\n' "$name" "$status" "$now" >&3
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
  local journal=$1 boot=$2 env=$3 setsid=$4 mask stat kind length escaped count name payload last search vars shown
  close_inherited
  cd /
  # what the shell has, and what becomes the environment of a job, are two things
  export -n LC_ALL PATH PWD OLDPWD SHLVL
  set -f
  mask=$(umask)
  umask 077
  read -ra stat </proc/self/stat
  if ! { exec 3>>"$journal" && printf 'guardian %s %s %s\n' "$$" "${stat[21]}" "$boot" >&3; }; then
    echo unfit "cannot write to $journal"
    return
  fi
  printf 'ready %s\n' "$BASH_VERSION"
  while read -r kind length escaped count name && IFS= read -r -N "$length" payload; do
    if [[ $kind == run ]]; then run; else take_environment; fi
  done
}

main "$@"; exit
