"""Each write, sync and rename of a run fails once: no shard is wrong afterwards, and nothing is noted after it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.preparation.disturbing import sums_of
from tests.properties import some_of
from tests.running import changed_program, run_oomguard

pytestmark = pytest.mark.slow  # whole runs
CALLS = ("fdatasync", "fsync", "renameat", "write", "pwrite64")
DISK_BYTES = 64 << 20
LINES = "".join(f"{number} " * 40 + "und so weiter\n\n" for number in range(6000))
COMMAND: tuple[str, ...] = (
    "prepare",
    "text.txt",
    "--out",
    "out",
    "--format",
    "llmc",
    "--shard-tokens",
    "100000",
    "--separator",
    r"\n\n",
)
COMMAND += ("--workers", "1", "--quiet", "--verify", "off")


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a text and the shards of an undisturbed run."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not there to let system calls fail; apt install strace turns this on")
    folder = tmp_path_factory.mktemp("text")
    (folder / "text.txt").write_text(LINES)
    assert run_oomguard(*COMMAND, "--out", "whole", cwd=folder).returncode == 0
    assert len(sums_of(folder / "whole")) >= 5
    return folder


def traced(folder: Path, call: str, error: str, number: int) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run the command; its call number `number` of a kind fails. Also give its calls, in their order, from there on."""
    out = folder / "out"
    files = [out / ".oomguard" / name for name in ("manifest.jsonl", "manifest.new", "t000001.partial")]
    # Other writes go to sockets; all other calls are to files in the output folder.
    only = [option for file in files for option in ("-P", str(file))] if call == "write" else []
    run = subprocess.run(
        ["strace", "-f", "--seccomp-bpf", "-y", "-e", f"trace={','.join(CALLS)}", *only, "-e", f"inject={call}:error={error}:when={number}",
         "-o", "calls", sys.executable, "-c", changed_program(piece_bytes=1 << 15, checkpoint_seconds=0.03), *COMMAND, "--out", str(out)],
        cwd=folder, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    calls = (folder / "calls").read_text().splitlines()
    hit = next((at for at, line in enumerate(calls) if "(INJECTED)" in line), len(calls))
    return run, calls[hit:]


@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
@pytest.mark.parametrize("call", CALLS)
def test_a_call_that_fails(tmp_path: Path, text: Path, call: str, error: str) -> None:
    """The first ones, some in the middle, of which half are tried each time: after it nothing is added to the manifest, and the same command ends right."""
    (tmp_path / "text.txt").write_text(LINES)
    failed = 0
    for number in (1, *some_of((2, 3, 6, 12), one_in=2)):
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        run, calls = traced(tmp_path, call, error, number)
        assert "Traceback" not in run.stderr
        if not calls:
            assert run.returncode == 0, run.stderr
            continue
        failed += 1
        assert run.returncode == 1
        assert run.stderr.count("error: ") == 1
        assert [line for line in calls[1:] if "write(" in line and "manifest.jsonl" in line] == []
        again = run_oomguard(*COMMAND, cwd=tmp_path)
        assert again.returncode == 0, again.stderr
        assert sums_of(tmp_path / "out") == sums_of(text / "whole")
    assert failed


class Disk:
    """An ext4 with a journal on a file in a tmpfs that is too small for it: some blocks cannot be written."""

    def __init__(self, folder: Path) -> None:
        self._memory, self._mounted = folder / "memory", folder / "disk"
        self.out = self._mounted / "out"
        self._memory.mkdir()
        self._mounted.mkdir()
        self._image = self._memory / "image"
        mount("-t", "tmpfs", "-o", "size=200m", "none", self._memory)
        with self._image.open("wb") as image:
            image.truncate(DISK_BYTES)
        command("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", self._image)
        self.mount()

    def mount(self) -> None:
        mount("-o", "loop", self._image, self._mounted)

    def give_room(self, size: int | None) -> None:
        """Leave the tmpfs so many bytes more than it uses now; None: enough."""
        room = 2 * DISK_BYTES if size is None else self._image.stat().st_blocks * 512 + size
        mount("-o", f"remount,size={room}", self._memory)

    def unmount(self) -> None:
        subprocess.run(["umount", str(self._mounted)], capture_output=True, check=False)

    def remove(self) -> None:
        self.unmount()
        subprocess.run(["umount", "-l", str(self._memory)], check=True)


def command(*words: object) -> None:
    run = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    if run.returncode:
        pytest.skip(
            f"{' '.join(map(str, words))}: {run.stderr.strip()}; as root on a machine with loop devices this runs"
        )


def mount(*words: object) -> None:
    command("mount", *words)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    if os.geteuid():
        pytest.skip("only root may mount; run the tests as root to turn this on")
    made = Disk(tmp_path)
    try:
        yield made
    finally:
        made.remove()


@pytest.mark.parametrize("room", [0, 64 << 10, 300 << 10, 1 << 20])
def test_blocks_that_cannot_be_written(tmp_path: Path, text: Path, disk: Disk, room: int) -> None:
    """Room comes again later, the file system is mounted anew: only what is really there was believed."""
    (tmp_path / "text.txt").write_text(LINES)
    there = ("--out", str(disk.out))
    disk.give_room(room)
    command = [sys.executable, "-c", changed_program(piece_bytes=1 << 15, checkpoint_seconds=0.02), *COMMAND, *there]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    disk.give_room(None)
    disk.unmount()
    disk.mount()
    again = run_oomguard(*COMMAND, *there, cwd=tmp_path)
    assert "Traceback" not in again.stderr
    if again.returncode:
        assert "--restart" in again.stderr
        again = run_oomguard(*COMMAND, *there, "--restart", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert sums_of(disk.out) == sums_of(text / "whole")
