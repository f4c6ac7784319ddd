"""The manifest: what is done survives, what was torn is dropped, what changed is refused with both values."""

import errno
import fcntl
import json
import os
import random
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oomguard.errors import BadInput, Changed, InUse
from oomguard.preparation.writing.manifest import SCHEMA, Manifest, Progress
from oomguard.preparation.writing.manifest_lines import DamagedLine, decode_lines, encode_line

HEADER: dict[str, Any] = {
    "input": [{"path": "/a.txt", "bytes": 5}, {"path": "/b.txt", "bytes": 6}],
    "eot": "after",
    "val_fraction": None,
}
SHARD: Any = {"path": "x_train_000001.npy", "split": "train", "tokens": 7, "sha256": "ab" * 32}
FILE: Any = [1, 2, 3]  # inode, mtime and ctime of a file
CHECKPOINT: Any = {"totals": {"tokens": 7, "input_bytes": 3}, "position": {"source": 0, "offset": 3}, "open": {}}


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
    assert begin(tmp_path, add=[{"shard": SHARD, "file": FILE}, {"checkpoint": CHECKPOINT}]) == Progress()
    assert begin(tmp_path, add=[{"result": {"tokens": 7}}]) == Progress(
        checkpoint=CHECKPOINT, shards=[SHARD], files={SHARD["path"]: FILE}
    )
    done = Progress(checkpoint=CHECKPOINT, shards=[SHARD], files={SHARD["path"]: FILE}, result={"tokens": 7})
    assert begin(tmp_path) == Manifest.peek(tmp_path / ".oomguard", HEADER) == done
    assert Manifest.peek(tmp_path / ".oomguard", {**HEADER, "eot": "none"}) == Progress()
    assert Manifest.peek(tmp_path / "nowhere", HEADER) == Progress()


def test_a_shard_behind_the_last_checkpoint_is_done_again(tmp_path: Path) -> None:
    """Its tokens are not in the position to go on from."""
    begin(tmp_path, add=[{"checkpoint": CHECKPOINT}, {"shard": SHARD, "file": FILE}])
    assert begin(tmp_path) == Progress(checkpoint=CHECKPOINT)
    assert '"shard":' not in file_in(tmp_path).read_text()


def test_a_name_that_was_told_is_ours(tmp_path: Path) -> None:
    """Killed right after a shard got its name: --restart may take the file away, also after going on in between."""
    told: Any = {"naming": "told_train_000001.npy", "sha256": "cd" * 32}
    begin(tmp_path, add=[{"checkpoint": CHECKPOINT}, told, {"shard": SHARD, "file": FILE}])
    for _ in range(2):
        assert begin(tmp_path).told == {told["naming"]: [told["sha256"]]}
    (tmp_path / told["naming"]).write_text("x")
    begin(tmp_path, {"other": 1}, restart=True)
    assert not (tmp_path / told["naming"]).exists()


@pytest.mark.parametrize(
    "torn",
    [b'{"checkpoint": {"totals', b'{"checkpoint": {}}\n', b"\0\0\0\0", b'{"shard"\n', b"\n\n", b"\xff\xfe\n", b"[1]\n"],
    ids=repr,
)
def test_a_torn_last_line_is_dropped(tmp_path: Path, torn: bytes) -> None:
    """As a power cut leaves it: half a line, zeros, or a line of something else; also at each of its bytes."""
    begin(tmp_path, add=[{"shard": SHARD, "file": FILE}, {"checkpoint": CHECKPOINT}])
    with file_in(tmp_path).open("ab") as file:
        file.write(torn)
    expected = Progress(checkpoint=CHECKPOINT, shards=[SHARD], files={SHARD["path"]: FILE})
    assert begin(tmp_path, add=[{"result": {"tokens": 7}}]) == expected
    assert begin(tmp_path).result == {"tokens": 7}


def test_cut_off_anywhere_it_is_what_the_whole_lines_say(tmp_path: Path) -> None:
    begin(tmp_path, add=[{"shard": SHARD, "file": FILE}, {"checkpoint": CHECKPOINT}, {"result": {}}])
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
        ({"input": [HEADER["input"][0], {"path": "/b.txt", "bytes": 9}]}, "(6 B)", "(9 B)"),
        ({"input": [HEADER["input"][0]]}, "/b.txt", "/a.txt (5 B)"),
        ({"new": 1}, "null", "1"),
    ],
    ids=str,
)
def test_a_change_is_refused_with_both_values(tmp_path: Path, change: dict[str, object], before: str, now: str) -> None:
    """And nothing that was done is lost by asking."""
    begin(tmp_path, add=[{"checkpoint": {**CHECKPOINT, "position": {"source": 2}}}])
    content = file_in(tmp_path).read_bytes()
    with pytest.raises(Changed) as caught:
        begin(tmp_path, {**HEADER, **change})
    assert next(iter(change)) in str(caught.value)
    shown_before, _, shown_now = str(caught.value).partition("and now it is")
    assert before in shown_before
    assert now in shown_now
    assert "--restart" in caught.value.do
    assert file_in(tmp_path).read_bytes() == content


def test_files_that_look_the_same_are_told_apart_to_the_byte(tmp_path: Path) -> None:
    """Otherwise the line is short: "/a.txt (191 MiB)"."""
    file = {"path": "/a.txt", "bytes": 200_000_000, "changed": 1_795_891_596_436_440_000}
    begin(tmp_path, {**HEADER, "input": [file]}, add=[{"checkpoint": {**CHECKPOINT, "position": {"source": 1}}}])
    with pytest.raises(Changed, match=r"was /a.txt \(191 MiB\), and now it is /a.txt \(190 MiB\)"):
        begin(tmp_path, {**HEADER, "input": [{**file, "bytes": 199_000_000}]})
    with pytest.raises(Changed, match=r"200,000,000 bytes.*:36\.436440\), and now it is .*200,000,001 bytes"):
        begin(tmp_path, {**HEADER, "input": [{**file, "bytes": 200_000_001}]})


def test_of_an_input_whose_size_does_not_count_none_is_shown(tmp_path: Path) -> None:
    """Standard input has none, and that of a file under way may change."""
    position = {"source": 0, "resume": {}}
    begin(tmp_path, add=[{"checkpoint": {**CHECKPOINT, "position": position}}])
    with pytest.raises(Changed) as caught:
        begin(tmp_path, {**HEADER, "input": [{"path": "-", "bytes": None}, HEADER["input"][1]]})
    assert "input was /a.txt, and now it is -" in str(caught.value)


@pytest.mark.parametrize(
    "inputs",
    [
        [HEADER["input"][0], {"path": "/b.txt", "bytes": 9}],
        [HEADER["input"][0]],
        [HEADER["input"][0], HEADER["input"][1], {"path": "/c.txt", "bytes": 1}],
        [HEADER["input"][0], {"path": "/other.txt", "bytes": 9}],
    ],
)
def test_inputs_that_were_not_begun_may_be_others(tmp_path: Path, inputs: list[dict[str, object]]) -> None:
    point = {**CHECKPOINT, "position": {"source": 1}}
    begin(tmp_path, add=[{"checkpoint": point}])
    assert begin(tmp_path, {**HEADER, "input": inputs}).checkpoint == point
    assert begin(tmp_path, {**HEADER, "input": inputs}).inputs == inputs


def test_another_schema_is_refused(tmp_path: Path) -> None:
    """As a later oomguard may leave it."""
    begin(tmp_path, add=[{"checkpoint": CHECKPOINT}])
    _, point = decode_lines(file_in(tmp_path).read_bytes())
    lines = [{"schema": "oomguard.manifest/7", **HEADER}, point]
    file_in(tmp_path).write_bytes(b"".join(encode_line(line, number) for number, line in enumerate(lines)))
    with pytest.raises(Changed, match="manifest/7"):
        begin(tmp_path)


def test_restart_takes_away_what_was_made_here_and_nothing_else(tmp_path: Path) -> None:
    begin(tmp_path, add=[{"shard": SHARD, "file": FILE}, {"checkpoint": CHECKPOINT}])
    ours, theirs, partial = (
        tmp_path / str(SHARD["path"]),
        tmp_path / "x_train_000009.npy",
        tmp_path / ".oomguard" / "t000002.partial",
    )
    for file in (ours, theirs, partial):
        file.write_text("x")
    assert begin(tmp_path, {"other": 1}, restart=True) == Progress()
    assert [file.exists() for file in (ours, theirs, partial)] == [False, True, False]
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


def test_lines_are_json_with_a_checksum_and_the_first_names_the_schema(tmp_path: Path) -> None:
    """So that other programs can read them; each checksum is that of the line as it would be without it."""
    begin(tmp_path, add=[{"checkpoint": CHECKPOINT}])
    for number, raw in enumerate(file_in(tmp_path).read_bytes().splitlines()):
        line = json.loads(raw)
        assert line.pop("crc32") == f"{zlib.crc32(raw.rpartition(b',')[0], number):08x}"
        assert line == [{"schema": "oomguard.manifest/2", **HEADER}, {"checkpoint": CHECKPOINT}][number]


@pytest.mark.parametrize("flipped", range(8))
def test_a_bit_flipped_anywhere_is_seen(tmp_path: Path, flipped: int) -> None:
    """In the last line it is as if that line had not been written; before it, the manifest is refused."""
    begin(tmp_path, add=[{"shard": SHARD, "file": FILE}, {"checkpoint": CHECKPOINT}, {"result": {}}])
    whole = file_in(tmp_path).read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << flipped
        file_in(tmp_path).write_bytes(damaged)
        try:
            done = Manifest.peek(tmp_path / ".oomguard")
        except Changed as refusal:
            assert at < last or damaged[at] == ord("\n")
            assert "is damaged in line" in str(refusal)
        else:
            assert at >= last - 1
            assert done.result is None


@given(st.lists(st.sampled_from(["drop", "double", "swap"]), min_size=1, max_size=4), st.randoms())
def test_lines_that_were_moved_are_seen(edits: list[str], chance: random.Random) -> None:
    """Each line knows its place: what is left is the lines from the first on, or nothing that is believed."""
    lines: list[dict[str, object]] = [{"schema": SCHEMA, **HEADER}, {"shard": SHARD, "file": FILE}]
    lines += [{"checkpoint": {**CHECKPOINT, "number": number}} for number in range(4)]
    raw = [encode_line(line, number) for number, line in enumerate(lines)]
    for edit in edits:
        at = chance.randrange(len(raw) - 1)
        raw[at : at + 2] = {
            "drop": raw[at : at + 1],
            "double": [raw[at], *raw[at : at + 2]],
            "swap": raw[at + 1 : at - 1 if at else None : -1],
        }[edit]
        if len(raw) < 2:
            break
    try:
        assert lines[: len(read := decode_lines(b"".join(raw)))] == read
    except DamagedLine:
        assert raw != [encode_line(line, number) for number, line in enumerate(lines)]


@pytest.mark.parametrize(
    "line",
    [
        {"naming": "notes.txt", "sha256": "ab" * 32},
        {"naming": "../x_train_000001.npy", "sha256": "ab" * 32},
        {"naming": ["train.bin"], "sha256": "ab" * 32},
        {"naming": "train.bin"},
        {"naming": "a\0b_train_000001.npy", "sha256": "ab" * 32},
        {"shard": {**SHARD, "path": "/etc/passwd"}, "file": FILE},
        {"shard": {**SHARD, "path": 5}, "file": FILE},
        {"shard": {**SHARD, "tokens": True}, "file": FILE},
        {"shard": {**SHARD, "more": 1}, "file": FILE},
        {"shard": SHARD, "file": [1, 2]},
        {"checkpoint": [1]},
        {"checkpoint": {}, "result": {}},
        {"other": {}},
    ],
    ids=str,
)
def test_a_line_that_is_none_is_refused_and_restart_takes_no_file_of_others(
    tmp_path: Path, line: dict[str, object]
) -> None:
    """However well its checksum was made."""
    begin(tmp_path)
    header = file_in(tmp_path).read_bytes()
    file_in(tmp_path).write_bytes(header + encode_line(line, 1) + encode_line({"checkpoint": CHECKPOINT}, 2))
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(Changed, match="is damaged in line 2"):
        begin(tmp_path)
    begin(tmp_path, restart=True)
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("name", ["manifest.jsonl", "manifest.new"])
def test_a_pipe_in_the_place_of_a_file_keeps_nobody_waiting(tmp_path: Path, name: str) -> None:
    """Opened to be read or written it would wait for another process."""
    (tmp_path / ".oomguard").mkdir()
    os.mkfifo(tmp_path / ".oomguard" / name)
    if name == "manifest.jsonl":
        with pytest.raises(Changed, match="is not a regular file"):
            begin(tmp_path)
        begin(tmp_path, restart=True)
    assert begin(tmp_path) == Progress()


def test_what_stands_in_the_place_of_the_lock_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".oomguard").mkdir()
    (tmp_path / "foreign").write_text("kept")
    for plant in (lambda lock: os.mkfifo(lock), lambda lock: lock.symlink_to("../foreign"), lambda lock: lock.mkdir()):
        plant(tmp_path / ".oomguard/lock")
        with pytest.raises(BadInput, match="cannot write in the output folder"):
            Manifest(tmp_path)
        (tmp_path / ".oomguard/lock").rename(tmp_path / f"away{len(list(tmp_path.iterdir()))}")
    assert (tmp_path / "foreign").read_text() == "kept"


def test_after_a_write_that_failed_nothing_is_added(tmp_path: Path) -> None:
    """The kernel says once that it could not write; what comes after would be believed."""
    manifest = Manifest(tmp_path)
    manifest.begin(HEADER, restart=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fdatasync", refuse)
        with pytest.raises(BadInput, match="Input/output error"):
            manifest.append(checkpoint=CHECKPOINT)
    size = file_in(tmp_path).stat().st_size
    with pytest.raises(BadInput, match="could not be written before"):
        manifest.append(checkpoint=CHECKPOINT)
    assert file_in(tmp_path).stat().st_size == size
    manifest.close()


def refuse(_: int) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_a_file_system_without_locks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NFS without its lock service gives ENOLCK; no descriptor is left."""

    def flock(*_: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(BadInput, match="cannot be locked.*No locks available") as caught:
        Manifest(tmp_path)
    assert "local_lock=flock" in caught.value.do
    assert len(os.listdir("/proc/self/fd")) == before
