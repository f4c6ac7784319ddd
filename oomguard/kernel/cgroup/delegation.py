"""Whether systemd leaves a cgroup's inside to us (its Delegate= setting)."""

from __future__ import annotations

import os
from pathlib import Path


def may_hand_out_controllers(cgroup: Path, root: Path = Path("/")) -> bool:
    """Whether what we change in `cgroup`'s cgroup.subtree_control will last.

    systemd owns that setting in all that it has not delegated, and puts it back at the next daemon-reload: the
    controller would go, and our limit with it, without a word (seen with systemd 252).
    Source: systemd, docs/CGROUP_DELEGATION.md; the mark is set by src/core/cgroup.c.
    """
    if not (root / "run/systemd/system").exists():
        return True
    if any(_attribute(cgroup, name) == b"1" for name in ("user.delegate", "trusted.delegate")):
        return True
    # A user's own manager sets no mark (systemd 252), and before 251 only root may see it.
    return os.getuid() != 0 and cgroup.suffix in (".scope", ".service") and _systemd_says_so(cgroup)


def _attribute(path: Path, name: str) -> bytes | None:
    try:
        return os.getxattr(path, name)
    except OSError:
        return None  # not set, or trusted.* asked for without the right to see it


def _systemd_says_so(cgroup: Path) -> bool:
    import subprocess  # seldom needed, and slow to import

    of_user = any(part.startswith("user@") for part in cgroup.parts)
    command = ["systemctl", *(["--user"] if of_user else []), "show", "--property=Delegate", "--value", cgroup.name]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.stdout.strip() == "yes"
