"""Whether an area can be switched off: what is swapped out to it has to go somewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.errors import SwapRefused
from oomguard.formats.meminfo import find_area
from oomguard.units import format_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oomguard.formats.meminfo import SwapArea

# Of what the kernel calls available: it is an estimate, and when none is left the kernel kills a process.
_OF_AVAILABLE = 0.9


def check_memory(path: str, areas: Sequence[SwapArea], available: int) -> None:
    """See that memory, and the other areas, can take back what is swapped out to `path`. `available` is in bytes.

    Raises: SwapRefused if not, with both numbers.
    """
    area = find_area(list(areas), path)
    if area is None:
        return
    elsewhere = sum(other.size - other.used for other in areas if other is not area)
    room = int(available * _OF_AVAILABLE) + elsewhere
    if area.used > room:
        raise SwapRefused(
            f"{format_size(area.used)} are swapped out to {path}, and memory and other swap have room for "
            f"{format_size(room)}; switching it off would make the kernel kill a process",
            do="oomguard swap status  # shows whose memory it is: end that process, then try again",
        )
