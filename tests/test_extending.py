"""What CONTRIBUTING says of adding things, tried: one source file each, in a copy of the package."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import oomguard

ROOT = Path(oomguard.__file__).parent

KILLER = '''"""bustd. Source: bustd's kill.rs."""

from __future__ import annotations

from oomguard.diagnosis.killers.base import Killer, wording

KILLER = Killer(
    ident="bustd",
    what="bustd",
    habit="it ends the largest process before memory runs out",
    early=True,
    identifiers=("bustd",),
    comm="bustd",
    wordings=(
        wording(
            r"Killing (?P<name>.{1,64}), pid (?P<pid>[0-9]{1,10}), memory low",
            ", memory low",
            "Killing python3, pid 4321, memory low",
        ),
    ),
)
'''
FORMAT = '''"""Tokens, and nothing else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from oomguard.preparation.writing.formats.base import OutputFormat

if TYPE_CHECKING:
    from pathlib import Path

    from oomguard.preparation.writing.formats.base import FinishedSet, Layout
    from oomguard.preparation.writing.formats.stored import StoredShard


class Raw(OutputFormat):
    name = "raw"
    help = "tokens and nothing else"
    owned = re.compile(r"(train|val)[.]raw")
    one_file = True

    def file_name(self, layout: Layout, split: str, index: int) -> str:
        return f"{split}.raw"

    def notes(self, done: FinishedSet) -> list[str]:
        return []

    def next_lines(self, done: FinishedSet) -> list[str]:
        return [f"od -An -tu2 {done.folder}/train.raw | head -1"]

    def stored_shards(self, folder: Path, *, known: Layout | None) -> list[StoredShard]:
        return []
'''


INPUT = '''"""Files of fortune(6): texts, with a line of one % between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oomguard.preparation.reading.byte_stream import ByteStream, skip_bytes
from oomguard.preparation.reading.kinds import InputKind
from oomguard.preparation.reading.pieces import Packer, Room, packed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oomguard.preparation.reading.pieces import Piece, ReadOptions, Reserve
    from oomguard.preparation.reading.source import Source

KIND = InputKind(
    words="fortunes", extensions=(".fortune",), memory="lines", reader="fortune_format:iter_fortunes", has_fields=False
)


def iter_fortunes(
    source: Source, *, options: ReadOptions, resume: dict[str, Any] | None, reserve: Reserve
) -> Iterator[Piece]:
    at = resume or {"offset": 0, "fortune": 1}
    with ByteStream(source, reserve=reserve) as stream:
        skip_bytes(stream, at["offset"], name=source.path)
        room = Room(source.path, options, reserve, held=lambda: stream.held)
        packer = Packer(options, task="documents", word="fortune", number=at["fortune"])
        yield from packed(_fortunes(stream, room, **at), packer, at)


def _fortunes(stream: ByteStream, room: Room, *, offset: int, fortune: int) -> Iterator[tuple[bytes, int, Any, None]]:
    window, ended = b"", False
    while True:
        text, found, rest = window.partition(b"\\n%\\n")
        if not found and not ended:
            got = stream.read(1 << 16)
            window, ended = window + got, not got
            room.ask(len(window), f"fortune {fortune}")
            continue
        if text:
            begins, offset, fortune = offset, offset + len(text) + len(found), fortune + 1
            yield text, begins, {"offset": offset, "fortune": fortune}, None
        if not found:
            return
        window = rest
'''


def test_no_input_format_has_a_name_by_which_it_is_not_found() -> None:
    folder = ROOT / "preparation/reading"
    lost = [
        file.name for file in folder.glob("*.py") if file.read_text().count("\nKIND = ") and "_format" not in file.stem
    ]
    assert lost == []


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """A copy of the package, of links, to put a file into."""
    for folder, _, files in os.walk(ROOT):
        there = tmp_path / "scratch/oomguard" / Path(folder).relative_to(ROOT)
        there.mkdir(parents=True)
        for file in files:
            if not file.endswith(".pyc"):
                (there / file).symlink_to(Path(folder, file))
    return tmp_path / "scratch"


def run(scratch: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = f"import sys; sys.path.insert(0, {str(scratch)!r}); from oomguard.__main__ import main; main()"
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(scratch)}  # its helpers, too
    return subprocess.run(
        [sys.executable, "-P", "-c", code, *arguments],
        capture_output=True, text=True, check=False, cwd=scratch.parent, env=environment,
    )  # fmt: skip


@pytest.mark.slow
def test_a_killer_is_one_file(scratch: Path) -> None:
    (scratch / "oomguard/diagnosis/killers/bustd.py").write_text(KILLER)
    log = scratch.parent / "bustd.log"
    log.write_text("Nov 20 10:00:01 host-a bustd[812]: Killing python3, pid 4321, memory low\n")
    before = run(ROOT.parent, "diagnose", str(log)).stdout
    assert "killed by  bustd" not in before
    after = run(scratch, "diagnose", str(log)).stdout
    assert after.startswith("killed by  bustd, Nov 20 10:00:01: proved by the log; it ends the largest")
    assert "python3 (pid 4321)" in after


@pytest.mark.slow
def test_an_output_format_is_one_file(scratch: Path) -> None:
    (scratch / "oomguard/preparation/writing/formats/raw.py").write_text(FORMAT)
    (scratch.parent / "text.txt").write_text("Hello there.\n" * 100)
    assert "raw: tokens and nothing else" in " ".join(run(scratch, "prepare", "--help").stdout.split())
    done = run(scratch, "prepare", "text.txt", "--format", "raw", "--out", "made", "--val-fraction", "0")
    assert done.returncode == 0, done.stderr
    assert "od -An -tu2" in done.stdout
    assert (scratch.parent / "made/train.raw").stat().st_size == 2 * int(done.stdout.split("wrote")[1].split()[0])


@pytest.mark.slow
def test_an_input_format_is_one_file(scratch: Path) -> None:
    (scratch / "oomguard/preparation/reading/fortune_format.py").write_text(INPUT)
    fortunes = "\n%\n".join(f"You will meet {number} people.\nThen another." for number in range(3000))
    for name in ("a.fortune", "b"):
        (scratch.parent / name).write_text(fortunes)
    assert "fortune" in run(scratch, "prepare", "--help").stdout
    for given in (["a.fortune"], ["--input-format", "fortune", "b"]):
        done = run(scratch, "prepare", *given, "--format", "npy", "--out", f"of {given[-1]}", "--json", "--quiet")
        assert done.returncode == 0, done.stderr
        shards = json.loads(done.stdout)
        assert (shards["documents"], shards["input_bytes"]) == (3000, len(fortunes) - 2999 * len("\n%\n"))
    planned = run(scratch, "prepare", "--dry-run", "--json", "a.fortune", "--out", "other")
    assert json.loads(planned.stdout)["inputs"][0]["kind"] == "fortune"
