"""What the core knows of bytes beside tokens: UTF-8, NFC, lines, the strings of JSON.

Buffers are as in native.py. Raises: CoreUnavailable, all but `line_feeds`.
"""

from __future__ import annotations

import ctypes
from array import array
from typing import TYPE_CHECKING

from oomguard.preparation.encoding.native import CoreUnavailable, Memory, load_core

if TYPE_CHECKING:
    from collections.abc import Buffer  # type: ignore[attr-defined,unused-ignore]  # 3.12


def utf8_prefix(data: Buffer) -> int:
    """How many bytes, from the first, are well-formed UTF-8: five times as fast as bytes.decode."""
    core = load_core()
    with Memory(data) as text:
        return int(core.og_utf8_prefix(text.address, text.size))


def find_denormal(data: Buffer, start: int) -> tuple[int, int] | None:
    """Where, from `start` on, the first stretch is that might not be NFC or is ill-formed; it can be changed by itself.

    start: 0, or the end of such a stretch.
    """
    core, begin, end = load_core(), ctypes.c_uint64(), ctypes.c_uint64()
    with Memory(data) as text:
        is_there = core.og_nfc_find(text.address, text.size, start, ctypes.byref(begin), ctypes.byref(end))
    return (begin.value, end.value) if is_there else None


def json_lines(data: Buffer) -> int:
    """How many lines there are, if each begins with { and ends with }, its LF or CR LF aside; else 0."""
    core = load_core()
    with Memory(data) as text:
        return int(core.og_json_lines(text.address, text.size))


def line_feeds(data: Buffer) -> int:
    """How many there are: five times as fast as bytes.count, which does it where there is no core."""
    try:
        core = load_core()
    except CoreUnavailable:
        return bytes(data).count(b"\n")
    with Memory(data) as text:
        return int(core.og_line_feeds(text.address, text.size))


def json_strings(data: Buffer, count: int) -> tuple[bytearray, array[int]] | None:
    """Give the text of so many strings, each in its quotes and one right behind the other, and where each begins.

    The offsets are int64[count + 1]; `data` is well-formed UTF-8. None for what is not so many strings, and for an
    escaped surrogate that is alone.
    """
    core = load_core()
    with Memory(data) as json:
        text, offsets = bytearray(json.size), array("q", bytes(8 * (count + 1)))
        with Memory(text, writable=True) as out, Memory(offsets, writable=True) as places:
            is_read = core.og_json_strings(json.address, json.size, out.address, out.size, places.address, count)
    if not is_read:
        return None
    del text[offsets[-1] :]
    return text, offsets
