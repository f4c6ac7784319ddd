"""A process's resource limits. Source: Linux fs/proc/base.c, proc_pid_limits(); getrlimit(2)."""

from __future__ import annotations

import re

_LINE = re.compile(
    r"^(Max [a-z -]+?) {2,}(unlimited|[0-9]{1,20}) +(?:unlimited|[0-9]{1,20}) *([a-z]*) *$", re.MULTILINE
)


def parse_process_limits(text: str) -> dict[str, int | None]:
    """Read the soft limits of /proc/PID/limits by their names there ("Max address space"). None: no limit.

    Raises: nothing. A line that cannot be read is left out.
    """
    return {name: None if value == "unlimited" else int(value) for name, value, _ in _LINE.findall(text)}
