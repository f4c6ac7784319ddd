"""Words for people: text that others chose (file names, log lines) made safe to show, and the names of signals."""

from __future__ import annotations

import signal


def printable(text: str) -> str:
    r"""Give `text` with every character escaped that would not show as itself.

    Line ends, terminal escapes, direction marks and the stand-ins for undecodable bytes of a file name become
    "\n", "\x1b", "\u202e" and "\udcff"; spaces and letters of any script stay. A backslash stays too.
    Raises: nothing.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def signal_name(number: int) -> str:
    """Give a signal's name, such as SIGKILL; "signal 70" for one without. Raises: nothing."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
