"""Which signals wait for a process, and what it does with them. Source: proc_pid_status(5), render_sigset_t()."""

from __future__ import annotations

import re

# 64 signals, and 128 on MIPS: bounded, for int()'s sake.
_MASK = re.compile(r"^(ShdPnd|SigBlk|SigIgn|SigCgt):\s*([0-9a-f]{16,32})$", re.MULTILINE)


def only_ends_by(status: str, number: int) -> bool:
    """Whether signal `number` waits for the process of this /proc/PID/status, which would do nothing with it but end.

    False if it catches, ignores or blocks it, and for what is no such file. Raises: nothing.
    """
    masks = {name: bool(int(mask, 16) >> (number - 1) & 1) for name, mask in _MASK.findall(status)}
    return masks.get("ShdPnd", False) and not any(masks.get(name, True) for name in ("SigBlk", "SigIgn", "SigCgt"))
