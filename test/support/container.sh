# Runs a program as the image would, without a container engine: a root of its own that cannot be written to, the
# image's user, no capabilities, and the tmpfs and volume mounts of packaging/docker/compose.yaml. Needs root.
#
#   unshare --mount --pid --fork bash container.sh ROOT APP MODULES NODE SCRIPT
#
# ROOT: an empty directory; APP: what is in /app; MODULES: its node_modules; NODE: the node executable; SCRIPT: shell text to run in there, with
# node and the programs in PATH. ROOT/etc and ROOT/run/secrets may have files already.
set -euo pipefail
root=$1 app=$2 modules=$3 node=$4 script=$5
mount --make-rprivate /
mount --bind "$root" "$root"
mkdir -p "$root"/{app,proc,dev,run/meeseeks,run/lock,tmp,usr,var/lib/meeseeks,opt/bin}
for name in bin sbin lib lib64; do
  [[ -e /$name ]] && ln -sfn "usr/$name" "$root/$name"
done
mount --rbind /usr "$root/usr"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount --rbind "$app" "$root/app"
mount --rbind "$modules" "$root/app/node_modules"
for name in box client watch; do ln -s "/app/dist/bin/meeseeks-$name.js" "$root/opt/bin/meeseeks-$name"; done
[[ $node == /usr/* ]] || { echo "node is not below /usr" >&2; exit 77; }
mount -t tmpfs -o uid=13700,gid=13700,mode=0755 tmpfs "$root/run/meeseeks"
mount -t tmpfs -o mode=1777 tmpfs "$root/run/lock"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t tmpfs -o uid=13700,gid=13700,mode=0700 tmpfs "$root/var/lib/meeseeks"
for path in "" /app /app/node_modules /usr; do mount -o remount,bind,ro "$root$path"; done
cd "$root"
exec chroot "$root" /usr/bin/setpriv --reuid=13700 --regid=13700 --clear-groups \
  --no-new-privs --bounding-set=-all /usr/bin/env -i PATH="/opt/bin:${node%/*}:/usr/local/bin:/usr/bin:/bin" \
  XDG_STATE_HOME=/var/lib MEESEEKS_CONF="address=/run/meeseeks/box.sock" \
  bash -c "cd /var/lib/meeseeks
$script"
