# Runs in the guest as root, under systemd: each way a process may be placed, one result in /out for each.
export PYTHONPATH=/host PYTHONDONTWRITEBYTECODE=1
chmod 1777 /out
check="python3 /host/check_budget.py"
as_user() { systemd-run -q --wait --collect --pipe -p User=nobody -E PYTHONPATH -E PYTHONDONTWRITEBYTECODE "$@"; }
scope() { systemd-run -q --scope -p MemoryMax=300M "$@"; }

# a service with other processes in its cgroup: this one
$check /out/service.json --reload
# alone in a scope with a limit of its own: delegated, and not
scope -p Delegate=yes $check /out/delegated-scope.json --reload
scope $check /out/scope.json --reload
# alone in a scope with a limit below the budget
scope -p Delegate=yes -p MemoryMax=120M $check /out/scope-of-120M.json
# an unprivileged user, with a delegated cgroup and without
as_user -p Delegate=yes $check /out/delegated-service.json
as_user $check /out/not-delegated.json
# what an error advises: a scope of the user's own manager
useradd -m tester; uid=$(id -u tester)
systemctl start "user@$uid.service"
runuser -u tester -- env XDG_RUNTIME_DIR="/run/user/$uid" systemd-run -q --user --scope -p Delegate=yes -p MemoryMax=160M -p MemorySwapMax=0 \
  $check /out/user-scope.json
# a container: cgroup namespace, cgroupfs read-only (as Docker does) or writable, alone in it or beside its shell
container='umount -l /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; mount -t tmpfs none /run/systemd; touch /run/.containerenv;'
scope -p Delegate=yes unshare -C -m bash -c "$container mount -o remount,bind,ro /sys/fs/cgroup; exec $check /out/container-read-only.json"
scope -p Delegate=yes unshare -C -m bash -c "$container exec $check /out/container-alone.json"
scope -p Delegate=yes unshare -C -m bash -c "$container $check /out/container-beside-shell.json; true"
# the live tests, from this service
python3 -m pytest -q --noconftest -p no:cacheprovider -c /dev/null -o markers=live --rootdir=/host /host/tests/live/test_own_cgroup.py \
  > /out/live.txt 2>&1
echo $? > /out/live.status
find /sys/fs/cgroup -name 'oomguard-*' > /out/left-behind.txt
