"""Read which userspace killers run, and when each acts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.kernel.cgroup.directory import read_kernel_text
from oomguard.kernel.logs.counters import running_killers
from oomguard.machine_report.killer_settings import earlyoom_acts, nohang_acts, oomd_acts
from oomguard.machine_report.model import KillerFacts

if TYPE_CHECKING:
    from pathlib import Path

_OOMD_SETTINGS = ("usr/lib/systemd/oomd.conf", "etc/systemd/oomd.conf")
_NOHANG_SETTINGS = ("etc/nohang/nohang.conf", "etc/nohang/nohang-desktop.conf")


def read_killer_facts(root: Path) -> tuple[KillerFacts, ...]:
    """Read all of it now. Raises: nothing."""
    return tuple(_killer(name, root) for name in running_killers(root))


def _killer(name: str, root: Path) -> KillerFacts:
    match name:
        case "earlyoom":
            acts = earlyoom_acts(_arguments_of(name, root))
        case "systemd-oomd":
            acts = oomd_acts(_texts(root, _OOMD_SETTINGS, "systemd/oomd.conf.d"))
        case "nohang":
            acts = nohang_acts(_texts(root, _NOHANG_SETTINGS))
        case _:
            acts = "by rules of its own"
    return KillerFacts(name=name, acts=acts)


def _arguments_of(comm: str, root: Path) -> list[str]:
    for file in (root / "proc").glob("[0-9]*/comm"):
        if (read_kernel_text(file) or "").strip() == comm:
            return (read_kernel_text(file.with_name("cmdline")) or "").split("\0")[1:]
    return []


def _texts(root: Path, files: tuple[str, ...], drop_ins: str | None = None) -> str:
    """The settings in the order in which later ones win."""
    paths = [root / file for file in files]
    if drop_ins is not None:
        found = [path for top in ("usr/lib", "etc", "run") for path in (root / top / drop_ins).glob("*.conf")]
        paths += sorted(found, key=lambda path: path.name)
    return "\n".join(read_kernel_text(path) or "" for path in paths)
