#!/bin/bash
# As process 1 of namespaces of its own: a root over this machine's, with the unit as it is shipped, and systemd in it. What the probe finds is in $2.
# Usage: unshare --mount --pid --net --ipc --uts --cgroup --fork --kill-child systemd.sh PROGRAM-FOLDER OUT-FOLDER UNIT
set -e
program=$1 out=$2 unit=$3
mount --make-rprivate /
mount -t tmpfs tmpfs /mnt
mkdir /mnt/up /mnt/work /mnt/root
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/up,workdir=/mnt/work /mnt/root
cd /mnt/root
rm -rf opt/chatminimal etc/systemd/system
mkdir -p opt/chatminimal opt/out etc/systemd/system/chatminimal.service.d old
cp -r "$program/." opt/chatminimal/
mount --bind "$out" opt/out
cp "$unit" etc/systemd/system/chatminimal.service
mount -t proc proc proc
mount --rbind /sys sys
umount -R sys/fs/cgroup
mount -t cgroup2 cgroup2 sys/fs/cgroup
for place in run tmp dev; do mount -t tmpfs tmpfs $place; done
for device in null zero random urandom full tty; do touch dev/$device; mount --bind /dev/$device dev/$device; done
mkdir dev/shm dev/pts dev/mqueue dev/hugepages
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mount -t tmpfs tmpfs dev/shm
cat > etc/systemd/system/chatminimal.service.d/log.conf <<'UNIT'
[Unit]
DefaultDependencies=no
[Service]
Environment=Chat__KeepDays=7
StandardOutput=append:/opt/out/log
StandardError=append:/opt/out/log
UNIT
cat > etc/systemd/system/probe.service <<'UNIT'
[Unit]
DefaultDependencies=no
Wants=chatminimal.service
After=chatminimal.service
[Service]
Type=oneshot
ExecStart=/bin/bash /opt/probe
StandardOutput=file:/opt/out/probe
StandardError=file:/opt/out/probe
ExecStopPost=/bin/systemctl --force --force exit
UNIT
cat > opt/probe <<'PROBE'
systemctl show chatminimal -p ActiveState,Type,User
/opt/chatminimal/chatminimal health --urls http://127.0.0.1:8765
grep -E '^(NoNewPrivs|CapEff|Umask)' /proc/$(systemctl show chatminimal -p MainPID --value)/status
stat -L -c '%a %n' /var/lib/chatminimal /var/lib/chatminimal/chat.db
systemctl restart chatminimal
/opt/chatminimal/chatminimal health --urls http://127.0.0.1:8765
/opt/chatminimal/chatminimal backup /opt/out/copy.db --Chat:Database /var/lib/chatminimal/chat.db >/dev/null || echo no backup
systemctl stop chatminimal
systemctl show chatminimal -p ActiveState,Result
/opt/chatminimal/chatminimal restore /opt/out/copy.db --Chat:Database /var/lib/chatminimal/chat.db >/dev/null || echo not restored
systemctl start chatminimal
/opt/chatminimal/chatminimal health --urls http://127.0.0.1:8765
systemctl stop chatminimal
PROBE
ip link set lo up
pivot_root . old
umount -l /old
export container=other
exec /usr/lib/systemd/systemd --system --unit=probe.service --log-level=warning --show-status=no </dev/null
