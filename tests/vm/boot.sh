#!/bin/bash
# boot.sh [options] -- 'COMMAND'
# Boots the guest that build.sh made, runs COMMAND (bash) in it as root, prints its stdout and stderr live, brings
# back the files it left under /out, and exits with its status (124: --timeout ran out; 125: the guest died first).
#   --mem MB        guest memory (1024)     --cpus N        (1)
#   --swap MB       a swap disk, switched on    --kernel NAME   cache/kernels/NAME (6.1)
#   --cgroup v2|v1|hybrid  (v2)             --init systemd|mini  (mini: a shell script as PID 1)
#   --share DIR     a copy of it is mounted at /host
#   --out DIR       where /out comes back   --timeout S     (300)
set -uo pipefail
HERE=$(cd "$(dirname "$0")" && pwd); CACHE=$HERE/cache
mem=1024 cpus=1 swap=0 kernel=6.1 cgroup=v2 init=systemd share='' out='' timeout=300
while [ $# -gt 0 ]; do case $1 in
  --mem) mem=$2; shift 2;; --cpus) cpus=$2; shift 2;; --swap) swap=$2; shift 2;; --kernel) kernel=$2; shift 2;;
  --cgroup) cgroup=$2; shift 2;; --init) init=$2; shift 2;; --share) share=$2; shift 2;; --out) out=$2; shift 2;;
  --timeout) timeout=$2; shift 2;; --) shift; break;;
  -h|--help) sed -n '2,/^set /p' "$0" | sed '$d;s/^# \{0,1\}//'; exit 0;; *) echo "boot.sh: unknown option $1" >&2; exit 2;; esac; done
[ $# = 1 ] || { echo "boot.sh: one COMMAND after -- (see --help)" >&2; exit 2; }
k=$CACHE/kernels/$kernel; root=$CACHE/root.img
[ -s "$k/initrd.img" ] && [ -s "$root" ] || { echo "boot.sh: build first: ./build.sh $kernel" >&2; exit 2; }

probe=$CACHE/accel.$(cat /proc/sys/kernel/random/boot_id)   # asked once per boot of the host
[ -s "$probe" ] || "$HERE/probe-kvm.sh" "$k" > "$probe"
case $(cat "$probe") in kvm) accel="-accel kvm -cpu host,-arch-capabilities";;
  # without erms: TCG emulates `rep stosb`, with which the kernel clears pages, byte by byte
  *) accel="-accel tcg,thread=multi,tb-size=256 -cpu max,la57=off,-erms";; esac

w=$(mktemp -d "${TMPDIR:-/var/tmp}/vmrun.XXXXXX"); qpid=
cleanup() { [ -n "$qpid" ] && kill "$qpid" 2>/dev/null; jobs -p | xargs -r kill 2>/dev/null; rm -rf "$w"; }
trap cleanup EXIT; trap 'exit 130' INT TERM
fmt() { mke2fs -q -F -t ext4 -O ^has_journal,^metadata_csum,^64bit -E lazy_itable_init=1,nodiscard -m 0 -d "$1" "$2" "$3" 2>&1 | grep -v '^Creating regular' >&2; }
drive() { echo "-drive if=none,id=$1,file=$2,format=raw,cache=unsafe,$3 -device virtio-blk-pci,drive=$1,serial=$1"; }
mkdir -p "$w/o/.vm"; printf '%s\n' "$1" > "$w/o/.vm/cmd"
fmt "$w/o" "$w/out.img" 512M
disks="$(drive root "$root" snapshot=on) $(drive out "$w/out.img" discard=unmap)"
if [ -n "$share" ]; then
  fmt "$share" "$w/share.img" "$(( $(du -sm --apparent-size "$share" | cut -f1) * 13 / 10 + 32 ))M"; disks="$disks $(drive share "$w/share.img" discard=ignore)"; fi
if [ "$swap" != 0 ]; then truncate -s "${swap}M" "$w/swap.img"; chmod 600 "$w/swap.img"; mkswap "$w/swap.img" >/dev/null 2>&1; disks="$disks $(drive swap "$w/swap.img" discard=ignore)"; fi
case $cgroup in v2) cg="systemd.unified_cgroup_hierarchy=1";;
  v1) cg="systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=1";;
  hybrid) cg="systemd.unified_cgroup_hierarchy=0";; *) echo "boot.sh: --cgroup $cgroup?" >&2; exit 2;; esac
cmdline="console=ttyS0 panic=-1 reboot=t,f tsc=reliable no_timer_check mitigations=off audit=0 8250.nr_uarts=1 random.trust_cpu=on \
 systemd.show_status=0 systemd.log_target=journal $cg vm.cgroup=$cgroup vm.init=$init"

mkfifo "$w/out" "$w/err" "$w/ctl"
cat "$w/out" & cat "$w/err" >&2 & catpids="$(jobs -p)"
exec 8<>"$w/ctl"
port() { echo "-chardev file,id=$1,path=$w/$2 -device virtserialport,chardev=$1,name=$3"; }
# shellcheck disable=SC2086,SC2046
nice -n 10 qemu-system-x86_64 -M q35 -nodefaults -no-user-config -display none -vga none -no-reboot $accel -m "$mem" -smp "$cpus" \
  -kernel "$k/vmlinuz" -initrd "$k/initrd.img" -append "$cmdline" -serial "file:$w/console" -device virtio-serial-pci $disks \
  $(port pout out vm.out) $(port perr err vm.err) $(port pctl ctl vm.ctl) 8<&- 2> "$w/qemu.err" < /dev/null &
qpid=$!
st='' said='' deadline=$(( ${EPOCHREALTIME%.*} + timeout ))
while :; do
  part=; read -r -t 1 -u 8 part; got=$?; said+=$part   # a read that times out in the middle of a line keeps its half
  if [ $got = 0 ]; then case $said in
    START*) ;; "EXIT "*) st=${said#EXIT }; break;; *) echo "guest: $said" >&2;; esac; said=
  elif ! kill -0 "$qpid" 2>/dev/null; then break
  elif [ "${EPOCHREALTIME%.*}" -ge "$deadline" ]; then echo "boot.sh: timeout after $timeout s" >&2; kill "$qpid"; st=124; break; fi
done
i=0; while kill -0 "$qpid" 2>/dev/null && [ $i -lt 100 ]; do sleep 0.05; i=$((i+1)); done   # let it power off by itself
kill "$qpid" 2>/dev/null; wait "$qpid" 2>/dev/null; qpid=
sleep 0.05; for p in $catpids; do kill "$p" 2>/dev/null; done; wait 2>/dev/null
grep -v 'terminating on signal\|TCG doesn.t support requested feature' "$w/qemu.err" >&2
if [ -z "$st" ]; then st=125; echo "boot.sh: the guest ended before COMMAND did; its console's last lines:" >&2; tail -n 20 "$w/console" >&2; fi
if [ -n "$out" ]; then
  mkdir -p "$out" "$w/back"; e2fsck -fy "$w/out.img" >/dev/null 2>&1   # after a crash the disk was not unmounted
  debugfs -R "rdump / $w/back" "$w/out.img" >/dev/null 2>&1; rmdir "$w/back/lost+found" 2>/dev/null
  cp -a "$w/back/." "$out/"; cp "$w/console" "$out/.vm/console"; fi
exit "$st"
