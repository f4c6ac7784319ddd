"""Everything that is known of what ends programs for lack of memory, beside the kernel: one table.

To add one: a module here with a Killer (or an entry of batch.py, clouds.py or
systems.py, where only its wordings are known).
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.diagnosis.killers.base import Killer
from oomguard.kernel.cgroup.directory import read_kernel_text

if TYPE_CHECKING:
    from collections.abc import Iterator

_PARTS = {"base", "reader", "words"}  # what killers are made of
# In the order in which wordings are tried: what several programs say comes last.
_FIRST = (
    "daemons", "slurm", "ray", "kubernetes", "containers",
)  # fmt: skip
_LAST = ("batch", "clouds", "systems", "elsewhere", "sigkill_workers", "sigkill_builds", "sigkill")


def _modules() -> list[str]:
    there = {module.name for module in pkgutil.iter_modules(__path__)} - _PARTS
    return [*_FIRST, *sorted(there - {*_FIRST, *_LAST}), *_LAST]


def _killers_of(module: str) -> Iterator[Killer]:
    for value in vars(import_module(f"{__name__}.{module}")).values():
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, Killer):
                yield each


KILLERS = tuple(dict.fromkeys(killer for module in _modules() for killer in _killers_of(module)))
BY_IDENT = {killer.ident: killer for killer in KILLERS}
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
