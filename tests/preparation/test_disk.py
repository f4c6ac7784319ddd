"""A disk that is full or may not be written, and an input that changes under the run."""

import gzip
import hashlib
import json
import os
import random
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oomguard.preparation.writing.manifest import Manifest
from oomguard.units import format_size
from tests.preparation.expecting import read_tokens, tokens_of
from tests.running import children_of, run_oomguard, started, wait_until

pytestmark = pytest.mark.slow  # whole runs

MIB = 1 << 20
TEXT = " ".join(random.Random(3).choices(["one", "zwei", "trois\n\n", "четыре", "五", "6"], k=700_000))
FORMATS = {
    "nanogpt": ("--separator", r"\n\n", "--val-fraction", "0.3"),
    "llmc": ("--format", "llmc", "--shard-tokens", "30000"),
}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], object]]:
    """A file system of its own at "out"; gives a function that mounts it again with other options."""
    out = tmp_path / "out"
    out.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(out)], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(
            f"may not mount a small file system: {mounted.stderr.strip()}; run the tests as root to turn this on"
        )
    yield lambda options: subprocess.run(["mount", "-o", f"remount,{options}", str(out)], check=True)
    subprocess.run(["umount", "-l", str(out)], check=True)


def sums_of(folder: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir() if file.is_file()}


@pytest.mark.parametrize("kind", FORMATS)
def test_a_full_disk_is_an_error_and_with_more_room_it_goes_on(
    tmp_path: Path, small_disk: Callable[[str], object], kind: str
) -> None:
    """Nothing is lost or doubled, however often it fills up."""
    (tmp_path / "text.txt").write_text(TEXT)
    assert run_oomguard("prepare", "text.txt", *FORMATS[kind], "--out", "whole", cwd=tmp_path).returncode == 0
    needs = sum(file.stat().st_size for file in (tmp_path / "whole").iterdir() if file.is_file())
    assert needs > 2 * MIB
    kept = []
    for size in ("1m", "1500k", "2m"):
        small_disk(f"size={size}")
        # Pieces so small that the disk fills up after many of them.
        with started(
            "prepare",
            "text.txt",
            *FORMATS[kind],
            "--out",
            "out",
            cwd=tmp_path,
            piece_bytes=1 << 15,
            checkpoint_seconds=0.02,
        ) as run:
            _, said = run.communicate(timeout=60)
        assert run.returncode == 1
        assert "No space left on device" in said
        assert "same command again" in said
        assert "Traceback" not in said
        shown = run_oomguard("prepare", "text.txt", *FORMATS[kind], "--out", "out", "--dry-run", "--json", cwd=tmp_path)
        kept.append(json.loads(shown.stdout)["done_bytes"])
    assert kept == sorted(kept)
    assert kept[-1] > kept[0] > 0
    small_disk("size=20m")
    done = run_oomguard("prepare", "text.txt", *FORMATS[kind], "--out", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sums_of(tmp_path / "out") == sums_of(tmp_path / "whole")


@pytest.mark.parametrize(("text", "said"), [(TEXT, "disk of out is too small"), ("五。" * 99999, "No space left")])
def test_a_disk_that_is_full_from_the_start(
    tmp_path: Path, small_disk: Callable[[str], object], text: str, said: str
) -> None:
    """Not even the manifest fits. Of a text without words it is not known before how much it takes."""
    (tmp_path / "out" / "fills").write_bytes(b"x" * (MIB - 12 * 1024))
    (tmp_path / "text.txt").write_text(text)
    run = run_oomguard("prepare", "text.txt", "--out", "out", cwd=tmp_path)
    assert run.returncode == 1
    assert said in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("name", ["words.txt", "words.jsonl"])
def test_a_disk_that_is_too_small_is_refused_before_anything_is_written(
    tmp_path: Path, small_disk: Callable[[str], object], name: str
) -> None:
    """With both numbers, also by --dry-run; with room for it the same command runs, and shards that are there count."""
    words = " ".join(random.Random(3).choices(["alpha", "beta", "gamma", "delta"], k=1_000_000))
    lines = "".join(json.dumps({"text": words[at : at + 9999]}) + "\n" for at in range(0, len(words), 9999))
    (tmp_path / name).write_text(words if name == "words.txt" else lines)
    refused = run_oomguard("prepare", name, "--out", "out/set", cwd=tmp_path)
    assert refused.returncode == 1
    found = re.search(
        r"need more than (\d\.\d) MiB, and there is room for (1\.0 MiB|1\d{3} KiB|9\d\d KiB)", refused.stderr
    )
    assert found, refused.stderr
    assert not list((tmp_path / "out").iterdir())
    dry = run_oomguard("prepare", name, "--out", "out/set", "--dry-run", "--json", cwd=tmp_path)
    planned = json.loads(dry.stdout)
    assert (dry.returncode, planned["is_possible"]) == (1, False)
    small_disk("size=6m")
    done = run_oomguard("prepare", name, "--out", "out/set", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    made = sum(file.stat().st_size for file in (tmp_path / "out" / "set").glob("*.bin"))
    assert planned["free_disk_bytes"] < planned["least_output_bytes"] <= made
    with (tmp_path / "out" / "rest").open("wb") as rest:
        rest.truncate(0)
        rest.write(bytes(6 * MIB - made - MIB // 2))
    again = run_oomguard("prepare", name, "--out", "out/set", "--json", cwd=tmp_path)
    assert json.loads(again.stdout)["already_done"]
    assert run_oomguard("prepare", name, "--out", "out/set", "--restart", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize("name", ["words.jsonl.gz", "words.parquet"])
def test_where_it_is_not_known_whether_the_disk_is_large_enough_it_is_said(
    tmp_path: Path, small_disk: Callable[[str], object], name: str
) -> None:
    """And where it is too small, the same command resumes with more room."""
    documents = [" ".join(random.Random(number).choices(["alpha", "beta", "六"], k=4000)) for number in range(200)]
    if name.endswith("gz"):
        lines = "".join(json.dumps({"text": document}) + "\n" for document in documents)
        (tmp_path / name).write_bytes(gzip.compress(lines.encode(), 1))
    else:
        pq.write_table(pa.table({"text": documents}), tmp_path / name)
    command = ("prepare", name, "--out", "out/set", "--val-fraction", "0")
    dry = run_oomguard(*command, "--dry-run", "--json", cwd=tmp_path)
    assert any("is not known before the input is read" in note for note in json.loads(dry.stdout)["notes"])
    refused = run_oomguard(*command, cwd=tmp_path)
    assert refused.returncode == 1
    assert "No space left" in refused.stderr
    likely = r" \(about [1-9][.0-9]* [MK]iB, by the files' footers\)" if name.endswith("parquet") else ""
    assert re.search(
        f"is not known before the input is read{likely}, and 1.0 MiB is free", " ".join(refused.stderr.split())
    )
    small_disk("size=64m")
    done = run_oomguard(*command, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "not known before" not in done.stderr
    assert read_tokens(tmp_path / "out" / "set" / "train.bin") == tokens_of(documents)


@pytest.mark.parametrize("spare", [0.4, 1.2, 1.7])
def test_a_disk_that_fills_up_while_documents_are_shuffled(
    tmp_path: Path, small_disk: Callable[[str], object], spare: float
) -> None:
    """In the first half or in the second: it is said, and with more room the same command gives the same bytes."""
    lines = [json.dumps({"text": f"{number} {TEXT[number * 500 :][:2000]}"}) + "\n" for number in range(3000)]
    (tmp_path / "a.jsonl").write_text("".join(lines))
    command = ("prepare", "a.jsonl", "--shuffle", "7", "--val-fraction", "0.1", "--out")
    assert run_oomguard(*command, "whole", cwd=tmp_path).returncode == 0
    whole = sums_of(tmp_path / "whole")
    needs = sum(file.stat().st_size for file in (tmp_path / "whole").iterdir() if file.is_file())
    small_disk(f"size={int(needs * spare)}")
    (tmp_path / "out" / "fills").write_bytes(bytes(needs // 4))  # as others may
    done = run_oomguard(*command, "out/set", cwd=tmp_path)
    if done.returncode:
        assert "No space left" in done.stderr or "is too small" in done.stderr
        assert "Traceback" not in done.stderr
        small_disk(f"size={3 * needs}")
        done = run_oomguard(*command, "out/set", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sums_of(tmp_path / "out" / "set") == whole
    assert not (tmp_path / "out" / "set" / ".oomguard" / "spool").exists()


def test_a_disk_that_is_read_only(tmp_path: Path, small_disk: Callable[[str], object]) -> None:
    small_disk("ro")
    (tmp_path / "text.txt").write_text("hello")
    run = run_oomguard("prepare", "text.txt", "--out", "out", cwd=tmp_path)
    assert run.returncode == 1
    assert "error: cannot write in the output folder" in run.stderr
    assert "Read-only file system" in run.stderr
    assert "try: " in run.stderr


def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    """Root may write everywhere, so that somebody else has to try."""
    (tmp_path / "text.txt").write_text("hello")
    if os.geteuid() == 0:
        run = run_oomguard("prepare", "text.txt", "--out", "/proc/sys/kernel", cwd=tmp_path)
    else:
        (tmp_path / "out").mkdir(mode=0o555)
        run = run_oomguard("prepare", "text.txt", "--out", "out", cwd=tmp_path)
    assert run.returncode == 1
    assert "error: cannot write in the output folder" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("end", [1, 200_000, 3_000_000])
def test_a_file_that_becomes_shorter_while_it_is_read(tmp_path: Path, end: int) -> None:
    """Said as it is; if anything was done with the longer file, what is left of it is refused the next time."""
    file = tmp_path / "text.txt"
    file.write_text(TEXT)
    size = file.stat().st_size
    with started(
        "prepare",
        "text.txt",
        "--out",
        "out",
        "--val-fraction",
        "0",
        "--workers",
        "1",
        cwd=tmp_path,
        piece_bytes=1 << 16,
    ) as run:
        wait_until(lambda: children_of(run) and (tmp_path / "out").exists())
        os.truncate(file, end)
        _, said = run.communicate(timeout=60)
    assert run.returncode == 1
    assert "text.txt" in said
    assert "became shorter" in said
    assert "Traceback" not in said
    done = Manifest.peek(tmp_path / "out" / ".oomguard").checkpoint
    again = run_oomguard("prepare", "text.txt", "--out", "out", "--val-fraction", "0", cwd=tmp_path)
    if done is None or not done["totals"]["input_bytes"]:
        assert again.returncode == 0, again.stderr  # nothing of the longer file is in the shards
        assert (tmp_path / "out" / "train.bin").exists()
        return
    assert again.returncode == 1
    assert format_size(size) in again.stderr
    assert format_size(end) in again.stderr


def test_a_file_that_grows_while_it_is_read(tmp_path: Path) -> None:
    """Shards are never made of two versions of a file."""
    file = tmp_path / "text.txt"
    file.write_text(TEXT)
    second = file.stat().st_mtime_ns // 10**9 * 10**9
    os.utime(file, ns=(second, second))
    size = file.stat().st_size
    with started(
        "prepare", "text.txt", "--out", "out", "--val-fraction", "0", "--json", cwd=tmp_path, piece_bytes=1 << 16
    ) as run:
        wait_until(lambda: children_of(run) and (tmp_path / "out").exists())
        with file.open("a") as more:
            more.write("and more")
        _, said = run.communicate(timeout=60)
    assert run.returncode == 1
    assert "text.txt was changed while it was read" in said
    assert f"{size:,} bytes" in said
    assert not (tmp_path / "out" / "train.bin").exists()
    os.utime(file, ns=(second + 1, second + 1))  # in one second and rounded, both look the same: told to the byte
    again = run_oomguard("prepare", "text.txt", "--out", "out", "--val-fraction", "0", cwd=tmp_path)
    assert again.returncode == 1
    assert f"{size + 8:,} bytes" in again.stderr


def test_a_file_that_is_removed_while_it_is_read(tmp_path: Path) -> None:
    """An open file lives on for who has it open; an encoder that opens it later says that it is gone."""
    (tmp_path / "text.txt").write_text(TEXT)
    with started(
        "prepare", "text.txt", "--out", "out", "--val-fraction", "0", cwd=tmp_path, piece_bytes=1 << 16
    ) as run:
        wait_until(lambda: (tmp_path / "out").exists())
        (tmp_path / "text.txt").unlink()
        _, said = run.communicate(timeout=60)
    assert "Traceback" not in said
    assert run.returncode == 0 or (run.returncode == 1 and "text.txt" in said and "No such file" in said)
