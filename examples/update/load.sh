# load.sh TABLE: stands for the program that loads a table
echo "$(basename "$1"): $(($(wc -l < "$1") - 1)) rows" >> loaded.log
