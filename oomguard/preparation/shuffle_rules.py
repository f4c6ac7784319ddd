"""What a shuffle needs and whether it makes sense. Facts in, decision out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.errors import BadInput
from oomguard.text import printable
from oomguard.units import MIB, format_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oomguard.preparation.reading.source import Source

LARGEST_SEED = (1 << 64) - 1
_MOST_BITS = 8  # 256 buckets
_USUAL_BITS = 6  # where nobody knows how much text there is
_COORDINATOR = 48 * MIB  # of this process, when all others have ended
_LEAST_ROOM = 4 * MIB
_MOST_ROOM = 4096 * MIB
_FREE = 8 * MIB
_INFLATES = 4  # how much text a compressed file may hold, by its bytes
_BYTES_PER_TOKEN = 4.4  # English text in gpt2
_DENSE = 3.0  # bytes of text for each token where there are many


def require_documents(sources: Sequence[Source], separator: bytes) -> list[str]:
    """What is to be shuffled are documents; gives what the user should know of them.

    Raises: BadInput where all of the input is one document.
    """
    if separator or not any(source.kind == "text" for source in sources):
        return []
    if len(sources) == 1:
        is_unknown = sources[0].path == "-"  # nobody has looked at it yet
        raise BadInput(
            f"{printable(sources[0].path)} is one document without --separator: there is nothing to shuffle",
            do="--separator with the text between its documents, such as '<|endoftext|>' or '\\n\\n'"
            + ("; --input-format jsonl if it is JSON Lines" if is_unknown else ""),
        )
    return ["without --separator a text file is one document: --shuffle moves each as a whole"]


def room_for_pass(budget: int, used: int = _COORDINATOR) -> int:
    """Bytes that documents may take which are put in order at once, where `used` bytes of the budget are taken."""
    return min(_MOST_ROOM, max(_LEAST_ROOM, (budget - used - _FREE) // 2))


def choose_bits(sources: Sequence[Source], token_bytes: int, budget: int) -> int:
    """How many bits of a hash choose a bucket, so that a bucket fills half of the room for a pass, as a rule."""
    text = _text_bytes(sources)
    if text is None:
        return _USUAL_BITS
    tokens = int(text / _DENSE) * token_bytes
    buckets = -(-2 * tokens // room_for_pass(budget))
    return min(_MOST_BITS, max(0, buckets - 1).bit_length())


def disk_beside_shards(sources: Sequence[Source], token_bytes: int) -> int | None:
    """About how many bytes of disk a shuffle takes until it ends, beside the shards. None: not known before."""
    if any(source.size is None or source.compression or source.kind in ("parquet", "arrow") for source in sources):
        return None
    return int(sum(source.size or 0 for source in sources) / _BYTES_PER_TOKEN * token_bytes)


def disk_note(beside: int | None) -> str:
    """The same for people."""
    size = "as much disk as the tokens" if beside is None else f"about {format_size(beside)} of disk"
    return f"--shuffle takes {size} for itself in .oomguard/spool, given back bucket by bucket as shards are written"


def _text_bytes(sources: Sequence[Source]) -> int | None:
    """At most, as a rule. None: not known."""
    if any(source.size is None for source in sources):
        return None
    packed = ("parquet", "arrow")
    return sum(
        (source.size or 0) * (_INFLATES if source.compression or source.kind in packed else 1) for source in sources
    )
