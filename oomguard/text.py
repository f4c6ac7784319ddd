"""Words for people: text that others chose (file names, log lines) made safe to show, and commands to paste."""

from __future__ import annotations

import shlex
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


def shell_word(text: str) -> str:
    r"""Quote `text` as one word of a shell command that can be shown and pasted.

    What would not show as itself is written as bash, zsh and ksh read it: $'esc\x1b'. Raises: nothing.
    """
    if text.isprintable():
        return shlex.quote(text)
    shown = "".join(
        f"\\x{byte:02x}" if byte < 0x20 or byte >= 0x7F or byte in b"\\'" else chr(byte)
        for byte in text.encode("utf-8", "surrogateescape")
    )
    return f"$'{shown}'"


def as_root(command: str) -> str:
    """Give one of oomguard's commands ("swap status") as a line to paste that runs it as root.

    sudo looks in system folders only, where the command of a virtual environment, pipx or uv is not.
    """
    return f"sudo $(command -v oomguard) {command}"


def signal_name(number: int) -> str:
    """Give a signal's name, such as SIGKILL; "signal 70" for one without. Raises: nothing."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
