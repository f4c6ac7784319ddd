#!/bin/bash
# build.sh [KERNEL...]: builds the guest in cache/ from Debian packages only, about a minute and 200 MB.
#   cache/root.img           the root disk (Debian 12, shared by every kernel)
#   cache/kernels/NAME/      vmlinuz, initrd.img, package (what it was built from)
# KERNEL: 6.1 (default), 5.10, 6.12. Needs root on a Debian host, and its package mirror.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd); cd "$HERE"; . ./aptenv.sh
kernels=("$@"); [ ${#kernels[@]} = 0 ] && kernels=(6.1)
mkdir -p cache
need=(); for p in qemu-system-x86 mmdebstrap cpio zstd xz-utils busybox-static kmod e2fsprogs; do
  dpkg-query -W -f '${db:Status-Abbrev}' "$p" 2>/dev/null | grep -q '^ii' || need+=("$p"); done
if [ ${#need[@]} -gt 0 ]; then
  apt-get -q update >/dev/null; DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${need[@]}" >/dev/null; fi

has_all() { while read -r p; do grep -q "^$p[:[:blank:]]" cache/root.packages || return 1; done < packages.txt; }
if [ ! -s cache/root.img ] || ! has_all; then
  apt_suite bookworm true
  rm -rf cache/root.tmp
  mmdebstrap --quiet --variant=essential --include="$(paste -sd, packages.txt)" \
    --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    --dpkgopt='path-exclude=/usr/lib/x86_64-linux-gnu/gconv/*' --customize-hook='./setup-root.sh "$1"' \
    bookworm cache/root.tmp - < cache/apt/bookworm/etc/sources.list
  # mmdebstrap empties it, and then every boot would be a "first boot"
  echo 6f6f6d6775617264000000000000beef > cache/root.tmp/etc/machine-id
  chroot cache/root.tmp dpkg-query -W > cache/root.packages
  rm -f cache/root.img.tmp; size=$(( $(du -sm cache/root.tmp | cut -f1) * 115 / 100 + 256 ))
  mke2fs -q -t ext4 -b 4096 -d cache/root.tmp -E lazy_itable_init=1,lazy_journal_init=1 -O ^metadata_csum,^64bit -J size=4 -m 0 \
    -L root cache/root.img.tmp "${size}M"
  mv cache/root.img.tmp cache/root.img; rm -rf cache/root.tmp
fi

for k in "${kernels[@]}"; do
  case $k in 6.1) suite=bookworm;; 5.10) suite=bullseye;; 6.12) suite=trixie;; *) echo "unknown kernel $k" >&2; exit 2;; esac
  if [ ! -s "cache/kernels/$k/initrd.img" ]; then
    ./getkernel.sh "$k" "$suite" linux-image-cloud-amd64
    ./mkinitrd.sh "$k"
    rm -rf "cache/kernels/$k/lib"; fi
  echo "kernel $k: $(tail -1 "cache/kernels/$k/package")"
done
