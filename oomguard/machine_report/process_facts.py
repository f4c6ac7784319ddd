"""Read what this process hands on to a job: whose stacks may be read, ulimits, its oom_score_adj."""

from __future__ import annotations

import re
import shutil
from importlib.util import find_spec
from typing import TYPE_CHECKING

from oomguard.formats.proc import parse_process_limits
from oomguard.kernel.cgroup.directory import read_kernel_text
from oomguard.machine_report.model import StackFacts
from oomguard.swap.system.facts import has_capability

if TYPE_CHECKING:
    from pathlib import Path

_CAP_SYS_PTRACE = 19  # include/uapi/linux/capability.h


def read_ulimits(root: Path) -> dict[str, int | None]:
    """The soft limits by the kernel's names; None: unlimited. Raises: nothing."""
    return parse_process_limits(read_kernel_text(root / "proc/self/limits") or "")


def read_oom_score_adj(root: Path) -> int | None:
    """How much sooner or later what is started here is killed than others. Raises: nothing."""
    score = (read_kernel_text(root / "proc/self/oom_score_adj") or "").strip()
    return int(score) if re.fullmatch(r"-?[0-9]{1,4}", score) else None


def read_stack_facts(root: Path) -> StackFacts:
    """Whether the stacks of Python jobs can be read. Raises: nothing."""
    scope = (read_kernel_text(root / "proc/sys/kernel/yama/ptrace_scope") or "").strip()
    readers = (("pystack", find_spec("pystack") is not None), ("py-spy", shutil.which("py-spy") is not None))
    return StackFacts(
        readers=tuple(name for name, there in readers if there),
        ptrace_scope=int(scope) if scope in ("0", "1", "2", "3") else None,
        may_trace_all=has_capability(_CAP_SYS_PTRACE, root=root),
    )
