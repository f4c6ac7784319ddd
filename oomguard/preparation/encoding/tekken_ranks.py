"""The ranks of Mistral's tekken.json, read without its other fields."""

from __future__ import annotations

import msgspec


class _Token(msgspec.Struct):
    rank: int
    token_bytes: str


class _Tokens(msgspec.Struct):
    vocab: list[_Token]


def tekken_ranks(data: bytes, count: int) -> bytes:
    """Give the first `count` tokens as the text of a rank file."""
    tokens = msgspec.json.decode(data, type=_Tokens).vocab[:count]
    return "".join(f"{token.token_bytes} {token.rank}\n" for token in tokens).encode()
