"""How fast `oomguard diagnose` reads a gigabyte of log, and with how much memory, beside `grep -c` on the same file.

`make logspeed`. Three logs of 1 GB: a server's week (a few reports in ordinary lines), nothing but reports, and one line.
"""

from __future__ import annotations

import json
import os
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
        b"Nov 22 21:45:00 host kernel: " + line + b"\n" for line in (CAPTURES / "three-kills-6.1.log").read_bytes().split(b"\n") if line
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
    """No line end at all, with the words of a kill in it."""
    with path.open("wb") as file:
        for _ in range(size // 1_000_000):
            file.write(b"Killed process 12 (x) total-vm:1kB oom-kill: " * 22_222)
    return 0


def table(path: Path, size: int) -> int:
    """One report whose table of processes has ten million rows."""
    rows = b"".join(b"[%7d]  1000 %7d    12551     %5d    49152       37             0 worker-%d\n" % (n, n, n % 9999, n % 7000) for n in range(10_000))
    with path.open("wb") as file:
        file.write(b"python3 invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0\n")
        file.write(b"[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name\n")
        for _ in range(size // len(rows)):
            file.write(rows)
        file.write(b"Out of memory: Killed process 5 (worker-5) total-vm:50204kB, anon-rss:20kB, file-rss:0kB, shmem-rss:0kB\n")
    return 1


def measure(path: Path) -> tuple[float, float, int]:
    """Seconds, MiB of peak resident memory, and kills that were found."""
    code = (
        "import json,resource,sys,oomguard; d=oomguard.diagnose(sys.argv[1]); import oomguard.results.diagnosis;"
        "print(json.dumps([resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1024, d.found, str(d.render())[:20]]))"
    )
    began = time.perf_counter()
    run = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - began
    peak, found, _ = json.loads(run.stdout)
    return seconds, peak, found


def main() -> None:
    size = int(float(sys.argv[1])) if len(sys.argv) > 1 else SIZE
    wrong = False
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        for make, share in ((week, 1.0), (one_line, 1.0), (reports, 0.1), (table, 0.7)):
            path = Path(folder, make.__name__)
            kills = make(path, int(size * share))
            done = path.stat().st_size / 1e6
            path.read_bytes() if done < 300 else subprocess.run(["cat", path], stdout=subprocess.DEVNULL, check=True)  # into the page cache
            seconds, peak, found = measure(path)
            began = time.perf_counter()
            subprocess.run(["grep", "-c", "Killed process", path], stdout=subprocess.DEVNULL, check=False)
            grep = time.perf_counter() - began
            wrong |= found != kills or peak > 60
            print(
                f"{make.__name__:9}{done:7.0f} MB {seconds:6.1f} s {done / seconds:6.0f} MB/s {peak:5.0f} MiB, "
                f"{found} kills of {kills}; grep -c {grep:.2f} s, {seconds / grep:.1f} times"
            )
            path.unlink()
    sys.exit(wrong)


if __name__ == "__main__":
    main()
