#!/bin/bash
# getkernel.sh NAME SUITE METAPACKAGE: downloads one Debian kernel package and unpacks it (no install) to
# cache/kernels/NAME/{vmlinuz,lib/modules/VER,version,package}; mkinitrd.sh makes the initramfs from it.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd); . "$HERE/aptenv.sh"
name=$1 suite=$2 meta=$3; k=$CACHE/kernels/$name
pkg=$(apt_suite "$suite" apt-cache depends "$meta" | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -1)
[ -n "$pkg" ] || { echo "no kernel behind $meta in $suite" >&2; exit 1; }
rm -rf "$k.tmp"; mkdir -p "$k.tmp/deb" "$k.tmp/x"
( cd "$k.tmp/deb" && apt_suite "$suite" apt-get -q download "$pkg" )
dpkg-deb -x "$k.tmp"/deb/*.deb "$k.tmp/x"
dpkg-deb -f "$k.tmp"/deb/*.deb Package Version | paste -sd' ' | sed 's/Package: //;s/Version: //' > "$k.tmp/package"
cp "$k.tmp"/x/boot/vmlinuz* "$k.tmp/vmlinuz"
mkdir -p "$k.tmp/lib"
if [ -d "$k.tmp/x/usr/lib/modules" ]; then mv "$k.tmp/x/usr/lib/modules" "$k.tmp/lib/"; else mv "$k.tmp/x/lib/modules" "$k.tmp/lib/"; fi
ls "$k.tmp/lib/modules" > "$k.tmp/version"
[ -f "$k.tmp/lib/modules/$(cat "$k.tmp/version")/modules.dep" ] || depmod -b "$k.tmp" "$(cat "$k.tmp/version")"
rm -rf "$k.tmp/x" "$k.tmp/deb" "$k"; mv "$k.tmp" "$k"
