"""Which frame of a stack growth is charged to: the innermost line of the user's own code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.supervision.growth.line_growth import Line

if TYPE_CHECKING:
    from collections.abc import Sequence

# Ours, an interpreter's, and what was installed into one.
_LIBRARIES = (f"{Path(__file__).parents[1]}/", "/site-packages/", "/dist-packages/", "/lib/python3", "/lib64/python3")
_GIVEN = ("<string>", "<stdin>")


def is_library(file: str) -> bool:
    """Whether a file is an interpreter's, was installed into one, or is ours: not the user's own."""
    return any(part in file for part in _LIBRARIES)


def charged_line(frames: Sequence[tuple[str, int, str]], program: str) -> Line:
    """Give the line for a stack of (file, line, function), innermost first; line 0 of `program` if none has a file.

    What a library allocates, it allocates for the line that called it; so does code that was made at run time, such as
    a dataclass's __init__ in "<string>". But that is also the name of a program that was given with -c.
    """
    files = [frame for frame in frames if not frame[0].startswith("<")]
    own = [frame for frame in files if not is_library(frame[0])]
    for number, (file, line, function) in enumerate(own):
        # A comprehension on the line that runs it is no function of its own to people.
        around = own[number + 1] if number + 1 < len(own) else None
        if function.endswith(">") and around is not None and around[:2] == (file, line):
            continue
        return Line(file, line, function)
    given = [frame for frame in frames if frame[0] in _GIVEN]
    outermost = (given or files)[-1:]
    return Line(*outermost[0]) if outermost else Line(program, 0, "")
