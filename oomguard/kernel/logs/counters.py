"""What the kernel counts where its log cannot be read: kills for memory, in each cgroup and in all."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from oomguard.formats.cgroup.memory import parse_count
from oomguard.formats.cgroup.oom_counters import MemcgCounters, OomCounters
from oomguard.formats.kernel_log import UnitNotice
from oomguard.kernel.cgroup.directory import find_own_cgroup, read_kernel_text

_PATIENCE_SECONDS = 10
_KILLERS = ("systemd-oomd", "earlyoom", "nohang", "oomd")
_MOST_UNITS = 64


def read_oom_counters(root: Path = Path("/")) -> OomCounters:
    """Read what may be read without any right. Raises: nothing."""
    own = find_own_cgroup(root)
    memcgs = []
    for memcg in own.ancestors() if own is not None else ():
        kills = memcg.oom_kills()
        if kills is not None and memcg.path != memcg.mount_point:
            memcgs.append(
                MemcgCounters(name=memcg.name, oom_kills=kills, limit=memcg.memory_max(), peak=memcg.peak_charged())
            )
    return OomCounters(
        machine_kills=parse_count(read_kernel_text(root / "proc/vmstat") or "", "oom_kill"),
        memcgs=tuple(memcgs),
        in_container=_in_container(root),
        batch_job=os.environ.get("SLURM_JOB_ID"),
        in_kubernetes="KUBERNETES_SERVICE_HOST" in os.environ,
    )


def _in_container(root: Path) -> bool:
    return (
        (root / ".dockerenv").exists()
        or (root / "run/.containerenv").exists()
        or "KUBERNETES_SERVICE_HOST" in os.environ
    )


def oom_kills_since_boot(root: Path = Path("/")) -> int | None:
    """How many processes the kernel has killed for memory since boot (Linux 4.13). None: it does not say."""
    return parse_count(read_kernel_text(root / "proc/vmstat") or "", "oom_kill")


def running_killers(root: Path = Path("/")) -> list[str]:
    """The programs that run here and end others when memory is low: systemd-oomd, earlyoom, nohang, oomd."""
    found = set()
    for comm in (root / "proc").glob("[0-9]*/comm"):
        name = (read_kernel_text(comm) or "").strip()
        if name in _KILLERS:
            found.add(name)
        elif name.startswith("python") and b"/nohang" in _command_line(comm.parent):
            found.add("nohang")
    return sorted(found)


def _command_line(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()[:4096]
    except OSError:
        return b""


def units_killed_for_memory() -> list[UnitNotice]:
    """Units that systemd, the system's or the user's own, says failed by it. Raises: nothing."""
    program = shutil.which("systemctl")
    if program is None or not Path("/run/systemd/system").exists():
        return []
    found = []
    for scope in ("--system", "--user"):
        command = [program, scope, "show", "--state=failed", "--property=Id,Result,InactiveEnterTimestamp", "*"]
        try:
            told = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired):
            continue
        found += _read_units(told.stdout)
    return found[:_MOST_UNITS]


def _read_units(text: str) -> list[UnitNotice]:
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if fields.get("Result") == "oom-kill" and "Id" in fields:
            line = f"systemctl show: {fields['Id']}: Result=oom-kill, {fields.get('InactiveEnterTimestamp', '')}"
            found.append(UnitNotice(unit=fields["Id"], time=None, line=line.rstrip(", "), failed=True))
    return found
