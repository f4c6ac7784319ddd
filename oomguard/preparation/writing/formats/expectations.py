"""What can be said of the shards before they are made."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oomguard.preparation.writing.formats.base import Layout


def expect_no_train_shard(layout: Layout, *, first_is_val: bool, tokens: float) -> list[str]:
    """Say that about `tokens` tokens will all be in the first shard, where that is for validation."""
    full = layout.shard_tokens
    if not first_is_val or full is None or tokens > full:
        return []
    note = (
        f"about {round(tokens):,} tokens, and the first {full:,} (--shard-tokens) are for validation: nothing would be "
        f"left to train on; --shard-tokens {max(1, round(tokens) // 10)} or --val-fraction 0.01 gives both"
    )
    return [note]
