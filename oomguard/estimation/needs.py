"""What a job takes that can be told before any of it is tried: tokens, disk, and whether its longest line fits."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from oomguard.errors import BudgetTooSmall
from oomguard.preparation.engines.work import CutRules, PlainFeed
from oomguard.preparation.reading.corpus_sample import Estimate
from oomguard.preparation.writing.buckets import KEY_BYTES
from oomguard.preparation.writing.formats.base import expect_no_train_shard
from oomguard.units import MIB, format_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oomguard.preparation.options import PrepareOptions, ResolvedOptions
    from oomguard.preparation.reading.corpus_sample import CorpusSample
    from oomguard.preparation.reading.source import Source

_SURELY = 1.05  # of the size of a line, as windows into it tell it
_MARGIN = 1 << 20  # of disk: the manifest, headers


def check_longest(corpus: CorpusSample, sources: Sequence[Source], *, fits: int, budget: int) -> None:
    """A line or row that `prepare` would refuse when it comes to it. Raises: BudgetTooSmall."""
    longest = corpus.longest_document
    kinds = {source.kind for source in sources}
    if kinds - {"jsonl", "parquet"} or longest <= _SURELY * fits:
        return
    what = "line" if "jsonl" in kinds else "row"
    enough = budget * longest // max(1, fits)  # what is left for a line grows faster than the budget
    raise BudgetTooSmall(
        f"prepare would fail: a {what} of about {format_size(longest)} is in the input, and the longest that fits here "
        f"is {format_size(fits)}",
        do=f"--max-rss {-(-enough // MIB)}M, or remove that {what}",
    )


def tokens_with_ends(
    corpus: CorpusSample, sources: Sequence[Source], options: PrepareOptions, resolved: ResolvedOptions
) -> Estimate:
    """The tokens with those between documents; a text whose end is for validation is two."""
    if resolved.eot == "none":
        return corpus.tokens
    found, more = corpus.tokens_with_ends, _divided_texts(sources, options, resolved)
    return Estimate(value=found.value + more, low=found.low + more, high=found.high + more)


def disk_needed(tokens: Estimate, corpus: CorpusSample, resolved: ResolvedOptions, options: PrepareOptions) -> int:
    """At most, by the band of the tokens; a shuffle has them in buckets first, with a key for each document."""
    needed = tokens.high * resolved.layout.token_bytes + _MARGIN
    if options.shuffle is not None:
        documents = corpus.tokens_with_ends.high - corpus.tokens.high
        needed += tokens.high * resolved.spec.token_bytes + documents * KEY_BYTES
    return needed


def _divided_texts(sources: Sequence[Source], options: PrepareOptions, resolved: ResolvedOptions) -> int:
    """How many texts have an end that is for validation, as `prepare` cuts them."""
    fraction = Fraction(resolved.val_fraction or 0)
    texts = sum(source.seekable_text for source in sources)
    if not fraction or resolved.separator or texts * fraction >= 1:
        return 0
    rules = CutRules(
        family=resolved.spec.family, separator=b"", universal_newlines=options.newlines == "universal",
        piece_bytes=MIB, longest_word=MIB, flag_with_room=str,
    )  # fmt: skip
    divided = 0
    for source in filter(lambda one: one.seekable_text, sources):
        feed = PlainFeed(index=0, source=source, rules=rules, offset=0)
        feed.set_val_fraction(fraction)
        divided += feed.val_from is not None and feed.val_from < feed.size
        feed.close()
    return divided


def shard_notes(resolved: ResolvedOptions, tokens: Estimate) -> list[str]:
    """What is to be said of the shards that it makes."""
    first_is_val = resolved.val_fraction is None
    return expect_no_train_shard(resolved.layout, first_is_val=first_is_val, tokens=float(tokens.value))
