"""What reading a source takes at once, as far as its first bytes say it: the window of a decoder, a batch of Arrow.

It is planned with at the start; what comes later in a file, and is larger, is asked for when it is reached.
"""

from __future__ import annotations

from contextlib import suppress
from heapq import nlargest
from itertools import islice
from typing import TYPE_CHECKING

from oomguard.kernel.plain_files import open_regular
from oomguard.preparation.reading.arrow_messages import OutsideError, largest_batch
from oomguard.preparation.reading.pieces import USUAL
from oomguard.text import printable
from oomguard.units import KIB

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oomguard.preparation.reading.source import Source

_HEAD = 64 * KIB  # of a compressed file, which says what decoding takes
_FILES = 4096  # that are looked into
_ARROW_FILES = 64
_BATCHES = 256  # of each


def _is_here(source: Source) -> bool:
    return source.path != "-" and not source.is_remote


def memory_ahead(sources: Sequence[Source]) -> tuple[int, str]:
    """Give the most that one of the sources takes at once beyond the usual, in bytes, and what for; 0 if none does."""
    largest, what = 0, ""
    # Only those are kept that are looked into: there may be a million.
    arrow = nlargest(
        _ARROW_FILES, (one for one in sources if one.kind == "arrow" and _is_here(one)), key=lambda one: one.size or 0
    )
    windows = islice((one for one in sources if one.compression in ("zst", "xz") and _is_here(one)), _FILES)
    for source in (*arrow, *windows):
        is_arrow = source.kind == "arrow"
        with suppress(OSError, OutsideError):  # that it cannot be read is said where it is opened
            if is_arrow:
                need = largest_batch(source.path, source.text_field, most=_BATCHES)
            else:
                from oomguard.preparation.reading.packed_streams import decoder_memory  # decoders: most jobs need none

                with open_regular(source.path) as file:
                    need = decoder_memory(file.read(_HEAD), source.compression)
            if need > max(largest, USUAL):
                kind = "a compressed batch" if is_arrow else f"the {source.compression} dictionary"
                largest, what = need, f"{kind} of {printable(source.path)}"
    return largest, what
