#!/bin/bash
# mkinitrd.sh NAME: cache/kernels/NAME/initrd.img out of its modules: static busybox, virtio, ext4.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd); k=$HERE/cache/kernels/$1; ver=$(cat "$k/version")
w=$k/initrd.d; rm -rf "$w"; mkdir -p "$w"/{bin,dev,proc,sys,root,m}
cp "$(command -v busybox)" "$w/bin/busybox"; ln -sfn busybox "$w/bin/sh"; install -m755 "$HERE/guest/initrd-init" "$w/init"
: > "$w/modules"
# crc32c: ext4's checksums ask the crypto API for it by name, so modules.dep does not list it
for m in virtio_pci virtio_blk virtio_console crc32c_generic ext4; do
  modprobe -d "$k" -S "$ver" --show-depends --ignore-install -q "$m" 2>/dev/null | while read -r kind f _; do
    [ "$kind" = insmod ] || continue                       # 'builtin': nothing to load
    b=$(basename "$f"); b=${b%.xz}; b=${b%.zst}
    case $f in *.xz) xz -dc "$f" > "$w/m/$b";; *.zst) zstd -qdc "$f" > "$w/m/$b";; *) cp "$f" "$w/m/$b";; esac
    grep -qx "$b" "$w/modules" || echo "$b" >> "$w/modules"
  done || true
done
( cd "$w" && find . -mindepth 1 | LC_ALL=C sort | cpio -o -H newc -R 0:0 --quiet ) > "$k/initrd.img"
rm -rf "$w"
