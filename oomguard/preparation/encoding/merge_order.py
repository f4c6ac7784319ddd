"""Whether merging any two tokens whose bytes are a token gives what a list of merges gives, on every text.

The core, like tiktoken, knows tokens and their order: it joins two neighbours whenever their bytes are a token, the
lowest first, the leftmost first among equals. Hugging Face's tokenizers joins only the pairs in its list. Let the list
be in the order of the tokens that it makes. Then both give the same if for each token either every way to divide it
into two tokens is in the list, or the list makes it of its own bytes.

Proof. Take a shortest text on which they differ, and the first step at which they do: the core joins (x, y) to t, and
that pair is not in the list, or it is and the list would join another pair of t's first. What lies between two borders
that still stand was merged as it would be alone, since the pick of the lowest leftmost pair, seen from there, is the
pick among the pairs there. So the bytes of t alone come to (x, y). A second pair of t elsewhere would have come from
the same bytes in the same way, so it is the same pair, and ties are settled alike. If (x, y) is not in the list, the
list leaves the bytes of t as (x, y), though it was to make t of them: a contradiction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_BITS = 20
_BYTES = 256


def find_difference(
    tokens: Mapping[bytes, int], merges: Iterable[tuple[bytes, bytes]], *, whole_words: bool
) -> str | None:
    """Say why the two may differ; None if they cannot.

    tokens: the bytes of each and its id. whole_words: a word that is a token is that token, merges or no merges, which
    is what the core does; else each token must come of its merges as well.
    """
    order = sorted((word for word in tokens if len(word) > 1), key=tokens.__getitem__)
    number = {bytes([byte]): byte for byte in range(_BYTES)}
    if any(word not in tokens for word in number):
        return "a byte has no token of its own"
    number.update((word, _BYTES + place) for place, word in enumerate(order))
    pairs: dict[int, int] = {}
    made_of: dict[int, list[tuple[int, int]]] = {}
    latest = 0
    for left, right in merges:
        made = number.get(left + right, -1)
        if made < latest:
            return "its merges are not in the order of its ids"
        latest = made
        pair = number[left], number[right]
        if pairs.setdefault(pair[0] << _BITS | pair[1], made) != made or (made_of.get(made, [None])[-1] == pair):
            return "a merge is there twice"
        made_of.setdefault(made, []).append(pair)
    parts: list[tuple[int, int] | None] = [None] * (_BYTES + len(order))  # of each token that merges make
    for made, word in enumerate(order, _BYTES):
        ways = made_of.get(made, [])
        parts[made] = next((way for way in ways if _is_made(pairs, parts, way, made)), None)
        if parts[made] is not None:
            continue
        if not whole_words:
            return f"no merges make its token {tokens[word]}"
        splits = [(number.get(word[:cut]), number.get(word[cut:])) for cut in range(1, len(word))]
        if {split for split in splits if None not in split} - set(ways):
            return f"its merges do not make its token {tokens[word]}, and other merges might"
    return None


def _is_made(pairs: Mapping[int, int], parts: list[tuple[int, int] | None], way: tuple[int, int], made: int) -> bool:
    """Whether the bytes of `way` come to these two tokens: no merge across their border comes before one beside it.

    The merges beside the border are undone, the latest first. `limit`: a merge across it comes too late from there on.
    """
    left, right = way
    if any(token >= _BYTES and parts[token] is None for token in way):
        return False
    limit = made
    while True:
        if pairs.get(left << _BITS | right, limit) < limit:
            return False
        if left < _BYTES and right < _BYTES:
            return True
        # Of two equal merges the left one came first, so the right one is undone first.
        if left > right:
            limit = left
            left = (parts[left] or way)[1]
        else:
            limit = right + 1
            right = (parts[right] or way)[0]
