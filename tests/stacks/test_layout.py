"""The tables that interpreters begin with, as real ones have them."""

from __future__ import annotations

import struct

from oomguard.stacks.layout import DEBUG_OFFSETS_SIZE, python_layout

# What CPython 3.14.10 of Debian sid has in its memory, in its order.
DEBIAN_3_14 = (
    0, 316616, 784, 808, 225864, 7280, 7272, 7344, 7360, 7408, 7688, 7672, 7680, 16, 7784, 0, 7800, 7792, 7992, 0,
    832, 0, 8, 16, 72, 152, 160, 232, 32, 88, 8, 0, 56, 80, 74, 64, 0, 216, 112, 120, 128, 136, 68, 52, 96, 104, 208, 0,
)  # fmt: skip


def table(version: int, values: tuple[int, ...]) -> bytes:
    return struct.pack(f"<8sQ{len(values)}Q", b"xdebugpy", version, *values).ljust(DEBUG_OFFSETS_SIZE, b"\0")


def test_what_3_14_says_of_itself() -> None:
    layout = python_layout(0x030E0AF0, table(0x030E0AF0, DEBIAN_3_14))
    assert layout is not None
    assert (layout.interpreters, layout.threads, layout.gil, layout.gil_locked, layout.gil_holder) == (
        808,
        7344,
        16,
        16,
        8,
    )
    assert (layout.current_frame, layout.code, layout.instruction, layout.owner) == (72, 0, 56, 74)
    assert (layout.file, layout.name, layout.lines, layout.first_line, layout.instructions) == (112, 128, 136, 68, 208)


def test_3_15_has_more_fields_in_the_middle() -> None:
    """Seven in a thread, and a group of one after it: what follows has moved by as much (since its fourth beta)."""
    thread = (*DEBIAN_3_14[20:25], 80, 88, 96, *DEBIAN_3_14[25:29], 36, 37, 104, 112, 0)
    values = (*DEBIAN_3_14[:20], *thread, *DEBIAN_3_14[29:])
    assert len(values) == len(DEBIAN_3_14) + 8
    of_3_14 = python_layout(0x030E0AF0, table(0x030E0AF0, DEBIAN_3_14))
    assert python_layout(0x030F00F0, table(0x030F00F0, values)) == of_3_14
    assert python_layout(0x030F00B3, table(0x030F00B3, values)) is None  # as long as it still changed
    assert python_layout(0x030F00F0, table(0x030F00F0, DEBIAN_3_14)) != of_3_14


def test_what_cannot_be_is_none() -> None:
    assert python_layout(0x03100000, table(0x03100000, DEBIAN_3_14)) is None  # not known yet
    assert python_layout(0x030E0AF0, table(0x030E00F0, DEBIAN_3_14)) is None  # another's
    assert python_layout(0x030E0AF0, table(0x030E0AF0, (1, *DEBIAN_3_14[1:]))) is None  # free-threaded
    assert python_layout(0x030E0AF0, table(0x030E0AF0, (*DEBIAN_3_14[:5], 1 << 40, *DEBIAN_3_14[6:]))) is None
    assert python_layout(0x030E0AF0, b"xdebugpy") is None
