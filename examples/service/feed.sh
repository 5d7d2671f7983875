# feed.sh: stands for a receiver that runs for ever
echo "up $$" >> feed.log
exec sleep 1000
