# Runs in the guest as root: a job that does not fit, without swap and with it, each command given what the one
# before found; one JSON in /out for each answer.
export PYTHONPATH=/host PYTHONDONTWRITEBYTECODE=1
oomguard() { python3 -m oomguard "$@"; }
swaps() { tail -n +2 /proc/swaps; }
cp /etc/fstab /out/fstab-before 2>/dev/null || : > /out/fstab-before

# a third more than there is: filled, and read back with its sum checked
available=$(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo)
mib=$(( available * 4 / 3 / 1024 ))
python3 /host/swap_job.py $mib; alone=$?

# for as long as the job runs
oomguard swap --size $(( mib - available / 1024 + 64 ))M --path /out/swap --yes --json --for -- python3 /host/swap_job.py $mib \
  > /out/for.json 2> /out/for.txt; with_swap=$?
left=$(swaps | wc -l)

oomguard diagnose --json > /out/killed.json
oomguard swap --from /out/killed.json --path /out/swap --yes --json --persist > /out/from.json 2> /out/from.txt; made=$?
cp /etc/fstab /out/fstab-persist
python3 /host/swap_job.py $mib; from=$?
oomguard swap status --json > /out/status.json
oomguard swap remove --yes --json > /out/remove.json 2> /out/remove.txt; removed=$?
cmp -s /etc/fstab /out/fstab-before; fstab=$?
printf '{"alone": %d, "with_swap": %d, "left": %d, "made": %d, "from": %d, "removed": %d, "on": %d, "fstab": %d, "files": %d, "mib": %d, "available": %d}\n' \
  $alone $with_swap $left $made $from $removed "$(swaps | wc -l)" $fstab "$(ls /out/swap /var/lib/oomguard 2>/dev/null | wc -l)" $mib $available > /out/codes.json

# what the doctor says: to root, to a user, in a container whose cgroupfs is read-only
oomguard doctor --json > /out/doctor-root.json
chmod 755 /root; runuser -u nobody -- python3 -m oomguard doctor --json > /out/doctor-user.json
systemd-run -q --scope -p MemoryMax=200M -p MemorySwapMax=0 unshare -C -m bash -c 'umount -l /sys/fs/cgroup; mount -t cgroup2 -o ro none /sys/fs/cgroup;
  mount -t tmpfs none /run/systemd; touch /run/.containerenv; python3 -m oomguard doctor --json > /out/doctor-container.json'
