"""What is on disk is believed only where it was checked: damage ends in the same shards or in one clear error.

Said over the command alone: how the manifest and the shards are checked is for their own tests.
"""

import itertools
import json
import os
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.preparation.disturbing import sums_of
from tests.properties import some_of
from tests.running import kill_all, run_oomguard, started, wait_until

pytestmark = pytest.mark.slow  # whole runs
TEXT = " ".join(random.Random(3).choices(["one", "zwei", "trois\n\n", "четыре", "五", "6"], k=120_000))
COMMAND: tuple[str, ...] = (
    "prepare",
    "text.txt",
    "--out",
    "out",
    "--format",
    "npy",
    "--shard-tokens",
    "60000",
    "--separator",
    r"\n\n",
)
COMMAND += ("--workers", "1", "--quiet")


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a text, the shards it gives ("whole"), and a run over it that was killed half-way ("out")."""
    folder = tmp_path_factory.mktemp("begun")
    (folder / "text.txt").write_text(TEXT)
    assert run_oomguard(*COMMAND, "--out", "whole", cwd=folder).returncode == 0
    assert len(sums_of(folder / "whole")) >= 5
    for _ in range(10):  # where it was at that moment is a matter of luck
        with started(*COMMAND, "--verify", "full", cwd=folder, piece_bytes=1 << 14, checkpoint_seconds=0.01) as process:
            wait_until(lambda: is_half_way(folder / "out") or process.poll() is not None)
            kill_all(process)
        if is_half_way(folder / "out"):
            assert len(sums_of(folder / "out")) < len(sums_of(folder / "whole"))
            return folder
        shutil.rmtree(folder / "out")
    pytest.fail("no run could be killed half-way")


def is_half_way(out: Path) -> bool:
    """Whether its last checkpoint knows of two finished shards and of one that is open, which still has no name."""
    manifest = out / ".oomguard" / "manifest.jsonl"
    lines = manifest.read_bytes().splitlines() if manifest.exists() else []
    points = [number for number, line in enumerate(lines) if line.startswith(b'{"checkpoint"') and line.endswith(b"}")]
    if not points or b'{"result"' in lines[-1]:
        return False
    shards = [line for line in lines[: points[-1]] if line.startswith(b'{"shard"')]
    open_tokens = json.loads(lines[points[-1]])["checkpoint"]["open"].get("train", {"tokens": 0})["tokens"]
    return len(shards) >= 2 and open_tokens >= 10_000 and len(open_shards(out, 20_000)) == 1


def open_shards(out: Path, size: int) -> list[Path]:
    """The shards that have no name yet, of at least `size` bytes."""
    return [file for file in out.glob(".oomguard/*.partial") if file.stat().st_size >= size]


@pytest.fixture
def copied(begun: Path, tmp_path: Path) -> Path:
    """The same for one test alone, with all times kept; the text is the one that was read."""
    shutil.copytree(begun / "out", tmp_path / "out")
    os.link(begun / "text.txt", tmp_path / "text.txt")
    return tmp_path


def go_on(folder: Path, begun: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """The same command again; the text is where it was."""
    return run_oomguard(*COMMAND, "--out", str(folder / "out"), *more, cwd=begun)


def must_end_well(run: subprocess.CompletedProcess[str], folder: Path, begun: Path) -> bool:
    """Whether the shards are those of an undisturbed run; else there must be one error that names a way on."""
    assert "Traceback" not in run.stderr
    if run.returncode == 0:
        assert sums_of(folder / "out") == sums_of(begun / "whole")
        return True
    assert run.returncode == 1
    assert re.search(r"^error: .+\n  try: .+\n\Z", run.stderr, re.MULTILINE), run.stderr
    return False


def test_a_run_that_was_killed_is_gone_on_with(copied: Path, begun: Path) -> None:
    """Without damage, so that what follows is about the damage."""
    assert must_end_well(go_on(copied, begun), copied, begun)


def manifest_in(folder: Path) -> Path:
    return folder / "out" / ".oomguard" / "manifest.jsonl"


EDITS = [
    (b'"offset":', b'"offset":1'),
    (b'"offset":', b'"offset":-'),
    (b'"source":0', b'"source":1'),
    (b'"source":0', b'"source":-1'),
    (b'"source":0', b'"source":7'),
    (b'"position":{', b'"positiom":{'),
    (b'"tokens":', b'"tokens":2'),
    (b'"tokens":', b'"tokens":-'),
    (b'"tokens":', b'"tokens":1e400,"x":'),
    (b'"tokens":', b'"tokens":Infinity,"x":'),
    (b'"index":', b'"index":5'),
    (b'"open":{', b'"oben":{'),
    (b'"verified_bytes"', b'"verafied_bytes"'),
    (b'{"checkpoint":{', b'{"checkpoint":[1],"x":{'),
    (b'{"checkpoint":', b'{"checkpoint":' + b"[" * 100_000),
    (b'"errors":"strict"', b'"errors":"skip"'),
    (b'"sha256":"', b'"sha256":"0'),
    (b'"input_bytes":', b'"input_bytes":9'),
    (b'{"naming":"', b'{"naming":"../'),
    (b'"path":"', b'"path":5,"x":"'),
    (b'"changed":', b'"changed":1e30,"x":'),
    (b'"schema":"', b'"schema":"x'),
    (b'"split":"train"', b'"split":"val"'),
    (b"\n", b""),
    (b"\n", b"\n\n"),
    (b"}\n", b"}\n[1]\n"),
]


@pytest.mark.parametrize(
    ("old", "new", "where"),
    some_of([(*edit, where) for edit in EDITS for where in ("first", "last")], one_in=3),
    ids=lambda part: part[:40],
)
def test_an_edited_manifest(copied: Path, begun: Path, old: bytes, new: bytes, where: str) -> None:
    """Each field in turn, in the first and in the last line that has it."""
    file = manifest_in(copied)
    content = file.read_bytes()
    head, found, tail = content.partition(old) if where == "first" else content.rpartition(old)
    assert found
    file.write_bytes(head + new + tail)
    must_end_well(go_on(copied, begun), copied, begun)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(["bit", "cut", "zeros", "line gone", "line doubled"]), place=st.floats(0, 1, exclude_max=True)
)
def test_a_damaged_manifest(begun: Path, tmp_path: Path, kind: str, place: float) -> None:
    """Bits that flipped, an end that is missing, blocks of zeros, lines that are gone or there twice."""
    shutil.rmtree(tmp_path / "out", ignore_errors=True)
    shutil.copytree(begun / "out", tmp_path / "out")
    content = bytearray(manifest_in(tmp_path).read_bytes())
    lines = bytes(content).splitlines(keepends=True)
    at, line = int(place * len(content)), int(place * len(lines))
    match kind:
        case "bit":
            content[at] ^= 1 << at % 8
        case "cut":
            del content[at:]
        case "zeros":
            content[at : at + 512] = bytes(len(content[at : at + 512]))
        case "line gone":
            content = bytearray(b"".join(lines[:line] + lines[line + 1 :]))
        case _:
            content = bytearray(b"".join(lines[: line + 1] + lines[line:]))
    manifest_in(tmp_path).write_bytes(content)
    must_end_well(go_on(tmp_path, begun), tmp_path, begun)


def test_every_damaged_manifest_can_be_restarted(copied: Path, begun: Path) -> None:
    """The way on that the error names is one."""
    content = manifest_in(copied).read_bytes()
    manifest_in(copied).write_bytes(content.replace(b'"checkpoint"', b'"checkpoinD"', 1))
    refused = go_on(copied, begun)
    assert refused.returncode == 1
    assert "manifest.jsonl is damaged in line" in refused.stderr
    assert "--restart" in refused.stderr
    assert must_end_well(go_on(copied, begun, "--restart"), copied, begun)


@pytest.mark.parametrize("place", [0.3, 0.6, 0.9])
def test_what_was_done_before_a_damaged_line_is_gone_on_with(copied: Path, begun: Path, place: float) -> None:
    """A checkpoint in the middle, behind another one: its shards are not made anew, and the damage is told."""
    lines = manifest_in(copied).read_bytes().splitlines(keepends=True)
    points = [number for number, line in enumerate(lines) if line.startswith(b'{"checkpoint"')]
    damaged = points[1:-1][int(place * len(points[1:-1]))]
    lines[damaged] = lines[damaged].replace(b'"tokens"', b'"tokems"', 1)
    manifest_in(copied).write_bytes(b"".join(lines))
    run = go_on(copied, begun)
    assert must_end_well(run, copied, begun), run.stderr
    assert f"the manifest was damaged in line {damaged + 1}:" in " ".join(run.stdout.split())


@pytest.mark.parametrize("name", ["manifest.jsonl", "manifest.new", "t000002.partial"])
def test_a_pipe_in_the_place_of_a_file(copied: Path, begun: Path, name: str) -> None:
    """Nobody waits for its other end."""
    (copied / "out" / ".oomguard" / name).unlink(missing_ok=True)
    os.mkfifo(copied / "out" / ".oomguard" / name)
    must_end_well(go_on(copied, begun), copied, begun)


def test_a_manifest_of_0_1_0_is_not_believed(copied: Path, begun: Path) -> None:
    """Its lines had no checksums. What it calls its own, and is, --restart takes away."""
    lines = re.sub(rb',"crc32":"[0-9a-f]{8}"}\n', b"}\n", manifest_in(copied).read_bytes()).splitlines(keepends=True)
    lines[0] = lines[0].replace(b'{"schema":"oomguard.manifest/2"', b'{"schema": "oomguard.manifest/1"')
    lines = [re.sub(rb',"file":\[[0-9,]+\]', b"", line) for line in lines]
    manifest_in(copied).write_bytes(b"".join(lines))
    before = sums_of(copied / "out")
    refused = go_on(copied, begun)
    assert not must_end_well(refused, copied, begun)
    assert "of oomguard 0.1.0" in refused.stderr
    assert sums_of(copied / "out") == before
    (copied / "out" / "notes.txt").write_text("mine")
    with manifest_in(copied).open("ab") as file:
        file.write(b'{"naming":"notes.txt"}\n{"naming":"..","shard":{"path":"notes.txt"}}\n')
    done = go_on(copied, begun, "--restart")
    assert (copied / "out" / "notes.txt").read_text() == "mine"
    (copied / "out" / "notes.txt").unlink()
    assert must_end_well(done, copied, begun)


@pytest.mark.parametrize(
    ("which", "damage"),
    some_of(list(itertools.product(("finished", "open"), ("a bit", "zeros", "gone", "shorter", "longer", "a link"))), one_in=2),
)  # fmt: skip
def test_a_shard_that_is_not_as_it_was_left(copied: Path, begun: Path, which: str, damage: str) -> None:
    """Finished or not: no run goes on beside it, and --restart makes it anew."""
    out = copied / "out"
    file = min(out.glob("*.npy")) if which == "finished" else open_shards(out, 20_000)[0]
    content = bytearray(file.read_bytes())
    content[2000] ^= 1
    match damage:
        case "a bit":
            file.write_bytes(content)
        case "zeros":
            file.write_bytes(bytes(len(content)))
        case "gone":
            file.unlink()
        case "shorter":
            os.truncate(file, 3000)
        case "longer":
            with file.open("ab") as end:
                end.write(b"x" * 100)
        case _:
            file.rename(copied / "elsewhere")
            file.symlink_to(copied / "elsewhere")
    run = go_on(copied, begun)
    if which == "open" and damage == "longer":  # what is behind the last checkpoint is made again
        assert must_end_well(run, copied, begun)
    else:
        assert not must_end_well(run, copied, begun)
        assert file.name in run.stderr
        assert must_end_well(go_on(copied, begun, "--restart"), copied, begun)


def test_a_copy_of_the_whole_folder_is_gone_on_with(copied: Path, begun: Path) -> None:
    """Other inodes and times, the same bytes."""
    shutil.copytree(copied / "out", copied / "moved", copy_function=shutil.copyfile)
    shutil.rmtree(copied / "out")
    (copied / "moved").rename(copied / "out")
    assert must_end_well(go_on(copied, begun), copied, begun)


def flip_behind_the_file_systems_back(file: Path) -> None:
    """A changed byte with size and mtime kept; the ctime cannot be kept by anybody."""
    status = file.stat()
    content = bytearray(file.read_bytes())
    content[5000] ^= 1
    with file.open("r+b") as same:
        same.write(content)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_a_changed_byte_in_a_finished_set_is_not_shown_as_done(copied: Path, begun: Path) -> None:
    """Neither with the mtime kept."""
    assert must_end_well(go_on(copied, begun), copied, begun)
    flip_behind_the_file_systems_back(min((copied / "out").glob("*.npy")))
    refused = go_on(copied, begun)
    assert refused.returncode == 1
    assert "its sha256 differs" in refused.stderr
    assert must_end_well(go_on(copied, begun, "--restart"), copied, begun)


@pytest.mark.parametrize(
    ("name", "state"),
    some_of(list(itertools.product(
        ("edufineweb_train_000040.npy", "edufineweb_val_000003.npy"),
        ("killed", "no manifest", "empty manifest", "unreadable manifest", "no work", "done"),
    )), one_in=2),
)  # fmt: skip
def test_a_stray_shard_is_named_and_refused(copied: Path, begun: Path, state: str, name: str) -> None:
    """Whatever state the folder is in: a loader would read it, and no run overwrites it."""
    out = copied / "out"
    match state:
        case "no manifest":
            shutil.rmtree(out)
            out.mkdir()
        case "empty manifest" | "unreadable manifest":
            shutil.rmtree(out)
            (out / ".oomguard").mkdir(parents=True)
            manifest_in(copied).write_bytes(b"" if state == "empty manifest" else b"\xff\x00garbage")
        case "no work":
            shutil.rmtree(out)
            (begun / "bad.txt").write_bytes(b"abc\xff")
            assert run_oomguard("prepare", "bad.txt", "--out", str(out), "--format", "npy", cwd=begun).returncode == 1
        case "done":
            assert go_on(copied, begun).returncode == 0
    (out / name).write_text("mine")
    refused = go_on(copied, begun)
    assert refused.returncode == 1
    assert f"{name} is already there and was not made by this run" in refused.stderr
    assert (out / name).read_text() == "mine"
    (out / name).unlink()
    assert must_end_well(go_on(copied, begun), copied, begun)


def test_a_file_that_took_the_name_of_a_killed_runs_shard(tmp_path: Path) -> None:
    """The run goes on only once it is moved away; with --restart, too, it is left alone."""
    (tmp_path / "text.txt").write_text(TEXT)
    command = ("prepare", "text.txt", "--val-fraction", "0")
    with started(*command, "--verify", "full", cwd=tmp_path, piece_bytes=1 << 14, checkpoint_seconds=0.01) as process:
        wait_until(lambda: open_shards(tmp_path / "tokens", 50_000))
        kill_all(process)
    (tmp_path / "tokens" / "train.bin").write_text("mine")
    for more in ((), ("--restart",), ()):
        refused = run_oomguard(*command, *more, cwd=tmp_path)
        assert refused.returncode == 1
        assert "train.bin is already there and was not made by this run" in refused.stderr
        assert (tmp_path / "tokens" / "train.bin").read_text() == "mine"
    (tmp_path / "tokens" / "train.bin").unlink()
    assert run_oomguard(*command, cwd=tmp_path).returncode == 0
    assert run_oomguard(*command, "--out", "fresh", cwd=tmp_path).returncode == 0
    assert sums_of(tmp_path / "tokens") == sums_of(tmp_path / "fresh")
