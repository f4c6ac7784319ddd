"""The tokens of a tokenizer.json, and of a tekken.json, by their bytes.

A byte-level vocabulary writes bytes as characters, so that no token holds a blank or a control character. Source:
bytes_to_unicode() in OpenAI's gpt-2/src/encoder.py; ByteLevel of Hugging Face's tokenizers is the same.
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

# A letter and then punctuation other than an apostrophe: no pattern of the core has that in one word.
_MORE_THAN_A_WORD = re.compile(r"[A-Za-z][!-&(-/:-@\[-`{-~]")
_PLAIN = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]  # these bytes are the characters of that number
_OTHERS = [byte for byte in range(256) if byte not in _PLAIN]  # these are U+0100 and the next, in order
_BYTES = {chr(byte): byte for byte in _PLAIN} | {chr(0x100 + place): byte for place, byte in enumerate(_OTHERS)}
_TABLE = str.maketrans({character: chr(byte) for character, byte in _BYTES.items()})
_ALL = frozenset(_BYTES)


def bytes_of(token: str) -> bytes | None:
    """Give the bytes that a token of such a vocabulary stands for; None if it holds another character."""
    return token.translate(_TABLE).encode("latin-1") if _ALL.issuperset(token) else None


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


class _Token(msgspec.Struct):
    rank: int
    token_bytes: str


class _Tokens(msgspec.Struct):
    vocab: list[_Token]


def tekken_ranks(data: bytes, count: int) -> bytes:
    """Give the first `count` tokens of Mistral's tekken.json as the text of a rank file."""
    tokens = msgspec.json.decode(data, type=_Tokens).vocab[:count]
    return "".join(f"{token.token_bytes} {token.rank}\n" for token in tokens).encode()
