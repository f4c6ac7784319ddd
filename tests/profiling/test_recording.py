"""The file of a profile: bounded, whole for whoever reads it, and there whoever is killed, on real file systems."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from oomguard.errors import BadInput
from oomguard.profiling.recording import RecordingFile


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def nothing() -> list[dict[str, Any]]:
    return []


def test_a_line_is_in_the_file_when_write_returns(tmp_path: Path) -> None:
    path = tmp_path / "a.rec"
    recording = RecordingFile(path, anew=nothing)
    for number in range(50):
        recording.write({"note": f"{number}\n\x1b"})
        assert len(lines(path)) == number + 1
    recording.close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_it_stays_below_its_size_and_a_reader_always_sees_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.rec"
    remembered = [{"head": 1}]
    recording = RecordingFile(path, anew=lambda: [*remembered, {"note": "what stands for all"}], full=20_000)
    seen: list[tuple[int, bool]] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            text = path.read_bytes()
            seen.append((len(text), not text or json.loads(text.splitlines()[0]) == {"head": 1}))

    recording.write({"head": 1})
    reader = threading.Thread(target=read)
    reader.start()
    for number in range(6000):
        recording.write({"s": number, "of": "x" * 40})
    stop.set()
    reader.join()
    recording.write({"end": 0})
    recording.close()
    assert max(size for size, _ in seen) <= 20_000
    assert all(begins_well for _, begins_well in seen)
    last = lines(path)
    assert last[0] == {"head": 1} and last[-1] == {"end": 0}
    assert [path.name for path in tmp_path.iterdir()] == ["a.rec"]


def test_what_stands_for_all_may_be_larger_than_the_size(tmp_path: Path) -> None:
    """It is not written anew for each line then."""
    times = 0

    def anew() -> list[dict[str, Any]]:
        nonlocal times
        times += 1
        return [{"s": "x" * 10_000}]

    recording = RecordingFile(tmp_path / "a.rec", anew=anew, full=1000)
    for number in range(1000):
        recording.write({"s": number})
    recording.close()
    assert 1 <= times <= 3
    assert (tmp_path / "a.rec").stat().st_size <= 20_100


def test_killed_at_any_moment_nothing_written_is_lost(tmp_path: Path) -> None:
    """kill -9, three times; the writer says what it has written."""
    program = """
import sys, time
from pathlib import Path
from oomguard.profiling.recording import RecordingFile
held = []
file = RecordingFile(Path(sys.argv[1]), anew=lambda: [{"s": held[-1]}], full=4000)
for number in range(10**7):
    held[:] = [number]
    file.write({"s": number})
    print(number, flush=True)
"""
    for seconds in (0.02, 0.05, 0.11):
        path = tmp_path / f"killed-{seconds}.rec"
        writer = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE)
        with writer:
            assert writer.stdout is not None
            first = writer.stdout.readline()
            time.sleep(seconds)
            writer.send_signal(signal.SIGKILL)
            said = (first + writer.stdout.read()).splitlines()
        found = [line["s"] for line in lines(path)]
        assert int(said[-1]) <= found[-1] <= int(said[-1]) + 1
        assert found == list(range(found[0], found[-1] + 1))


def test_a_full_disk_costs_lines_and_no_more(tmp_path: Path) -> None:
    """Once there is room again, the next lines are whole."""
    path = tmp_path / "a.rec"
    recording = RecordingFile(path, anew=nothing)
    recording.write({"s": 1})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 5, before[1]))
    try:
        for _ in range(3):
            recording.write({"s": "dropped"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    recording.write({"s": 2})
    recording.write({"s": 3})
    recording.close()
    kept = path.read_bytes().splitlines()
    assert [json.loads(line) for line in (kept[0], *kept[-2:])] == [{"s": 1}, {"s": 2}, {"s": 3}]


def test_without_room_for_a_second_file_it_makes_room_in_the_first(tmp_path: Path) -> None:
    """A real file system of 64 KiB, which the recording fills."""
    if os.getuid() != 0:
        pytest.skip("needs root, to mount a tmpfs")
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)], check=True)
    try:
        path = place / "a.rec"
        (place / "others").write_bytes(b"x" * (24 << 10))
        kept = {"s": "what stands for all", "more": "x" * 20_000}
        recording = RecordingFile(path, anew=lambda: [kept], full=36 << 10)
        for number in range(2000):
            recording.write({"s": number, "of": "x" * 100})
        recording.write({"end": 0})
        recording.close()
        last = lines(path)
        assert (last[0], last[-1]) == (kept, {"end": 0})
        assert {file.name for file in place.iterdir()} == {"a.rec", "others"}
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_devices_and_links_are_left_what_they_are(tmp_path: Path) -> None:
    """A recording that is full is renamed into place: not over /dev/null, nor over a link."""
    device = tmp_path / "null"
    try:
        os.mknod(device, 0o600 | 0o020000, os.makedev(1, 3))
        os.close(os.open(device, os.O_WRONLY))
    except PermissionError:
        pytest.skip("needs root and a file system with devices")
    target = tmp_path / "folder" / "real.rec"
    target.parent.mkdir()
    link = tmp_path / "link.rec"
    link.symlink_to(target)
    for path in (device, link, Path("/dev/full")):
        recording = RecordingFile(path, anew=lambda: [{"s": 0}], full=100)
        for number in range(50):
            recording.write({"s": number})
        recording.close()
    assert device.is_char_device()
    assert Path("/dev/full").is_char_device()
    assert link.is_symlink() and not target.is_symlink()
    assert lines(target)[-1] == {"s": 49}
    assert target.stat().st_size <= 100


def test_a_link_in_the_second_file_s_place_is_not_followed(tmp_path: Path) -> None:
    other = tmp_path / "precious"
    other.write_text("precious")
    (tmp_path / "a.rec.part").symlink_to(other)
    recording = RecordingFile(tmp_path / "a.rec", anew=lambda: [{"s": 0}], full=100)
    for number in range(50):
        recording.write({"s": number})
    recording.close()
    assert other.read_text() == "precious"
    assert lines(tmp_path / "a.rec")[-1] == {"s": 49}


@pytest.mark.parametrize("name", ["", "no/such/folder/a.rec", "x" * 300])
def test_a_file_that_cannot_be_made_is_refused_at_once(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match="cannot be written") as refused:
        RecordingFile(tmp_path / name, anew=nothing)
    assert "-o ANOTHER_FILE" in refused.value.do
