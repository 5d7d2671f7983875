# inventory.sh GRIB INDEX: says what a forecast hour holds
grep -q '^GRIB' "$1" || exit 1
echo "t${GFS_CYCLE}z f$GFS_HOUR: $(wc -l < "$2") fields" > "$1.inventory"
