"""Which userspace killers run on this machine."""

from __future__ import annotations

from pathlib import Path

from oomguard.diagnosis.killers import KILLERS
from oomguard.kernel.cgroup.directory import read_kernel_text

_COMMS = frozenset(killer.comm for killer in KILLERS if killer.comm)


def running_killers(root: Path = Path("/")) -> list[str]:
    """The programs that run here and end others when memory is low: systemd-oomd, earlyoom, nohang, oomd."""
    found = set()
    for comm in (root / "proc").glob("[0-9]*/comm"):
        name = (read_kernel_text(comm) or "").strip()
        if name in _COMMS:
            found.add(name)
        elif name.startswith("python") and b"/nohang" in _command_line(comm.parent):
            found.add("nohang")
    return sorted(found)


def _command_line(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()[:4096]
    except OSError:
        return b""
