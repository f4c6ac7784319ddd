"""Which line an instruction of a Python code object is of. Source: CPython's Objects/locations.md, since 3.11."""

from __future__ import annotations

_NO_COLUMN, _LONG, _NONE = 13, 14, 15
_FIRST_ONE_LINE = 10
_MOST_BYTES = 5  # of a number: lines fit in 30 bits


def line_of_instruction(table: bytes, first_line: int, unit: int) -> int | None:
    """Give the line of the code unit number `unit` (2 bytes each). None: it has none. Raises: nothing."""
    line, begin, place = first_line, 0, 0
    while place < len(table):
        code, length = table[place] >> 3 & 15, (table[place] & 7) + 1
        if code in (_NO_COLUMN, _LONG):
            line += _signed(table, place + 1)
        elif _FIRST_ONE_LINE <= code < _NO_COLUMN:
            line += code - _FIRST_ONE_LINE
        if begin <= unit < begin + length:
            return None if code == _NONE else line
        begin += length
        place += 1
        while place < len(table) and table[place] < 0x80:  # only the first byte of an entry has the high bit
            place += 1
    return None


def _signed(table: bytes, place: int) -> int:
    value = 0
    for number, byte in enumerate(table[place : place + _MOST_BYTES]):
        value |= (byte & 63) << 6 * number
        if not byte & 64:
            break
    return -(value >> 1) if value & 1 else value >> 1
