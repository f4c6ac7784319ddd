"""Text that others chose (file names, log lines, fields of a document) made safe to show."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""Give `text` with every character escaped that would not show as itself.

    Line ends, terminal escapes, direction marks and the stand-ins for undecodable bytes of a file name become
    "\n", "\x1b", "\u202e" and "\udcff"; spaces and letters of any script stay. A backslash stays too.
    Raises: nothing.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
