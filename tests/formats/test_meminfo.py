"""/proc/meminfo of real machines, and what is missing on others."""

from __future__ import annotations

from pathlib import Path

from oomguard.formats.proc import Meminfo, parse_meminfo
from oomguard.units import KIB

CAPTURES = sorted(Path("tests/captures/memcg").glob("*/proc/meminfo"))


def test_captures_are_converted_from_kib() -> None:
    assert CAPTURES
    for capture in CAPTURES:
        values = dict(line.split(":", 1) for line in capture.read_text().splitlines())
        meminfo = parse_meminfo(capture.read_text())
        for value, name in (
            (meminfo.total, "MemTotal"),
            (meminfo.available, "MemAvailable"),
            (meminfo.shmem, "Shmem"),
            (meminfo.swap_total, "SwapTotal"),
        ):
            assert value == int(values[name].split()[0]) * KIB, (capture, name)


def test_a_missing_line_is_none() -> None:
    assert parse_meminfo("MemTotal:  8 kB\nHugePages_Total:  3\nMemFree: many kB\n") == Meminfo(
        total=8 * KIB, free=None, available=None, cached=None, shmem=None, swap_total=None, swap_free=None
    )
