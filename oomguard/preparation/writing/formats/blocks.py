"""Rows of a fixed number of tokens, which know no documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from oomguard.preparation.writing.formats.base import FinishedSet

_STRETCH = 1 << 14


def block_ends(tokens: int, block_size: int) -> Iterator[Sequence[int]]:
    """Where blocks end; the last one may be shorter."""
    whole = tokens // block_size
    for first in range(0, whole, _STRETCH):
        yield range((first + 1) * block_size, min(first + _STRETCH, whole) * block_size + 1, block_size)
    if tokens % block_size:
        yield [tokens]


def tail_note(done: FinishedSet, what: str) -> list[str]:
    """Say what became of the tokens behind a split's last whole block."""
    size = done.layout.block_size
    if size is None:
        return []
    tails = {split: sum(shard.tokens % size for shard in done.of(split)) for split in ("train", "val")}
    told = ", ".join(f"{tail:,} tokens of {split}" for split, tail in tails.items() if tail)
    return [f"after the last whole block of {size:,}: {told}, {what}"] if told else []
