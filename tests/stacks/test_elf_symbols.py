"""Symbols of real ELF files, and of damaged ones."""

from __future__ import annotations

import ctypes
import io
import random
import re
from pathlib import Path

import pytest

from oomguard.stacks.layout import read_elf_symbols


def libc() -> tuple[Path, int]:
    """The C library that this process runs, and where it is loaded."""
    maps = Path("/proc/self/maps").read_text()
    found = re.search(r"^([0-9a-f]+)-\S+ \S+ 0+ \S+ \d+ +(/\S*libc[.-]\S*)$", maps, re.MULTILINE)
    if found is None:
        pytest.skip("this Python has no C library of its own file")
    return Path(found[2]), int(found[1], 16)


def test_a_symbol_lies_where_the_loader_put_it() -> None:
    path, start = libc()
    with path.open("rb") as file:
        found = read_elf_symbols(file, ["environ", "_IO_2_1_stdout_", "no_such_symbol"])
    assert found is not None
    assert "no_such_symbol" not in found.values
    # Not stdout: a program that is not position-independent, such as Debian's Python, has a copy of its own.
    loaded = ctypes.addressof(ctypes.c_void_p.in_dll(ctypes.CDLL(None), "_IO_2_1_stdout_"))
    assert start - found.base + found.values["_IO_2_1_stdout_"] == loaded


def test_what_is_no_elf_file_is_none() -> None:
    for data in (b"", b"\x7fELF", b"#!/bin/sh\n" * 20, b"\x7fELF\x01\x01" + bytes(100)):
        assert read_elf_symbols(io.BytesIO(data), ["stdout"]) is None


def test_damage_raises_nothing() -> None:
    path, _ = libc()
    data = bytearray(path.read_bytes())
    chance = random.Random(7)
    for _ in range(200):
        damaged = bytearray(data[: chance.choice([64, 200, 5000, len(data)])])
        for _ in range(20):
            damaged[chance.randrange(min(64, len(damaged)))] = chance.randrange(256)
        damaged[:6] = b"\x7fELF\x02\x01"
        read_elf_symbols(io.BytesIO(bytes(damaged)), ["stdout"])
