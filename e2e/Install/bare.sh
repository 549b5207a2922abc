#!/bin/bash
# A machine with nothing on it, as process 1 of namespaces of its own: a read-only root with the C library, the libraries that are named and the
# folder of a published server, which runs there as a user who may write to /home/app and /tmp alone, as in compose.yaml.
# Usage: unshare --mount --pid --fork --kill-child bare.sh PROGRAM-FOLDER "LIBRARY ..." ARGUMENT...
set -e
program=$1 libraries=$2
shift 2
mount --make-rprivate /
mount -t tmpfs tmpfs /mnt
cd /mnt
mkdir -p opt/chatminimal home/app proc dev tmp
cp -r "$program/." opt/chatminimal/
for library in $libraries; do
  cp -L --parents "$(ldconfig -p | sed -n "s/^\s*$library .*=> //p" | head -n 1)" .
done
for needed in $(ldd opt/chatminimal/chatminimal opt/chatminimal/*.so | grep -o '/[^ :]*' | grep -v '^/mnt\|^opt\|chatminimal' | sort -u); do
  cp -L --parents "$needed" .
done
for device in null zero random urandom; do touch dev/$device; mount --bind /dev/$device dev/$device; done
mount -t proc proc proc
mount -t tmpfs -o uid=1654,gid=1654,mode=0700 tmpfs home/app
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -o remount,ro /mnt
exec env -i HOME=/home/app setpriv --no-new-privs unshare --root=/mnt --wd=/home/app --setgid=1654 --setuid=1654 /opt/chatminimal/chatminimal "$@"
