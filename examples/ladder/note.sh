# note.sh WHAT FILE: stands for the plot, the verification and the archive
echo "$(basename "$2") $1" >> ladder.log
