"""A small model of what the kernel does to cgroups, over a copy of a captured machine.

Only the rules that oomguard relies on: v2's no-internal-processes rule, files that come and go with
controllers, limits rounded to pages, EBUSY for a cgroup in use. That these are the kernel's rules is checked
by tests/live and tests/vm.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.kernel.cgroup import directory as cgroup_files
from oomguard.kernel.cgroup import limits as memcg_place
from oomguard.kernel.cgroup.directory import cgroup_mounts, find_own_cgroup

if TYPE_CHECKING:
    import pytest

CAPTURES = Path("tests/captures/memcg")
PAGE = os.sysconf("SC_PAGE_SIZE")
NEW_V2 = {
    "memory.max": "max\n",
    "memory.high": "max\n",
    "memory.swap.max": "max\n",
    "memory.oom.group": "0\n",
    "memory.peak": "0\n",
    "memory.events": "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\n",
    "memory.stat": "anon 0\nfile 0\nkernel 0\nsock 0\nshmem 0\nslab_reclaimable 0\n",
}
NEW_V1 = {
    "memory.limit_in_bytes": "9223372036854771712\n",
    "memory.memsw.limit_in_bytes": "9223372036854771712\n",
    "memory.max_usage_in_bytes": "0\n",
    "memory.kmem.usage_in_bytes": "0\n",
    "memory.swappiness": "60\n",
    "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n",
    "memory.stat": "total_cache 0\ntotal_rss 0\ntotal_shmem 0\n",
    "cgroup.event_control": "",
    "cgroup.procs": "",
}


class FakeKernel:
    """Answers oomguard.kernel.cgroup.directory in a copy of a capture; this process is where the captured was."""

    def __init__(self, capture: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = tmp_path / "root"
        shutil.copytree(CAPTURES / capture, self.root)
        if "systemd" in capture or "delegated" in capture:
            (self.root / "run/systemd/system").mkdir(parents=True)
        own = find_own_cgroup(self.root)
        assert own is not None
        self.own, self.version, self.mount = own.path, own.version, own.mount_point
        mounts = [m for m in cgroup_mounts(self.root) if self.root / m.mount_point.lstrip("/") == self.mount]
        self.mount_root = mounts[0].root.rstrip("/")
        self.denied: dict[Path, int] = {}  # the kernel's answer to any change of this cgroup
        self.delegated: set[Path] = set()  # what systemd left to others, where it runs
        self.ignored: set[str] = set()  # settings that the kernel takes and forgets
        self.lacks: set[str] = set()  # files that new cgroups do not get
        self.real_root = self.mount if not (self.mount / "memory.max").exists() else None
        self.put_processes(self.own, os.getpid())
        (self.root / "proc" / str(os.getpid())).mkdir(parents=True)
        monkeypatch.setattr(memcg_place, "may_hand_out_controllers", self.may_hand_out_controllers)
        for name in ("make_cgroup", "remove_cgroup", "write_setting"):
            monkeypatch.setattr(cgroup_files, name, getattr(self, name))
        monkeypatch.setattr(cgroup_files, "_REMOVAL_PATIENCE_SECONDS", 0.0)

    def put_processes(self, cgroup: Path, *pids: int) -> None:
        (cgroup / "cgroup.procs").write_text("".join(f"{pid}\n" for pid in pids))

    def text(self, cgroup: Path, file: str) -> str:
        return (cgroup / file).read_text()

    def may_hand_out_controllers(self, cgroup: Path, root: Path) -> bool:
        return cgroup in self.delegated or not (root / "run/systemd/system").exists()

    def make_cgroup(self, path: Path) -> None:
        self._check(path.parent)
        path.mkdir()
        if self.version == 1:
            self._fill(path, NEW_V1)
        else:
            available = self.text(path.parent, "cgroup.subtree_control")
            self._fill(path, {"cgroup.procs": "", "cgroup.subtree_control": "", "cgroup.controllers": available})
            if "memory" in available.split():
                self._fill(path, NEW_V2)

    def remove_cgroup(self, path: Path) -> None:
        if not path.exists():
            raise FileNotFoundError(path)
        if self.text(path, "cgroup.procs") or any(child.is_dir() for child in path.iterdir()):
            raise _error(errno.EBUSY)
        shutil.rmtree(path)

    def write_setting(self, cgroup: Path, file: str, value: str | int) -> None:
        self._check(cgroup)
        if not (cgroup / file).exists():
            raise FileNotFoundError(cgroup / file)
        if file in self.ignored:
            return
        if file == "cgroup.procs":
            self._move(cgroup)
        elif file == "cgroup.subtree_control":
            self._switch(cgroup, str(value))
        elif file == "cgroup.event_control" or value == "max":
            (cgroup / file).write_text(f"{value}\n")
        elif file == "memory.oom_control":
            (cgroup / file).write_text(f"oom_kill_disable {value}\nunder_oom 0\noom_kill 0\n")
        elif file.startswith("memory.memsw") and int(value) < int(self.text(cgroup, "memory.limit_in_bytes")):
            raise _error(errno.EINVAL)
        else:
            (cgroup / file).write_text(f"{int(value) // PAGE * PAGE if int(value) >= PAGE else value}\n")

    def _check(self, cgroup: Path) -> None:
        if cgroup in self.denied:
            raise _error(self.denied[cgroup])

    def _fill(self, path: Path, files: dict[str, str]) -> None:
        for file, text in files.items():
            if file not in self.lacks:
                (path / file).write_text(text)

    def _move(self, cgroup: Path) -> None:
        if self.version == 2 and cgroup != self.real_root and self.text(cgroup, "cgroup.subtree_control").split():
            raise _error(errno.EBUSY)
        pid = f"{os.getpid()}\n"
        for procs in self.mount.rglob("cgroup.procs"):
            procs.write_text(procs.read_text().replace(pid, ""))
        (cgroup / "cgroup.procs").write_text(self.text(cgroup, "cgroup.procs") + pid)
        proc = self.root / "proc/self/cgroup"
        controller = "" if self.version == 2 else "memory"
        lines = [line.split(":", 2) for line in proc.read_text().splitlines()]
        below = cgroup.relative_to(self.mount).as_posix().removeprefix(".")
        name = f"{self.mount_root}/{below}".rstrip("/") or "/"
        proc.write_text("".join(f"{n}:{c}:{name if c == controller else path}\n" for n, c, path in lines))

    def _switch(self, cgroup: Path, change: str) -> None:
        if "memory" not in self.text(cgroup, "cgroup.controllers").split():
            raise _error(errno.ENOENT)
        if change == "+memory" and self.text(cgroup, "cgroup.procs") and cgroup != self.real_root:
            raise _error(errno.EBUSY)
        controllers = set(self.text(cgroup, "cgroup.subtree_control").split())
        controllers = controllers | {"memory"} if change == "+memory" else controllers - {"memory"}
        (cgroup / "cgroup.subtree_control").write_text(" ".join(sorted(controllers)))
        for child in (path for path in cgroup.iterdir() if path.is_dir()):
            if change == "+memory":
                self._fill(child, NEW_V2)
            else:
                for file in NEW_V2:
                    (child / file).unlink(missing_ok=True)


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


MakeKernel = Callable[[str], FakeKernel]  # of a capture
