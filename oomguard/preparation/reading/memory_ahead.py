"""What reading a source takes at once, as far as its first bytes say it: the window of a decoder, a batch of Arrow.

It is planned with at the start; what comes later in a file, and is larger, is asked for when it is reached.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from oomguard.kernel.plain_files import open_regular
from oomguard.preparation.reading.arrow_messages import OutsideError, largest_batch
from oomguard.preparation.reading.pieces import USUAL
from oomguard.text import printable
from oomguard.units import KIB

if TYPE_CHECKING:
    from collections.abc import Iterable

    from oomguard.preparation.reading.source import Source

_HEAD = 64 * KIB  # of a compressed file, which says what decoding takes
_FILES = 4096  # that are looked into
_ARROW_FILES = 64
_BATCHES = 256  # of each


def memory_ahead(sources: Iterable[Source]) -> tuple[int, str]:
    """Give the most that one of the sources takes at once beyond the usual, in bytes, and what for; 0 if none does."""
    largest, what = 0, ""
    packed = [source for source in sources if source.path != "-" and not source.is_remote]
    arrow = sorted((one for one in packed if one.kind == "arrow"), key=lambda one: -(one.size or 0))
    windows = [one for one in packed if one.compression in ("zst", "xz")]
    for source in (*arrow[:_ARROW_FILES], *windows[:_FILES]):
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
