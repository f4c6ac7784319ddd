#!/bin/bash
# mmdebstrap's customize hook: what turns the bare Debian tree into the guest.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd); r=$1
install -m755 "$HERE/guest/vm-run" "$HERE/guest/vm-mini-init" "$r/usr/local/sbin/"
install -m644 "$HERE/guest/vm-run.service" "$HERE/guest/vm.target" "$r/etc/systemd/system/"
ln -sfn vm.target "$r/etc/systemd/system/default.target"
# nothing that kills by itself, no timers, no udev coldplug (devtmpfs has the nodes): boot time
for u in systemd-udevd.service systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-udev-trigger.service \
  systemd-update-utmp.service systemd-update-utmp-runlevel.service systemd-random-seed.service systemd-remount-fs.service systemd-binfmt.service \
  systemd-tmpfiles-setup-dev.service kmod-static-nodes.service sys-kernel-debug.mount \
  sys-fs-fuse-connections.mount sys-kernel-config.mount dev-hugepages.mount dev-mqueue.mount \
  systemd-hwdb-update.service systemd-journal-flush.service systemd-machine-id-commit.service \
  'modprobe@.service' modprobe@configfs.service modprobe@dm_mod.service modprobe@drm.service modprobe@efi_pstore.service modprobe@fuse.service modprobe@loop.service \
  systemd-sysusers.service systemd-modules-load.service sys-kernel-tracing.mount systemd-pcrphase.service systemd-pcrphase-sysinit.service systemd-pcrphase-initrd.service systemd-firstboot.service \
  systemd-tmpfiles-setup-dev-early.service tmp.mount run-lock.mount systemd-journal-catalog-update.service ldconfig.service systemd-update-done.service \
  apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer systemd-tmpfiles-clean.timer; do
  ln -sfn /dev/null "$r/etc/systemd/system/$u"; done
# programs that kill when memory is low start only where a test starts them
for u in earlyoom nohang nohang-desktop systemd-oomd; do rm -f "$r"/etc/systemd/system/*.wants/$u*.service; done
mkdir -p "$r/etc/systemd/journald.conf.d"
printf '[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\nRateLimitBurst=0\nRuntimeMaxUse=48M\nForwardToSyslog=no\n' > "$r/etc/systemd/journald.conf.d/vm.conf"
: > "$r/etc/fstab"; echo guest > "$r/etc/hostname"; printf '127.0.0.1 localhost guest\n' > "$r/etc/hosts"
echo 6f6f6d6775617264000000000000beef > "$r/etc/machine-id"
sed -i "s/^root:[^:]*/root:/" "$r/etc/shadow" 2>/dev/null || true
mkdir -p "$r/out" "$r/host"; ln -sfn /proc/mounts "$r/etc/mtab"
rm -rf "$r"/var/cache/apt/* "$r"/var/lib/apt/lists/* "$r"/var/log/* "$r"/usr/share/{doc,man,locale,info}/* "$r"/tmp/* "$r"/usr/lib/udev/hwdb.bin
mkdir -p "$r/var/log/journal"; rmdir "$r/var/log/journal"
