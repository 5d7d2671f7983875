# composite.sh C01 C02 ... C16: what a real one would do with the channels of one scan
{
  echo "$ABI_SATELLITE scene $ABI_SCENE, $# channels"
  printf '%s\n' "$@" | sed 's/.*-M[0-9]*\(C[0-9]*\)_.*/\1/' | paste -s -d ' ' -
} > "data/$ABI_START.composite"
