# One attempt of a job of the torture. Says its start and its end as one line each, appended to $LOG:
#   S watch step mtime attempt pid birth time lock seen whole job
#   E watch step mtime attempt pid birth time status job
# arguments: watch step mtime attempt file
# The file's first line says what to do: serial, failing attempts, milliseconds, mode; its last line is `end serial`.
LC_ALL=C
key="$1 $2 $3 $4" file=$5 attempt=$4
read -ra stat </proc/self/stat
# held while this process lives, however it ends: a second holder is an overlap
exec 9>>"$LOCKS/$1.$2.$3" 8<>"$FIFO"
lock=free
flock -n 9 8>&- || lock=taken
seen=gone whole=no
if { mapfile -t lines <"$file"; } 2>/dev/null; then
  read -r seen fails ms mode <<<"${lines[0]}"
  [[ ${#lines[@]} -gt 1 && ${lines[-1]} == "end $seen" ]] && whole=yes
fi
printf 'S %s %s %s %s %s %s %s %s\n' \
  "$key" $$ "${stat[21]}" "$EPOCHREALTIME" "$lock" "${seen:-empty}" "$whole" "$MEESEEKS_JOB_ID" >>"$LOG"
[[ $whole == yes ]] || fails=0 ms=0 mode=plain
[[ $mode == plain ]] || trap '' TERM
if [[ $mode == hang && $attempt -le $fails ]]; then
  sleep 60 8>&- 9>&- &
  read -rt 60 -u 8
fi
((ms == 0)) || read -rt "$((ms / 1000)).$(printf '%03d' $((ms % 1000)))" -u 8
status=0
((attempt <= fails)) && status=3
printf 'E %s %s %s %s %s %s\n' "$key" $$ "${stat[21]}" "$EPOCHREALTIME" "$status" "$MEESEEKS_JOB_ID" >>"$LOG"
exit "$status"
