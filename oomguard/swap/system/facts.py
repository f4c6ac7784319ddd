"""What of this machine decides whether swap can be made, and whether it helps."""

from __future__ import annotations

import os
import platform
import re
import shutil
from pathlib import Path

from oomguard.errors import NeedsPrivilege
from oomguard.formats.mounts import parse_fstab
from oomguard.formats.proc import SwapArea, find_area, parse_meminfo, parse_swaps
from oomguard.kernel.cgroup.directory import find_own_memcg, read_kernel_text
from oomguard.kernel.machine import container_name, read_headroom
from oomguard.swap.model import SwapMachine
from oomguard.swap.rules.refusals import check_memory
from oomguard.text import as_root

_CAP_SYS_ADMIN = 21  # include/uapi/linux/capability.h
_CAPABILITIES = re.compile(r"^(Cap[A-Z][a-z]+):\s+([0-9a-f]{1,16})$", re.MULTILINE)


def read_swap_machine(root: Path = Path("/")) -> SwapMachine:
    """Read it now.

    Raises: NothingFound if /proc/meminfo does not say how much memory is available.
    """
    headroom = read_headroom(root)
    swap_max, whose = least_swap_max(root)
    return SwapMachine(
        kernel=kernel_version(),
        ram=parse_meminfo(read_kernel_text(root / "proc/meminfo") or "").total,
        available=headroom.available,
        limited_by=headroom.limited_by,
        areas=tuple(read_swaps(root)),
        zswap=read_zswap(root),
        swap_max=swap_max,
        swap_max_of=whose,
        container=container_name(root),
        root_may_swapon=root_may_swapon(root),
        missing_tools=tuple(tool for tool in ("mkswap", "swapon", "swapoff") if system_tool(tool) is None),
        fstab_targets=frozenset(entry.target for entry in parse_fstab(read_kernel_text(root / "etc/fstab") or "")),
    )


def read_swaps(root: Path = Path("/")) -> list[SwapArea]:
    """The swap areas that are on now."""
    return parse_swaps(read_kernel_text(root / "proc/swaps") or "")


def read_area(path: str) -> SwapArea | None:
    """The area at `path`, where it is on."""
    return find_area(read_swaps(), path)


def check_can_be_off(path: str, root: Path = Path("/")) -> None:
    """See that memory, and the other areas, can take back what is swapped out to `path` now.

    Raises: SwapRefused if not, with both numbers.
    """
    check_memory(path, read_swaps(root), read_headroom(root).machine_available)


def read_zswap(root: Path = Path("/")) -> bool | None:
    """Whether compressed pages are kept in memory before they go to the disk. None: this kernel cannot."""
    enabled = read_kernel_text(root / "sys/module/zswap/parameters/enabled")
    return None if enabled is None else enabled.strip() == "Y"


def hibernates_to_swap(root: Path = Path("/")) -> bool:
    """Whether the kernel is told to wake up from a swap area, perhaps this or that. Source: power/swsusp.rst."""
    return "resume" in (read_kernel_text(root / "proc/cmdline") or "")


def least_swap_max(root: Path = Path("/")) -> tuple[int | None, str]:
    """The least that the own memory cgroup or one above it may swap, and whose limit that is. Units: bytes."""
    own = find_own_memcg(root)
    limits = (
        [(limit, f"cgroup {memcg.name}") for memcg in own.ancestors() if (limit := memcg.swap_max()) is not None]
        if own
        else []
    )
    return min(limits, default=(None, ""))


def may_swapon(root: Path = Path("/")) -> bool:
    """Whether this process may switch swap on: CAP_SYS_ADMIN, and the machine's, not a user namespace's."""
    return has_capability(_CAP_SYS_ADMIN, root=root) and _is_the_machines_user(root)


def check_may_switch(what: str, command: str, *, also: str = "") -> None:
    """See that swap can be switched here. Raises: NeedsPrivilege if not, with `command` as root would give it."""
    if os.geteuid() != 0 or not may_swapon():
        raise NeedsPrivilege(f"only root can {what}", do=f"{as_root(command)}{also}")


def root_may_swapon(root: Path = Path("/")) -> bool:
    """Whether root may do it here, which in most containers it may not."""
    return has_capability(_CAP_SYS_ADMIN, "CapBnd", root=root) and _is_the_machines_user(root)


def has_capability(number: int, which: str = "CapEff", *, root: Path = Path("/")) -> bool:
    """Whether a capability is in this process's set: "CapEff" what it has, "CapBnd" what it could ever get."""
    sets = dict(_CAPABILITIES.findall(read_kernel_text(root / "proc/self/status") or ""))
    return bool(int(sets.get(which, "0"), 16) >> number & 1)


def _is_the_machines_user(root: Path) -> bool:
    return (read_kernel_text(root / "proc/self/uid_map") or "").split()[:2] in ([], ["0", "0"])


def kernel_version() -> tuple[int, int]:
    """The running Linux, (major, minor). (0, 0): it does not say."""
    found = re.match(r"([0-9]{1,3})\.([0-9]{1,4})", platform.release())
    return (int(found[1]), int(found[2])) if found else (0, 0)


def system_tool(name: str) -> str | None:
    """Find a command in PATH, or where root's commands are: a user's PATH often lacks that. None: not installed."""
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(("/usr/sbin", "/sbin")))
