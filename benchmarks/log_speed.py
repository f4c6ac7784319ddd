"""How fast `oomguard diagnose` reads a gigabyte of log, and with how much memory, beside `grep -c` on the same file.

`make logspeed`. 1 GB each: a server's week (a few reports in ordinary lines), one line, nothing but reports, and
one report with ten million processes; and what --all takes, which reads every report whole.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CAPTURES = Path(__file__).parents[1] / "tests/captures/kernel_log"
SIZE = 10**9
ORDINARY = [
    b"Nov 22 21:44:%02d host kernel: [%12.6f] [UFW BLOCK] IN=eth0 OUT= MAC=f2:3c:91:e2:47:cc:00:1b:54:c2:50:c1:08:00 SRC=45.134.26.57 DST=10.0.0.4 LEN=40",
    b"Nov 22 21:44:%02d host kernel: [%12.6f] audit: type=1110 audit(1623467776.955:85): pid=1041 uid=1000 auid=1000 ses=2 msg='op=PAM:setcred'",
    b"Nov 22 21:44:%02d host systemd[1]: Started run-%f.service - /usr/bin/true with a memory of its own and a killer name.",
    b"Nov 22 21:44:%02d host kernel: [%12.6f] docker0: port 2(vethcd0dbfb) entered forwarding state",
]


def week(path: Path, size: int) -> int:
    """Ordinary lines with the captured reports now and then. Gives the number of kills."""
    report = b"".join(
        b"Nov 22 21:45:00 host kernel: " + line + b"\n"
        for line in (CAPTURES / "three-kills-6.1.log").read_bytes().split(b"\n")
        if line
    )
    lines = [ORDINARY[n % 4] % (n % 60, n / 7) for n in range(40_000)]
    block = b"\n".join(lines) + b"\n"
    written = kills = 0
    with path.open("wb") as file:
        while written < size:
            written += file.write(block)
            if kills < 30:
                written += file.write(report.replace(b"python3", b"py%05d" % kills))
                kills += 3
    return kills


def reports(path: Path, size: int) -> int:
    """Nothing but reports, each of other processes."""
    report = (CAPTURES / "three-kills-6.1.log").read_bytes()
    written = kills = 0
    with path.open("wb") as file:
        while written < size:
            kills += 3
            written += file.write(report.replace(b"python3", b"py%05d" % (kills % 100_000)))
    return kills


def one_line(path: Path, size: int) -> int:
    """No line end at all; it begins with the words of a kill, which count."""
    with path.open("wb") as file:
        for _ in range(size // 1_000_000):
            file.write(b"Killed process 12 (x) total-vm:1kB oom-kill: " * 22_222)
    return 1


def table(path: Path, size: int) -> int:
    """One report whose table of processes has ten million rows."""
    rows = b"".join(
        b"[%7d]  1000 %7d    12551     %5d    49152       37             0 worker-%d\n" % (n, n, n % 9999, n % 7000)
        for n in range(10_000)
    )
    with path.open("wb") as file:
        file.write(b"python3 invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0\n")
        file.write(b"[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name\n")
        for _ in range(size // len(rows)):
            file.write(rows)
        file.write(
            b"Out of memory: Killed process 5 (worker-5) total-vm:50204kB, anon-rss:20kB, file-rss:0kB, shmem-rss:0kB\n"
        )
    return 1


def measure(path: Path, *, every: bool) -> tuple[float, float, int]:
    """Seconds, MiB of peak resident memory, and kills that were found."""
    code = (
        "import json, re, sys, oomguard\n"
        "d = oomguard.diagnose(sys.argv[1], every=bool(sys.argv[2:]))\n"
        "str(d.render())\n"
        "peak = re.search('VmHWM:\\\\s+([0-9]+)', open('/proc/self/status').read())[1]\n"
        "print(json.dumps([int(peak) / 1024, d.found]))"
    )
    began = time.perf_counter()
    command = [sys.executable, "-c", code, str(path), *(["all"] if every else [])]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - began
    peak, found = json.loads(run.stdout)
    return seconds, peak, found


def main() -> None:
    size = int(float(sys.argv[1])) if len(sys.argv) > 1 else SIZE
    wrong = False
    with tempfile.TemporaryDirectory() as folder:
        for make, share, every in (
            (week, 1.0, False),
            (one_line, 1.0, False),
            (reports, 1.0, False),
            (table, 0.7, False),
            (reports, 0.02, True),
        ):
            path = Path(folder, make.__name__)
            kills = make(path, int(size * share))
            done = path.stat().st_size / 1e6
            subprocess.run(["cat", path], stdout=subprocess.DEVNULL, check=True)  # into the page cache
            seconds, peak, found = measure(path, every=every)
            began = time.perf_counter()
            # Through a pipe: with /dev/null grep stops at the first line that fits.
            subprocess.run(["grep", "-c", "Killed process", path], stdout=subprocess.PIPE, check=False)
            grep = time.perf_counter() - began
            wrong |= found != kills or peak > 60
            name = make.__name__ + (", --all" if every else "")
            print(
                f"{name:15}{done:7.0f} MB {seconds:6.1f} s {done / seconds:6.0f} MB/s {peak:5.0f} MiB, "
                f"{found} kills of {kills}; grep -c {grep:.2f} s, {seconds / grep:.1f} times"
            )
            path.unlink()
    sys.exit(wrong)


if __name__ == "__main__":
    main()
