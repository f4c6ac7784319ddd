"""A scope of systemd's as the place for a job's cgroup: for users who may not make one themselves.

systemd moves the job into a new scope that it delegates (Delegate=yes); the limits go into a cgroup of ours inside,
which systemd leaves alone. A limit that systemd itself is asked for is applied in silence or not at all, so none is.
The D-Bus call is made by busctl, which comes with systemd.
Source: systemd, org.freedesktop.systemd1(5), StartTransientUnit(); docs/CGROUP_DELEGATION.md.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.formats.cgroup import parse_proc_cgroup, path_in_mount
from oomguard.kernel.cgroup import directory as cgroup_files
from oomguard.kernel.cgroup.directory import MemcgDir, cgroup_mounts, read_kernel_text
from oomguard.kernel.cgroup.limits import limits_above
from oomguard.kernel.cgroup.refusals import MemcgUnavailable
from oomguard.supervision.backends.cgroup_setup import limit_cgroup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oomguard.kernel.model import LimitAbove
    from oomguard.supervision.backends.cgroup import CgroupBackend

_CALL_SECONDS = 25  # a machine that is short of memory is slow, and a scope is worth the wait
_START_SECONDS = 25.0
_MANAGER = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")

_DELEGATE_MEMORY = (
    'sudo sh -c \'mkdir -p /etc/systemd/system/user@.service.d && printf "[Service]\\nDelegate=cpu memory pids\\n" '
    "> /etc/systemd/system/user@.service.d/delegate.conf && systemctl daemon-reload', then log in again"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeManager:
    """The systemd that may be asked: the user's own, or (for root) the system's."""

    of_user: bool
    environment: dict[str, str]

    def command(self, arguments: Sequence[str]) -> list[str]:
        """The busctl call for it."""
        return ["busctl", *(["--user"] if self.of_user else []), f"--timeout={_CALL_SECONDS}", *arguments]


def find_scope_manager(root: Path = Path("/")) -> ScopeManager:
    """Find the systemd that this user may ask for a scope.

    Raises: MemcgUnavailable with the reason, and the one command that changes it.
    """
    if not (root / "run/systemd/system").exists():
        raise MemcgUnavailable(
            "systemd does not run this machine, so it has no scopes to give",
            do="in a container, give the limit to it: docker run --memory SIZE --memory-swap SIZE ...",
        )
    if not any(
        mount.version == 2 and _has_memory(root / mount.mount_point.lstrip("/")) for mount in cgroup_mounts(root)
    ):
        raise MemcgUnavailable(
            "a systemd scope needs cgroup v2 with the memory controller: here it is on v1, or switched off",
            do="boot with systemd.unified_cgroup_hierarchy=1",
        )
    if os.getuid() == 0:
        return ScopeManager(of_user=False, environment={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
    runtime = root / f"run/user/{os.getuid()}"
    if not (runtime / "bus").exists():
        raise MemcgUnavailable(
            f"user {os.getuid()} has no session bus (/run/user/{os.getuid()}/bus): this was started by su, cron or "
            "a service, not in a login session",
            do=f"sudo loginctl enable-linger {os.getuid()}",
        )
    # su and cron leave the variable out, though the bus is there.
    return ScopeManager(of_user=True, environment={"XDG_RUNTIME_DIR": f"/run/user/{os.getuid()}"})


def open_scope(
    manager: ScopeManager,
    pid: int,
    reaper_pid: int,
    asked: int,
    more_above: list[LimitAbove],
    *,
    swap_max: int | None,
    keeps_itself: bool = False,
) -> CgroupBackend:
    """Have `pid` moved into a new scope, and limit it there to `asked` bytes.

    The reaper goes there as well, beside the job and without a limit: systemd removes a scope that is empty, and with
    it what the kernel counted. Raises: MemcgUnavailable, with what would make it possible; both may be in the scope
    then, without a limit.
    """
    name = f"oomguard-{os.getpid()}-{pid}.scope"
    _start(manager, name, [pid, reaper_pid])
    scope = _scope_of([pid, reaper_pid], name)
    if "memory" not in (scope.read("cgroup.controllers") or "").split():
        raise MemcgUnavailable(
            "systemd made a scope, but without the memory controller: it is not delegated to this user",
            do=_DELEGATE_MEMORY,
        )
    memcg = MemcgDir(scope.path / "job", 2, scope.mount_point)
    try:
        cgroup_files.make_cgroup(memcg.path)
        cgroup_files.make_cgroup(scope.path / "reaper")
        cgroup_files.write_setting(memcg.path, "cgroup.procs", pid)
        cgroup_files.write_setting(scope.path / "reaper", "cgroup.procs", reaper_pid)
        # Now that it holds nobody itself, it may hand memory out.
        cgroup_files.write_setting(scope.path, "cgroup.subtree_control", "+memory")
        return limit_cgroup(
            memcg,
            asked,
            lambda: [*more_above, *limits_above(memcg)],
            "systemd scope",
            left=(),
            swap_max=swap_max,
            companion=None,
            undo=partial(_remove, memcg.path),
            keeps_itself=keeps_itself,
        )
    except OSError as error:
        raise MemcgUnavailable(
            f"systemd made the scope {name}, but it cannot be divided: {error.strerror}",
            do="systemctl show -p Delegate " + name,
        ) from error


def _remove(path: Path) -> None:
    """Remove our cgroup in the scope; the scope itself systemd removes when it is empty."""
    cgroup_files.remove_when_empty(path)


def _start(manager: ScopeManager, name: str, pids: list[int]) -> None:
    import subprocess

    properties = [
        *("Description", "s", "a job under oomguard run"),
        *("PIDs", "au", str(len(pids)), *(str(pid) for pid in pids)),
        *("Delegate", "b", "true"),
        *("CollectMode", "s", "inactive-or-failed"),
    ]
    arguments = ["call", *_MANAGER, "StartTransientUnit", "ssa(sv)a(sa(sv))", name, "fail", "4", *properties, "0"]
    try:
        answer = subprocess.run(
            manager.command(arguments),
            env={**os.environ, **manager.environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_CALL_SECONDS + 5,
            check=False,
        )
    except FileNotFoundError as error:
        raise MemcgUnavailable(
            "systemd runs here, but its busctl is not installed", do="sudo apt-get install systemd"
        ) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MemcgUnavailable(f"systemd did not answer: {error}", do=_status(manager)) from error
    if answer.returncode != 0:
        raise MemcgUnavailable(f"systemd gave no scope: {answer.stderr.strip()[:300]}", do=_status(manager))


def _status(manager: ScopeManager) -> str:
    return "systemctl --user status" if manager.of_user else "systemctl status"


def _scope_of(pids: Sequence[int], name: str, root: Path = Path("/")) -> MemcgDir:
    """The scope's directory, as soon as all are in it: StartTransientUnit() answers before it has done it.

    systemd moves one after the other, and one that it moves when the scope has been divided makes that fail.
    """
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        cgroups = {_cgroup_of(pid, root) for pid in pids}
        cgroup = cgroups.pop()
        for mount in cgroup_mounts(root) if not cgroups and cgroup.endswith(f"/{name}") else []:
            path = path_in_mount(cgroup, mount) if mount.version == 2 else None
            if path is not None:
                return MemcgDir(Path(path), 2, Path(mount.mount_point))
        time.sleep(0.003)
    raise MemcgUnavailable(
        f"systemd accepted the job for the scope {name}, but had not moved it there after {_START_SECONDS:g} s",
        do="systemctl --user status " + name,
    )


def _cgroup_of(pid: int, root: Path) -> str:
    return parse_proc_cgroup(read_kernel_text(root / f"proc/{pid}/cgroup") or "").get("", "")


def _has_memory(cgroup: Path) -> bool:
    return "memory" in (read_kernel_text(cgroup / "cgroup.controllers") or "").split()
