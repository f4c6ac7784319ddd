"""Read which userspace killers run, and when each acts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.diagnosis.killers import BY_IDENT
from oomguard.diagnosis.running_killers import running_killers
from oomguard.kernel.cgroup.directory import read_kernel_text
from oomguard.machine_report.model import KillerFacts

if TYPE_CHECKING:
    from pathlib import Path


def read_killer_facts(root: Path) -> tuple[KillerFacts, ...]:
    """Read all of it now. Raises: nothing."""
    return tuple(_killer(name, root) for name in running_killers(root))


def _killer(name: str, root: Path) -> KillerFacts:
    killer = BY_IDENT[name]
    if killer.acts is None:
        return KillerFacts(name=name, acts="by rules of its own")
    settings = _texts(root, killer.settings_files, killer.settings_folder)
    return KillerFacts(name=name, acts=killer.acts(_arguments_of(killer.comm, root), settings))


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
