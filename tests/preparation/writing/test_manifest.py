"""The manifest: what is done survives, what was torn is dropped, what changed is refused with both values."""

import fcntl
import json
import os
from pathlib import Path

import pytest

from oomguard.errors import BadInput, Changed, InUse
from oomguard.preparation.writing.manifest import Manifest, Progress

HEADER = {
    "input": [{"path": "/a.txt", "bytes": 5}, {"path": "/b.txt", "bytes": 6}],
    "eot": "after",
    "val_fraction": None,
}
SHARD = {"path": "x_train_000001.npy", "split": "train", "tokens": 7, "sha256": "ab"}
CHECKPOINT = {"totals": {"tokens": 7, "input_bytes": 3}, "position": {"source": 0, "offset": 3}, "open": {}}


def begin(
    folder: Path,
    header: dict[str, object] | None = None,
    *,
    restart: bool = False,
    add: list[dict[str, object]] | None = None,
) -> Progress:
    manifest = Manifest(folder)
    try:
        progress = manifest.begin(header or HEADER, restart=restart)
        for line in add or []:
            manifest.append(**line)
        return progress
    finally:
        manifest.close()


def file_in(folder: Path) -> Path:
    return folder / ".oomguard" / "manifest.jsonl"


def test_what_was_done_is_there_the_next_time(tmp_path: Path) -> None:
    assert begin(tmp_path, add=[{"shard": SHARD}, {"checkpoint": CHECKPOINT}]) == Progress()
    assert begin(tmp_path, add=[{"result": {"tokens": 7}}]) == Progress(checkpoint=CHECKPOINT, shards=[SHARD])
    done = Progress(checkpoint=CHECKPOINT, shards=[SHARD], result={"tokens": 7})
    assert begin(tmp_path) == Manifest.peek(tmp_path / ".oomguard", HEADER) == done
    assert Manifest.peek(tmp_path / ".oomguard", {**HEADER, "eot": "none"}) == Progress()
    assert Manifest.peek(tmp_path / "nowhere", HEADER) == Progress()


def test_a_shard_behind_the_last_checkpoint_is_done_again(tmp_path: Path) -> None:
    """Its tokens are not in the position to go on from."""
    begin(tmp_path, add=[{"checkpoint": CHECKPOINT}, {"shard": SHARD}])
    assert begin(tmp_path) == Progress(checkpoint=CHECKPOINT)
    assert '"shard":' not in file_in(tmp_path).read_text()


def test_a_name_that_was_told_is_ours(tmp_path: Path) -> None:
    """Killed right after a shard got its name: --restart may take the file away, also after going on in between."""
    begin(tmp_path, add=[{"checkpoint": CHECKPOINT}, {"naming": "told.npy"}, {"shard": SHARD}])
    for _ in range(2):
        begin(tmp_path)
        manifest = Manifest(tmp_path)
        assert manifest.shard_names() == {"told.npy", SHARD["path"]}
        manifest.close()
    (tmp_path / "told.npy").write_text("x")
    begin(tmp_path, {"other": 1}, restart=True)
    assert not (tmp_path / "told.npy").exists()


@pytest.mark.parametrize(
    "torn",
    [b'{"checkpoint": {"totals', b'{"checkpoint": {}}', b"\0\0\0\0", b'{"shard"\n', b"\n\n", b"\xff\xfe\n", b"[1]\n"],
    ids=repr,
)
def test_a_torn_last_line_is_dropped(tmp_path: Path, torn: bytes) -> None:
    """As a power cut leaves it: half a line, zeros, or a line of something else; also at each of its bytes."""
    begin(tmp_path, add=[{"shard": SHARD}, {"checkpoint": CHECKPOINT}])
    with file_in(tmp_path).open("ab") as file:
        file.write(torn)
    expected = Progress(checkpoint=CHECKPOINT, shards=[SHARD])
    assert begin(tmp_path, add=[{"result": {"tokens": 7}}]) == expected
    assert begin(tmp_path).result == {"tokens": 7}


def test_cut_off_anywhere_it_is_what_the_whole_lines_say(tmp_path: Path) -> None:
    begin(tmp_path, add=[{"shard": SHARD}, {"checkpoint": CHECKPOINT}, {"result": {}}])
    content = file_in(tmp_path).read_bytes()
    first = content.index(b"\n") + 1
    for size in range(first, len(content)):
        file_in(tmp_path).write_bytes(content[:size])
        done = begin(tmp_path)
        lines = content[:size].count(b"\n")
        assert (done.checkpoint is not None, done.result is not None) == (lines >= 3, lines >= 4)


@pytest.mark.parametrize(
    ("change", "before", "now"),
    [
        ({"eot": "before"}, '"after"', '"before"'),
        ({"val_fraction": "0.1"}, "null", '"0.1"'),
        ({"input": [HEADER["input"][0], {"path": "/b.txt", "bytes": 9}]}, "6 bytes", "9 bytes"),
        ({"input": [HEADER["input"][0]]}, "/b.txt", "/a.txt (5 bytes)"),
        ({"new": 1}, "null", "1"),
    ],
    ids=str,
)
def test_a_change_is_refused_with_both_values(tmp_path: Path, change: dict[str, object], before: str, now: str) -> None:
    """And nothing that was done is lost by asking."""
    begin(tmp_path, add=[{"checkpoint": CHECKPOINT}])
    content = file_in(tmp_path).read_bytes()
    with pytest.raises(Changed) as caught:
        begin(tmp_path, {**HEADER, **change})
    assert next(iter(change)) in str(caught.value)
    shown_before, _, shown_now = str(caught.value).partition("and now it is")
    assert before in shown_before
    assert now in shown_now
    assert "--restart" in caught.value.do
    assert file_in(tmp_path).read_bytes() == content


def test_another_schema_is_refused(tmp_path: Path) -> None:
    begin(tmp_path)
    file_in(tmp_path).write_text(file_in(tmp_path).read_text().replace("manifest/1", "manifest/7"))
    with pytest.raises(Changed, match="manifest/7"):
        begin(tmp_path)


def test_restart_takes_away_what_was_made_here_and_nothing_else(tmp_path: Path) -> None:
    begin(tmp_path, add=[{"shard": SHARD}, {"shard": {**SHARD, "path": "../outside.npy"}}, {"checkpoint": CHECKPOINT}])
    ours, theirs, partial = (
        tmp_path / str(SHARD["path"]),
        tmp_path / "x_train_000009.npy",
        tmp_path / ".oomguard" / "t000002.partial",
    )
    outside = tmp_path.parent / "outside.npy"
    for file in (ours, theirs, partial, outside):
        file.write_text("x")
    assert begin(tmp_path, {"other": 1}, restart=True) == Progress()
    assert [file.exists() for file in (ours, theirs, partial, outside)] == [False, True, False, True]
    outside.unlink()
    assert begin(tmp_path, {"other": 1}) == Progress()


def test_the_second_run_is_refused_until_the_first_is_over(tmp_path: Path) -> None:
    first = Manifest(tmp_path)
    with pytest.raises(InUse, match="another") as caught:
        Manifest(tmp_path)
    assert "--out" in caught.value.do
    first.close()
    Manifest(tmp_path).close()


def test_a_killed_run_leaves_no_lock(tmp_path: Path) -> None:
    """The lock is the kernel's: it ends with the process, and the file that stays means nothing."""
    child = os.fork()
    if child == 0:
        Manifest(tmp_path)
        os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    assert (tmp_path / ".oomguard" / "lock").exists()
    Manifest(tmp_path).close()


def test_the_lock_is_not_inherited(tmp_path: Path) -> None:
    """A helper process that lives on a moment longer does not keep the next run out."""
    manifest = Manifest(tmp_path)
    assert fcntl.fcntl(manifest._lock, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    manifest.close()


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(BadInput, match="cannot write") as caught:
        Manifest(tmp_path / "file")
    assert "--out" in caught.value.do
    with pytest.raises(BadInput, match="cannot write"):
        Manifest(Path("/proc/nothing/here"))


def test_state_is_under_no_name_that_loaders_look_for(tmp_path: Path) -> None:
    """They list every file of the folder whose name contains "train" or "val", and some every .bin below it."""
    begin(tmp_path, add=[{"checkpoint": CHECKPOINT}])
    names = [path.name for path in tmp_path.rglob("*")]
    assert names
    assert [name for name in names if "train" in name or "val" in name or name.endswith((".bin", ".npy"))] == []


def test_lines_are_json_and_the_first_names_the_schema(tmp_path: Path) -> None:
    begin(tmp_path, add=[{"checkpoint": CHECKPOINT}])
    lines = [json.loads(line) for line in file_in(tmp_path).read_text().splitlines()]
    assert lines == [{"schema": "oomguard.manifest/1", **HEADER}, {"checkpoint": CHECKPOINT}]
