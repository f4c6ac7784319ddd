"""The tokens of a tokenizer.json by their bytes."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

from oomguard.preparation.encoding.byte_level import bytes_of

if TYPE_CHECKING:
    from collections.abc import Mapping

# A letter and then punctuation other than an apostrophe: no pattern of the core has that in one word.
_MORE_THAN_A_WORD = re.compile(r"[A-Za-z][!-&(-/:-@\[-`{-~]")


def json_ranks(data: bytes) -> bytes:
    """Give the tokens that merges and look-ups can give as the text of a rank file."""
    whole = json.loads(data)
    added = {token["content"] for token in whole.get("added_tokens") or []}
    tokens, _ = tokens_of(whole["model"], added)
    lines = (f"{base64.b64encode(word).decode()} {rank}\n" for word, rank in sorted(tokens.items(), key=lambda t: t[1]))
    return "".join(lines).encode()


def tokens_of(model: Mapping[str, Any], added: set[str]) -> tuple[dict[bytes, int], dict[str, bytes]]:
    """Tokens and ids by their bytes, and the bytes of each name.

    Left out are names that are no bytes, and added tokens that no word of a text can be: neither comes of a text.
    """
    made = set()
    for merge in model.get("merges") or []:
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        made.add(left + right)
    tokens, names = {}, {}
    for name, rank in model["vocab"].items():
        word = bytes_of(name)
        if not word or (name in added and name not in made and _MORE_THAN_A_WORD.search(name)):
            continue
        tokens[word] = int(rank)
        names[name] = word
    return tokens, names


def pair_of(merge: Any, names: Mapping[str, bytes]) -> tuple[bytes, bytes]:
    """Give the bytes of the two tokens of a merge; older files write it as one string. Raises: KeyError, ValueError."""
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return names[left], names[right]
