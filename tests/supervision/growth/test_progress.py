"""How far the inputs were read: what can be said of the end, and when nothing can."""

from __future__ import annotations

import pytest

from oomguard.kernel.model import OpenInput
from oomguard.supervision.growth.forecast import Forecast, ReadProgress

MIB, GIB = 1 << 20, 1 << 30


def opened(position: int, *, pid: int = 7, path: str = "/data/train.txt", size: int = GIB) -> OpenInput:
    return OpenInput(pid=pid, path=path, position=position, size=size)


def read(
    progress: ReadProgress, until: int, *, begin: int = 0, looks: int = 20, beside: list[OpenInput] | None = None
) -> None:
    """A program that keeps three bytes for each that it reads."""
    for look in range(looks + 1):
        position = begin + (until - begin) * look // looks
        progress.take([*(beside or []), opened(position)], 30 * MIB + 3 * position)


def foreseen(progress: ReadProgress) -> int:
    found = progress.forecast()
    assert isinstance(found, Forecast), found
    return found.at_end


def test_a_fifth_tells_of_the_whole() -> None:
    progress = ReadProgress()
    read(progress, GIB // 5)
    assert foreseen(progress) == pytest.approx(30 * MIB + 3 * GIB, rel=0.01)
    assert progress.main_input() == ("/data/train.txt", GIB // 5, GIB)


def test_a_long_run_keeps_few_samples_and_the_line() -> None:
    progress = ReadProgress()
    read(progress, GIB - 1, looks=5000)
    assert foreseen(progress) == pytest.approx(30 * MIB + 3 * GIB, rel=0.01)
    assert sum(len(known.samples) for known in progress._inputs.values()) <= 400


def test_a_little_step_back_is_no_second_reading() -> None:
    """Readers look ahead for the format, and go back."""
    progress = ReadProgress()
    read(progress, GIB // 5)
    progress.take([opened(GIB // 5 - 4096)], 30 * MIB + 3 * GIB // 5)
    foreseen(progress)


def test_a_seek_back_withdraws_it_for_good() -> None:
    progress = ReadProgress()
    read(progress, GIB // 5)
    progress.take([opened(0)], 700 * MIB)
    assert progress.forecast() == "it is read more than once"
    read(progress, GIB // 2)
    assert progress.forecast() == "it is read more than once"


def test_so_does_opening_it_again() -> None:
    """From its beginning; even where it was closed near it."""
    progress = ReadProgress()
    read(progress, MIB // 2, looks=4)
    progress.take([], 30 * MIB)
    progress.take([opened(4096)], 30 * MIB)
    assert progress.forecast() == "it is read more than once"


def test_and_a_second_process_that_reads_it() -> None:
    progress = ReadProgress()
    read(progress, GIB // 5)
    progress.take([opened(GIB // 5), opened(GIB // 2, pid=8)], 700 * MIB)
    assert progress.forecast() == "several processes read it"


def test_workers_of_a_pool_that_have_their_parent_s_file() -> None:
    """A forked file descriptor has one position for all; between two of them a line or two was read."""
    progress = ReadProgress()
    for look in range(20):
        position = look * 10 * MIB
        workers = [opened(position + 100 * pid, pid=pid) for pid in (7, 8, 9, 10)]
        progress.take(workers, 30 * MIB + 3 * position)
    assert foreseen(progress) == pytest.approx(30 * MIB + 3 * GIB, rel=0.01)


def test_workers_that_each_read_their_part() -> None:
    progress = ReadProgress()
    for look in range(20):
        progress.take([opened((pid - 7) * GIB // 4 + look * MIB, pid=pid) for pid in (7, 8, 9, 10)], GIB)
    assert progress.forecast() == "several processes read it"


def test_read_whole_says_nothing() -> None:
    progress = ReadProgress()
    progress.take([opened(0)], 30 * MIB)
    progress.take([opened(GIB)], GIB)
    assert progress.forecast() == "it was read in one go"


def test_memory_that_grows_after_the_end_bends_the_line() -> None:
    """Read, then sorted: the line of the reading is not the peak."""
    progress = ReadProgress()
    read(progress, GIB, looks=40)
    for more in range(1, 10):
        progress.take([opened(GIB)], 30 * MIB + 3 * GIB + more * GIB // 2)
    assert isinstance(progress.forecast(), str)


def test_without_a_file_it_says_that() -> None:
    progress = ReadProgress()
    progress.take([], 30 * MIB)
    assert progress.main_input() is None
    assert "no file" in str(progress.forecast())
    progress.take([opened(0)], 30 * MIB)  # mapped, or read with pread()
    assert "stays at 0" in str(progress.forecast())


def test_what_streams_needs_no_more_at_the_end() -> None:
    """After its start-up it holds the same, give or take. One that still grows a little is not called flat."""
    progress = ReadProgress()
    for look in range(40):
        progress.take([opened(look * 10 * MIB)], (20 if look < 5 else 60) * MIB + look % 3 * MIB)
    assert foreseen(progress) == 62 * MIB
    slow = ReadProgress()
    for look in range(40):
        slow.take([opened(look * MIB)], 60 * MIB + look * MIB // 10)
    assert foreseen(slow) == pytest.approx(60 * MIB + GIB // 10, rel=0.01)


def test_two_inputs_one_after_the_other() -> None:
    """How many more there are, nobody knows."""
    progress = ReadProgress()
    read(progress, GIB // 5)
    for look in range(20):
        progress.take([opened(look * 10 * MIB, path="/data/more.txt", size=GIB // 2)], GIB)
    assert "several files" in str(progress.forecast())


def test_a_vocabulary_and_a_library_are_not_the_input() -> None:
    """A library is larger than many an input, but the loader reads its header alone, and closes it."""
    progress = ReadProgress()
    progress.take([opened(832, path="/usr/lib/libtorch.so", size=4 * GIB)], 20 * MIB)
    read(progress, GIB // 5, beside=[opened(5 * MIB, path="/data/vocab.json", size=5 * MIB)])
    assert foreseen(progress) == pytest.approx(30 * MIB + 3 * GIB, rel=0.01)


def test_thousands_of_files_are_not_all_kept() -> None:
    progress = ReadProgress()
    for number in range(3000):
        progress.take([opened(number, path=f"/data/{number}", size=2 * MIB)], 30 * MIB)
    assert len(progress._inputs) <= 16
