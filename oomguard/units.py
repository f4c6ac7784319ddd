"""Sizes and percentages as people write them, and back.

"12G" and "12GiB" are 12 * 2**30 bytes, as in systemd and Docker; "12GB" is 12 * 10**9. Shown in KiB, MiB, GiB.
"""

from __future__ import annotations

import re

from oomguard.errors import BadInput

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30

_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5}
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*([KMGTP]?)(i?B?)", re.IGNORECASE)


def parse_size(text: str) -> int:
    """Give the number of bytes that `text` names.

    A number alone is bytes, as scripts write them; one that is too small for that was meant with a unit.
    Raises: BadInput if it is not a size, less than one byte, or such a number.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None or (match[3].lower() in ("i", "ib") and not match[2]):
        raise BadInput(f'"{text}" is not a size', do="write 8GiB (2**30 bytes each) or 8GB (10**9)")
    number, prefix, suffix = match.groups()
    base = 1000 if suffix.upper() == "B" and prefix else 1024
    size = int(float(number) * base ** _POWERS[prefix.upper()])
    if size < 1:
        raise BadInput(f'"{text}" is less than one byte', do="write 8GiB (2**30 bytes each) or 8GB (10**9)")
    if size < MIB and not prefix and not suffix:
        given = text.strip()
        raise BadInput(f'"{given}" has no unit', do=f"{given}G, or {given}M; {given}B if bytes are meant")
    return size


def parse_percentage(text: str) -> int:
    """Give the number from 1 to 100 that "80%" names. Raises: BadInput."""
    number = text.strip().removesuffix("%")
    if number == text.strip() or not re.fullmatch("[0-9]{1,3}", number) or not 0 < int(number) <= 100:
        raise BadInput(f'"{text}" is not a percentage from 1% to 100%', do="write 80%, or a size such as 12G")
    return int(number)


def format_size(size: float) -> str:
    """Show bytes with a binary unit and three digits that count: 1536 -> "1.5 KiB"."""
    units = ["B", "KiB", "MiB", "GiB", "TiB"]
    value = float(size)
    while abs(value) >= 1024 and len(units) > 1:
        value /= 1024
        del units[0]
    return f"{value:.0f} {units[0]}" if units[0] == "B" or abs(value) >= 100 else f"{value:.1f} {units[0]}"


def format_clock(seconds: float) -> str:
    """Show a length of time as a clock does: 75 -> "1:15", 3600 -> "1:00:00"."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"
