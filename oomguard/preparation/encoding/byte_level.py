"""How a byte-level vocabulary writes bytes as characters, so that no token holds a blank or a control character.

Source: bytes_to_unicode() in OpenAI's gpt-2/src/encoder.py; ByteLevel of Hugging Face's tokenizers is the same.
"""

from __future__ import annotations

_PLAIN = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]  # these bytes are the characters of that number
_OTHERS = [byte for byte in range(256) if byte not in _PLAIN]  # these are U+0100 and the next, in order
_BYTES = {chr(byte): byte for byte in _PLAIN} | {chr(0x100 + place): byte for place, byte in enumerate(_OTHERS)}
_TABLE = str.maketrans({character: chr(byte) for character, byte in _BYTES.items()})
_ALL = frozenset(_BYTES)


def bytes_of(token: str) -> bytes | None:
    """Give the bytes that a token of such a vocabulary stands for; None if it holds another character."""
    return token.translate(_TABLE).encode("latin-1") if _ALL.issuperset(token) else None
