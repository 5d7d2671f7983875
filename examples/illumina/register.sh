# register.sh RUN_DIRECTORY: notes a complete run
cycles=$(sed -n 's/.*NumCycles="\([0-9]*\)".*/\1/p' "$1/RunInfo.xml" | paste -s -d + -)
echo "$RUN_DATE $RUN_INSTRUMENT $RUN_FLOWCELL $cycles" >> runs.txt
