"""Signals as people know them."""

from __future__ import annotations

import signal


def signal_name(number: int) -> str:
    """Give a signal's name, such as SIGKILL; "signal 70" for one without. Raises: nothing."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
