"""What is read from inside a held job's processes: for no longer than a held job may wait for it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from oomguard.supervision.seen_inside import read_arenas, read_maps

if TYPE_CHECKING:
    from pathlib import Path

# An arena of glibc's as Linux tells of it: what is used, and beside it what is only reserved; 64 MiB aligned.
ARENA = """7f8a40000000-7f8a40021000 rw-p 00000000 00:00 0
Anonymous:           132 kB
Swap:                  0 kB
7f8a40021000-7f8a44000000 ---p 00000000 00:00 0
Anonymous:             0 kB
Swap:                  0 kB
"""
MAPPINGS = "".join(f"7f8b{n:04x}0000-7f8b{n:04x}1000 r--p 00000000 00:00 0\nAnonymous: 0 kB\n" for n in range(5000))


class Clock:
    """Goes on by so much each time that it is read, and counts that."""

    def __init__(self, step: float) -> None:
        self.step, self.now = step, 0.0

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def test_the_arenas_of_a_process_with_many_mappings_are_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "proc/7").mkdir(parents=True)
    (tmp_path / "proc/7/smaps").write_text(ARENA + MAPPINGS)
    held: list[Any] = [SimpleNamespace(pid=7)]
    assert read_arenas(held, tmp_path, clock=Clock(0.00001)) == (132 << 10,)
    slow = Clock(0.001)
    assert read_arenas(held, tmp_path, clock=slow) == ()  # a part of them would be told as all
    assert slow.now < 0.6


def test_the_mappings_of_several_processes_are_not_waited_for_longer_than_those_of_one(tmp_path: Path) -> None:
    for pid in (7, 8, 9):
        (tmp_path / f"proc/{pid}").mkdir(parents=True)
        (tmp_path / f"proc/{pid}/smaps").write_text(ARENA + MAPPINGS)
    held: list[Any] = [SimpleNamespace(pid=pid, unreclaimable=132 << 10) for pid in (7, 8, 9)]
    quick = read_maps(held, tmp_path, clock=Clock(0.00001))
    assert [[share.size for share in shares] for shares in quick.values()] == [[132 << 10]] * 3
    slow = Clock(0.001)
    assert read_maps(held, tmp_path, clock=slow) == {7: (), 8: (), 9: ()}
    assert slow.now < 0.6
