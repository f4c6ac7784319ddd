"""Whether the disk can hold the shards: what they take at the least, told from windows into the text.

Every tokenizer of a known family begins a new token at white space before a letter, so that a text has no fewer tokens
than words. That is certain for what was read, needs no vocabulary, and is some three quarters of the tokens of English;
of a script without spaces nothing is said. A run that starts and fills the disk can be continued; one that is
refused and would have fitted could not be done at all.
"""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

from oomguard.errors import BadInput, OomguardError
from oomguard.preparation.writing.manifest import STATE_FOLDER, Manifest
from oomguard.text import printable
from oomguard.units import format_size

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from oomguard.preparation.reading.source import Source

_WORD = re.compile(rb"[ \n\t][A-Za-z]")
_SURE = 0.9  # what windows say of the whole may be a little off
_MOST = 1 << 16  # files that are looked at here
BYTES_PER_TOKEN = 4.4  # English text in gpt2
_ROOMY = 8  # bytes of shards that a byte of input makes at the most, as a rule, where it is compressed


def room_needed(
    out: Path, sources: Sequence[Source], *, width: int, separator: bytes, is_cut: bool
) -> tuple[int | None, int]:
    """Give what the shards take at the least, None where that is not known, and the room for them: bytes.

    `width`: bytes of a token; `is_cut`: the tokenizer divides words, so that they tell of the tokens.
    Only where the disk could be too small anything is read. What an earlier run has written here is room for it.
    """
    free = free_bytes(out) + _written_before(out)
    known = _is_known(sources)
    size = _size_of(sources)
    if not known or not is_cut or len(sources) > _MOST or size * width <= free:
        return None, free
    from oomguard.preparation.engines.allocators import give_back
    from oomguard.preparation.reading.sample_windows import sample_windows  # 10 ms, which most need not pay

    try:
        windows = sample_windows(sources, separator=separator, strict=False)
    except BadInput:
        return None, free  # the run itself says it better
    words = 0.0
    for window in windows:
        found = sum(len(_WORD.findall(text)) for text in window.texts)
        words += found * (window.stands_for / window.size if window.size else 0.0)
    del windows
    give_back()  # 8 MiB, which would be held to the end of the run
    return int(_SURE * words * width), free


def unknown_room(out: Path, sources: Sequence[Source], token_bytes: int) -> list[str]:
    """Say that nobody knows whether the disk is large enough, where it might not be; of Parquet what is likely."""
    if _is_known(sources) or (free := free_bytes(out) + _written_before(out)) >= _ROOMY * _size_of(sources):
        return []
    what = "how much disk the shards need is not known before the input is read"
    if all(source.kind == "parquet" and not source.is_remote for source in sources):
        from oomguard.preparation.reading.parquet_head import likely_text

        if (text := likely_text(sources)) is not None:
            what += f" (about {format_size(int(text / BYTES_PER_TOKEN * token_bytes))}, by the files' footers)"
    return [f"{what}, and {format_size(free)} is free: oomguard plan estimates it"]


def _is_known(sources: Sequence[Source]) -> bool:
    return all(source.is_cut and source.kind in ("text", "jsonl") for source in sources)


def _size_of(sources: Sequence[Source]) -> int:
    return sum(source.size or 0 for source in sources)


def require_room(out: Path, needed: int | None, free: int) -> None:
    """Raises: BadInput if the disk cannot hold what is to be written."""
    if needed is not None and needed > free:
        raise BadInput(
            f"the disk of {printable(str(out))} is too small: the shards need more than {format_size(needed)}, "
            f"and there is room for {format_size(free)}",
            do="make room (df -h), or --out FOLDER on another disk; oomguard plan says how much they take",
        )


def free_bytes(out: Path) -> int:
    """Bytes that are free where a folder is, or will be."""
    return shutil.disk_usage(next(parent for parent in (out, *out.absolute().parents) if parent.exists())).free


def _written_before(out: Path) -> int:
    """Bytes of the shards that are continued, or made again."""
    state = out / STATE_FOLDER
    try:
        names = Manifest.peek(state).names if state.is_dir() else set()
        return sum(file.stat().st_size for file in (*(out / name for name in names), *state.glob("*.partial")))
    except (OomguardError, OSError):
        return 0  # the run itself will say what is wrong there
