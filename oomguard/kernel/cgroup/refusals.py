"""Why no memory cgroup could be had, each reason with what would make it possible.

MemcgUnavailable          no memory controller mounted, a read-only cgroupfs, or no free place
├── MemcgNotPermitted     the kernel refused for lack of a right
└── LimitDidNotStick      the kernel took the setting and reads back another
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from oomguard.errors import NeedsPrivilege, OomguardError
from oomguard.kernel.machine import container_name
from oomguard.units import MIB

if TYPE_CHECKING:
    from pathlib import Path

    from oomguard.kernel.cgroup.directory import MemcgDir


class MemcgUnavailable(OomguardError):
    """The kernel cannot enforce a memory limit for this process here."""


class MemcgNotPermitted(MemcgUnavailable, NeedsPrivilege):
    """The kernel could enforce a limit, but this user may not ask for one."""


class LimitDidNotStick(MemcgUnavailable):
    """What was set reads back differently: this cgroupfs does not do what Linux's does."""

    def __init__(self, what: str, path: Path, asked: int | str, read_back: int | str | None) -> None:
        super().__init__(
            f"{what} {path}, but that did not stick: asked for {asked}, read back "
            f"{'nothing' if read_back is None else read_back}",
            do="run where Linux itself provides the cgroups, not gVisor or another emulation",
        )


def no_controller(memory_max: int, root: Path) -> MemcgUnavailable:
    """No hierarchy with a memory controller shows our cgroup."""
    if container_name(root) is not None:
        return MemcgUnavailable(
            "no memory cgroup is visible in this container",
            do=f"start the container with the limit: {_docker(memory_max)}",
        )
    return MemcgUnavailable(
        "no cgroup hierarchy with a memory controller is mounted",
        do="mount -t cgroup2 none /sys/fs/cgroup, on a kernel booted without cgroup_disable=memory",
    )


def explain_refusals(refusals: list[tuple[MemcgDir, OSError]], memory_max: int, root: Path) -> MemcgUnavailable:
    """Give the error for what the kernel answered at each place that was tried, the own cgroup's first."""
    place, first = refusals[0]
    numbers = {error.errno for _, error in refusals}
    explained: MemcgUnavailable
    if first.errno == errno.EROFS:
        explained = MemcgUnavailable(
            f"the cgroup filesystem is read-only here ({place.mount_point}), as is usual in containers",
            do=f"start the container with the limit: {_docker(memory_max)}",
        )
    elif numbers & {errno.EACCES, errno.EPERM}:
        explained = MemcgNotPermitted(
            f"may not make a memory cgroup under {place.path} or above: this user was given none",
            do=_with_rights(memory_max, place, root),
        )
    elif numbers <= {errno.EBUSY, errno.ENOENT, errno.EOPNOTSUPP}:
        explained = MemcgUnavailable(
            f"no cgroup from {place.path} upwards may have a limited child: "
            "each holds other processes, or systemd manages it",
            do=f"start the job alone in its own cgroup: {_own_scope(memory_max, root)}",
        )
    else:
        explained = MemcgUnavailable(
            f"cannot make a memory cgroup under {place.path}: {first.strerror}",
            do="look at cgroup.max.descendants and cgroup.max.depth of the cgroups above",
        )
    explained.__cause__ = first
    return explained


def _with_rights(memory_max: int, place: MemcgDir, root: Path) -> str:
    user_manager = root / f"run/user/{os.getuid()}/systemd"
    if place.version == 2 and user_manager.exists():
        return f"systemd-run --user --scope {_properties(memory_max)} {_run(memory_max)}"
    if os.getuid() == 0:
        return (
            f"give the container its limit: {_docker(memory_max)}"
            if container_name(root) is not None
            else "run with CAP_SYS_ADMIN"
        )
    return f"sudo $(command -v oomguard) {_run(memory_max).partition(' ')[2]}"


def _own_scope(memory_max: int, root: Path) -> str:
    if (root / "run/systemd/system").exists():
        return f"systemd-run --scope {_properties(memory_max)} {_run(memory_max)}"
    return _docker(memory_max)


def _run(memory_max: int) -> str:
    return f"oomguard run --max-rss {-(-memory_max // MIB)}M ..."


def _properties(memory_max: int) -> str:
    return f"-p Delegate=yes -p MemoryMax={_short(memory_max, 'M')} -p MemorySwapMax=0"


def _docker(memory_max: int) -> str:
    size = _short(memory_max, "m")
    return f"docker run --memory {size} --memory-swap {size} ..."


def _short(size: int, mega: str) -> str:
    return f"{size // MIB}{mega}" if size % MIB == 0 else str(size)
