# Runs in the guest as root, under systemd: a command under a budget, from each place that a user may be in.
export PYTHONPATH=/host PYTHONDONTWRITEBYTECODE=1
chmod 1777 /out
check="python3 /host/check_run.py"

# root, in a service with other processes in its cgroup
$check /out/root.json single pool threads burst release stop guard-killed
$check /out/root-systemd.json "single:--enforce systemd"
# root, alone in a delegated scope: the guard steps down beside its job
systemd-run -q --scope -p Delegate=yes $check /out/delegated-scope.json single
# a user with a session of the user manager; then the same user as su or cron leave them
useradd -m tester; uid=$(id -u tester)
systemctl start "user@$uid.service"
cd /
runuser -u tester -- env XDG_RUNTIME_DIR="/run/user/$uid" $check /out/user-session.json single guard-killed
# each flag, as root and in that session
mkdir -p /var/tmp/root /var/tmp/tester; chown tester: /var/tmp/tester
(cd /var/tmp/root && python3 -m tests.live.flag_cases /out/flags-root.json)
(cd /var/tmp/tester && runuser -u tester -- env XDG_RUNTIME_DIR="/run/user/$uid" python3 -m tests.live.flag_cases /out/flags-user-session.json)
# a user without a bus
runuser -u nobody -- env TMPDIR=/var/tmp $check /out/no-bus.json single
# a container whose cgroupfs is read-only, as Docker has it
container='umount -l /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; mount -t tmpfs none /run/systemd; touch /run/.containerenv;'
systemd-run -q --scope -p Delegate=yes unshare -C -m bash -c \
  "$container mount -o remount,bind,ro /sys/fs/cgroup; exec $check /out/container-read-only.json single"
find /sys/fs/cgroup -name 'oomguard-*' > /out/left-behind.txt
