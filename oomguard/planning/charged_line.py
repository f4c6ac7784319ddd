"""Which frame of a stack growth is charged to: the innermost line of the user's own code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.planning.line_growth import Line

if TYPE_CHECKING:
    from collections.abc import Sequence

# Of an interpreter's libraries and of what was installed into them.
_LIBRARIES = ("/site-packages/", "/dist-packages/", "/lib/python3", "/lib64/python3")
_GIVEN = ("<string>", "<stdin>")


def charged_line(frames: Sequence[tuple[str, int, str]], program: str) -> Line:
    """Give the line for a stack of (file, line, function), innermost first; line 0 of `program` if none has a file.

    What a library allocates, it allocates for the line that called it; so does code that was made at run time, such as
    a dataclass's __init__ in "<string>". But that is also the name of a program that was given with -c.
    """
    files = [frame for frame in frames if not frame[0].startswith("<")]
    for file, line, function in files:
        if not any(part in file for part in _LIBRARIES):
            return Line(file, line, function)
    given = [frame for frame in frames if frame[0] in _GIVEN]
    outermost = (given or files)[-1:]
    return Line(*outermost[0]) if outermost else Line(program, 0, "")
