"""Which frame of a stack growth is charged to: the innermost line of the user's own code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.planning.line_growth import Line

if TYPE_CHECKING:
    from collections.abc import Sequence

# Of an interpreter's libraries and of what was installed into them; "<frozen ...>" and "<string>" are no files.
_GIVEN = ("<string>", "<stdin>")
_LIBRARIES = ("/site-packages/", "/dist-packages/", "/lib/python3", "/lib64/python3")


def charged_line(frames: Sequence[tuple[str, int, str]], program: str) -> Line:
    """Give the line for a stack of (file, line, function), innermost first; line 0 of `program` if none has a file.

    What a library allocates, it allocates for the line that called it. Code without a file is the user's own only
    where it was given with -c or on standard input.
    """
    for file, line, function in frames:
        if file in _GIVEN or not (file.startswith("<") or any(part in file for part in _LIBRARIES)):
            return Line(file, line, function)
    outermost = next((frame for frame in reversed(frames) if not frame[0].startswith("<")), None)
    return Line(*outermost) if outermost is not None else Line(program, 0, "")
