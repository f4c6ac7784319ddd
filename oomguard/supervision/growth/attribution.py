"""Which frame of a stack growth is charged to: the innermost line of the user's own code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.supervision.growth.line_growth import Line
from oomguard.supervision.rules.user_code import is_library, user_place

__all__ = ["charged_line", "is_library"]

if TYPE_CHECKING:
    from collections.abc import Sequence


def charged_line(frames: Sequence[tuple[str, int, str]], program: str) -> Line:
    """Give the line for a stack of (file, line, function), innermost first; line 0 of `program` if none has a file.

    What a library allocates, it allocates for the line that called it; so does code that was made at run time, such as
    a dataclass's __init__ in "<string>".
    """
    place = user_place(frames)
    if place is not None:
        return Line(*frames[place])
    files = [frame for frame in frames if not frame[0].startswith("<")]
    # A library's own thread begins in the standard library, which says nothing of whose it is.
    outermost = ([frame for frame in files if not frame[0].endswith("/threading.py")] or files)[-1:]
    return Line(*outermost[0]) if outermost else Line(program, 0, "")
