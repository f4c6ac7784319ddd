"""The swap areas that are on, as /proc/swaps tells it. Source: Linux mm/swapfile.c, swap_show()."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from oomguard.formats.mountinfo import unescape_octal
from oomguard.units import KIB

# The path is padded with spaces up to column 40; spaces in it are written \040.
_AREA = re.compile(r"(/\S*)\s+(file|partition)\s+([0-9]{1,18})\s+([0-9]{1,18})\s+(-?[0-9]{1,10})\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapArea:
    """One swap area that is on."""

    path: str
    kind: str  # "file" or "partition", which is any block device
    size: int  # bytes that can hold pages: the file less its first page, the header
    used: int  # bytes
    priority: int  # higher is filled first; the kernel gives negative ones

    @property
    def is_zram(self) -> bool:
        """Whether it is compressed memory, not a disk."""
        return self.path.startswith("/dev/zram")


def parse_swaps(text: str) -> list[SwapArea]:
    """Read /proc/swaps.

    Units: the kernel prints KiB; the result is bytes.
    Raises: nothing. A line that is no area, as the heading, is left out.
    """
    return [
        SwapArea(
            path=unescape_octal(found[1]),
            kind=found[2],
            size=int(found[3]) * KIB,
            used=int(found[4]) * KIB,
            priority=int(found[5]),
        )
        for line in text.split("\n")
        if (found := _AREA.fullmatch(line))
    ]


def find_area(areas: list[SwapArea], path: str) -> SwapArea | None:
    """Give the area of this path, None if none is on there."""
    wanted = PurePosixPath(path)
    return next((area for area in areas if PurePosixPath(area.path) == wanted), None)
