"""Runs in the guest as root, under systemd: kills something in each way, and asks oomguard what it was.

check_diagnose.py OUT STEP...: the result of each step is OUT/STEP.json: what is known of the kill, and the answer.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import oomguard

OUT = Path(sys.argv[1])
CGROUPS = Path("/sys/fs/cgroup")
SWAPS = [line.split()[0] for line in Path("/proc/swaps").read_text().splitlines()[1:]]
# Not zero: no zero pages, nothing that zram or zswap would shrink to nothing.
EAT = "import sys,time\nkeep=[]\nfor _ in range(int(sys.argv[1])):\n keep.append(bytearray(b'\\xa5')*(1<<20)); time.sleep(float(sys.argv[2]))\ntime.sleep(60)"

ASK = "import json, oomguard; print(json.dumps(oomguard.diagnose().to_json()))"


def eat(mib: int, pause: float = 0) -> list[str]:
    return ["choom", "-n", "0", "--", "python3", "-c", EAT, str(mib), str(pause)]


def run(command: list[str], seconds: float = 120) -> int:
    """Run it and give the pid that it had."""
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        child.wait(seconds)
    finally:
        child.kill()
    return child.pid


def memcg() -> dict[str, object]:
    limit = ["systemd-run", "-q", "--scope", "--unit=capped", "-p", "MemoryMax=64M", "-p", "MemorySwapMax=0"]
    return {"pid": run([*limit, *eat(400)]), "limit": 64 << 20, "memcg": "/system.slice/capped.scope"}


def global_noswap() -> dict[str, object]:
    subprocess.run(["swapoff", "-a"], check=True)
    return {"pid": run(eat(4000))}


def global_swap() -> dict[str, object]:
    subprocess.run(["swapoff", "-a"], check=True)
    subprocess.run(["swapon", *SWAPS], check=True)
    return {"pid": run(eat(4000))}


def oom_group() -> dict[str, object]:
    group = CGROUPS / "grp"
    group.mkdir()
    (group / "memory.max").write_text("96M")
    (group / "memory.swap.max").write_text("0")
    (group / "memory.oom.group").write_text("1")
    script = 'echo $$ > /sys/fs/cgroup/grp/cgroup.procs; python3 -c "$0" 10 0 & python3 -c "$0" 10 0 & sleep 4; python3 -c "$0" 400 0'
    run(["choom", "-n", "0", "--", "bash", "-c", script, EAT])
    counted = int((group / "memory.events").read_text().split("oom_kill ")[1].split()[0])
    return {"memcg": "/grp", "counted": counted}


def earlyoom() -> dict[str, object]:
    subprocess.run(["systemctl", "start", "earlyoom"], check=True)
    time.sleep(2)
    pid = run(eat(4000, 0.004))
    subprocess.run(["systemctl", "stop", "earlyoom"], check=True)
    return {"pid": pid}


def nohang() -> dict[str, object]:
    subprocess.run(["systemctl", "start", "nohang"], check=True)
    time.sleep(8)
    pid = run(eat(4000, 0.01))
    subprocess.run(["systemctl", "stop", "nohang"], check=True)
    return {"pid": pid}


def systemd_oomd() -> dict[str, object]:
    conf = Path("/run/systemd/oomd.conf.d/test.conf")
    conf.parent.mkdir(parents=True, exist_ok=True)
    conf.write_text("[OOM]\nSwapUsedLimit=60%\n")
    subprocess.run(["systemctl", "start", "systemd-oomd"], check=True)
    subprocess.run(
        ["systemd-run", "-q", "--unit=swapper", "--slice=oomds.slice", "--service-type=exec", *eat(900, 0.01)],
        check=True,
    )
    subprocess.run(["systemctl", "set-property", "--runtime", "oomds.slice", "ManagedOOMSwap=kill"], check=True)
    deadline = time.monotonic() + 90
    while subprocess.run(["systemctl", "-q", "is-active", "swapper"], check=False).returncode == 0:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    subprocess.run(["systemctl", "stop", "systemd-oomd"], check=True)
    return {"memcg": "/oomds.slice/swapper.service"}


def plain_user() -> dict[str, object]:
    """A kill in the user's own scope, asked for by that user, who may read no log."""
    Path("/proc/sys/kernel/dmesg_restrict").write_text("1")
    script = 'python3 -c "$0" 400 0; python3 -c "$1" > /out/plain-user.answer'
    run(["systemd-run", "-q", "--wait", "--pipe", "-p", "User=nobody", "-p", "MemoryMax=96M", "-p", "MemorySwapMax=0", "-p", "OOMPolicy=continue",
         "-E", "PYTHONPATH=/host", "-E", "PYTHONDONTWRITEBYTECODE=1", "bash", "-c", script, EAT, ASK])  # fmt: skip
    return {"answer": json.loads(Path("/out/plain-user.answer").read_text())}


def container() -> dict[str, object]:
    """A kill in a cgroup namespace with a mount of its own, where no log can be read: what Docker and Kubernetes give."""
    hide = "umount -l /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; mount --bind /dev/null /dev/kmsg"
    hide += "; for log in /var/log /run/log; do mount -t tmpfs none $log; done"
    script = f'{hide}; choom -n 0 -- python3 -c "$0" 400 0; python3 -c "$1" > /out/container.answer'
    limit = ["-p", "MemoryMax=96M", "-p", "MemorySwapMax=0"]
    run(["systemd-run", "-q", "--scope", "--unit=boxed", *limit, "unshare", "-C", "-m", "-p", "-f", "--mount-proc",
         "env", "PYTHONPATH=/host", "PYTHONDONTWRITEBYTECODE=1", "bash", "-c", script, EAT, ASK])  # fmt: skip
    return {"limit": 96 << 20, "answer": json.loads(Path("/out/container.answer").read_text())}


STEPS = {
    "memcg": memcg, "global-noswap": global_noswap, "global-swap": global_swap, "oom-group": oom_group,
    "earlyoom": earlyoom, "nohang": nohang, "systemd-oomd": systemd_oomd, "plain-user": plain_user,
    "container": container,
}  # fmt: skip


def main() -> None:
    Path("/proc/self/oom_score_adj").write_text("-1000")
    OUT.chmod(0o1777)
    for name in sys.argv[2:]:
        began = time.time()
        truth = STEPS[name]()
        time.sleep(0.5)  # the journal's own pace
        asked = time.monotonic()
        answer = (
            truth.pop("answer", None)
            or oomguard.diagnose(since=str(time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(began - 1)))).to_json()
        )
        seconds = time.monotonic() - asked
        (OUT / f"{name}.json").write_text(
            json.dumps({"truth": truth, "answer": answer, "seconds": seconds, "kernel": os.uname().release})
        )


if __name__ == "__main__":
    main()
