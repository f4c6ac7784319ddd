"""What is full of zero bytes and was taken for text: characters of two or four bytes each, or a torn download."""

from __future__ import annotations

_RUN = b"\0" * 4096  # a page: no text has so many, and a file that was made large before it was filled has
_WINDOW = 64 * 1024  # that is copied at a time to be looked at
_FEW = 64
_LEAST = 8
_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")  # of UTF-16 and UTF-32
_TAR_AT, _TAR = 257, b"ustar"
_SHARE = 4  # at least one byte in so many is zero where characters have two or four
_MOST = 0.9  # of the zeros, in the places where an encoding has them


def not_text(data: bytes | memoryview, *, is_first: bool) -> str:
    """Say what `data` is where its zeros show that it is no text: an encoding, "tar" or "zeros"; "" for text.

    A text may hold zeros. Only its beginning (`is_first`) tells its encoding; further on, what looks like one may be
    text as it is.
    """
    windows = (bytes(data[at : at + _WINDOW]) for at in range(0, len(data), _WINDOW))
    if all(0 not in window for window in windows):  # nearly always, and twenty times as fast as to count them
        return ""
    return _by_zeros(bytes(data), is_first=is_first)


def _by_zeros(data: bytes, *, is_first: bool) -> str:
    zeros = data.count(0)
    if zeros < _FEW:  # as a short text of which each other byte is zero
        is_wide = is_first and zeros >= _LEAST and zeros * 3 >= len(data)
        return _wide_encoding(data, zeros) if is_wide else ""
    if is_first and data.startswith(_TAR, _TAR_AT):
        return "tar"
    if is_first and zeros * _SHARE >= len(data):
        if name := _wide_encoding(data, zeros):
            return name
        if zeros == len(data):
            return "zeros"
    return "zeros" if _RUN in data else ""


def _wide_encoding(data: bytes, zeros: int) -> str:
    name = _with_end(data, zeros)
    return name[:6] if data.startswith(_MARKS) else name  # a mark at its beginning says which end comes first


def _with_end(data: bytes, zeros: int) -> str:
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
    return ""
