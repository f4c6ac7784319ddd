"""Numbers of a log, which may hold anything: bounded before they are made, and never below zero."""

from __future__ import annotations

from oomguard.units import KIB

_MOST = (1 << 64) - 1


def number(text: str | None) -> int | None:
    """Read a decimal number of at most 20 digits. None: there is none."""
    return None if text is None or len(text) > 20 else min(int(text), _MOST)


def kib(text: str | None) -> int | None:
    """Read what the kernel prints as "kB" and means as KiB, in bytes."""
    size = number(text)
    return None if size is None else size * KIB


def page_tables(size: int | None, total_vm: int | None) -> int | None:
    """Linux 5.1 to 5.7 prints bytes and calls them kB; page tables are never so large a part of what they map."""
    count = None if size is None else size // KIB
    if size is not None and count and total_vm and count % 4096 == 0 and size > total_vm // 16:
        return count
    return size
