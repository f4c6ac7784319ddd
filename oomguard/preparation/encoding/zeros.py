"""What is full of zero bytes and was taken for text: characters of two or four bytes each, or a torn download."""

from __future__ import annotations

_RUN = b"\0" * 4096  # a page: no text has so many, and a file that was made large before it was filled has
_FEW = 64
_SHARE = 8  # one byte in so many may be zero
_MOST = 0.9  # of the zeros, in the places where an encoding has them


def not_text(data: bytes) -> str:
    """Say what `data` is where its zeros show that it is no text: the name of an encoding, or "zeros"; "" for text."""
    zeros = data.count(0)
    if zeros < _FEW or (zeros * _SHARE < len(data) and _RUN not in data):
        return ""
    at = [data[place::4].count(0) / zeros for place in range(4)]
    if zeros * 4 <= 3.2 * len(data) and zeros * 2 > len(data):
        if at[0] < 0.1 and sum(at[1:]) > _MOST:
            return "utf-32-le"
        if at[3] < 0.1 and sum(at[:3]) > _MOST:
            return "utf-32-be"
    if zeros * 2 <= 1.1 * len(data):
        if at[1] + at[3] > _MOST:
            return "utf-16-le"
        if at[0] + at[2] > _MOST:
            return "utf-16-be"
    return "zeros"
