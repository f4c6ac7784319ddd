"""Bad input: an error that names the place and what to do, or the documented policy; nothing lost, and it goes on."""

import gzip
import json
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.preparation.expecting import documents_of, last_checkpoint, read_tokens, tokens_of
from tests.properties import some_of
from tests.running import started

pytestmark = pytest.mark.slow  # whole runs

Run = Callable[..., subprocess.CompletedProcess[str]]
MIB = 1 << 20


def words(size: int) -> str:
    chance = random.Random(9)
    line = " ".join(chance.choices(["a", "word", "weiß", "字", "1775", "don't"], k=3000)) + "\n"
    return (line * (size // len(line) + 1))[:size]


@pytest.mark.parametrize(
    ("place", "bad"),
    [(0, b"\xff"), (1, b"\xe4\xb8"), (700_000, b"\xed\xa0\x80"), (700_000, b"\xe4\xb8"), (-1, b"\xe4\xb8")],
)
def test_invalid_utf8_is_named_by_file_byte_and_document(oomguard: Run, tmp_path: Path, place: int, bad: bytes) -> None:
    """The byte is the one that Python's own decoder names, however far into the file."""
    raw = ("ab\n--\n" * 3).encode() + words(600_000).encode()
    place = place % (len(raw) + 1) if place >= 0 else len(raw)
    while place < len(raw) and raw[place] & 0xC0 == 0x80:
        place += 1
    raw = raw[:place] + bad + raw[place:]
    (tmp_path / "text.txt").write_bytes(raw)
    with pytest.raises(UnicodeDecodeError) as caught:
        raw.decode()
    expected = caught.value.start
    refused = oomguard("prepare", "text.txt", "--separator", r"\n--\n", "--val-fraction", "0")
    assert refused.returncode == 1
    document = raw[:expected].count(b"\n--\n") + 1
    assert f"error: text.txt: byte {expected} (document {document}): not UTF-8" in refused.stderr
    assert "--errors replace" in refused.stderr
    assert not (tmp_path / "tokens" / "train.bin").exists()


@pytest.mark.parametrize(("errors", "python"), [("replace", "replace"), ("skip", "ignore")])
def test_after_a_strict_failure_another_policy_goes_on(oomguard: Run, tmp_path: Path, errors: str, python: str) -> None:
    """As the error says: what came before is kept, and the end is that of a run with this policy from the start."""
    raw = words(400_000).encode() + b"\xff\xfe" + words(100_000).encode() + b"\xe5" + words(1000).encode()
    (tmp_path / "text.txt").write_bytes(raw)
    with started("prepare", "text.txt", "--val-fraction", "0", cwd=tmp_path, piece_bytes=1 << 15) as run:
        run.communicate(timeout=60)
    assert run.returncode == 1
    assert last_checkpoint(tmp_path / "tokens")["totals"]["input_bytes"] > 300_000
    done = oomguard("prepare", "text.txt", "--val-fraction", "0", "--errors", errors, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["repaired_bytes"] == 3
    assert read_tokens(tmp_path / "tokens" / "train.bin") == tokens_of([raw.decode(errors=python)])
    assert "resuming after" in done.stderr


def test_a_policy_that_has_changed_bytes_is_not_mixed_with_another(oomguard: Run, tmp_path: Path) -> None:
    """First `skip` up to where something else stops it; then `replace` would give shards of both."""
    (tmp_path / "a.txt").write_bytes(b"one \xff two")
    (tmp_path / "b.jsonl").write_text('{"text": "good"}\n{"other": 1}\n')
    first = oomguard("prepare", "a.txt", "b.jsonl", "--val-fraction", "0", "--errors", "replace")
    assert first.returncode == 1, first.stdout
    assert "b.jsonl" in first.stderr
    second = oomguard("prepare", "a.txt", "b.jsonl", "--val-fraction", "0", "--errors", "skip")
    assert second.returncode == 1
    assert "--errors replace, and now it is skip" in second.stderr
    third = oomguard("prepare", "a.txt", "b.jsonl", "--val-fraction", "0", "--errors", "skip", "--restart", "--json")
    assert third.returncode == 0, third.stderr
    assert json.loads(third.stdout)["left_out"] == 1
    assert read_tokens(tmp_path / "tokens" / "train.bin") == tokens_of(["one  two", "good"])


def test_a_character_at_the_edge_of_pieces_is_whole(tmp_path: Path) -> None:
    """Texts of nothing but long characters, with a space now and then, in pieces of every alignment."""
    texts = ["x" * shift + (character * 500 + " ") * 40 for character in "é字😀" for shift in range(4)]
    for number, text in enumerate(texts):
        (tmp_path / f"{number}.txt").write_text(text)
    with started("prepare", "--val-fraction", "0", cwd=tmp_path, piece_bytes=1001) as run:
        _, said = run.communicate(timeout=60)
    assert run.returncode == 0, said
    assert read_tokens(tmp_path / "tokens" / "train.bin") == tokens_of(texts)


CONTENTS = {
    "": [],
    "==": [""],
    "====": ["", ""],
    "=====": ["", "", "="],
    "a====b": ["a", "", "b"],
    "==a": ["", "a"],
    "a==": ["a"],
    "a===": ["a", "="],
    "\0==\0\0": ["\0", "\0\0"],
    "\ufeffa==\ufeff": ["\ufeffa", "\ufeff"],
    " ==\n==\t": [" ", "\n", "\t"],
}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
def test_empty_documents_and_odd_ones(oomguard: Run, tmp_path: Path, packed: bool) -> None:
    """An empty document is one end-of-text, as the anchors write it; an empty file has no document at all."""
    for number, (content, documents) in enumerate(CONTENTS.items()):
        assert documents == documents_of(content, "==")
        raw = content.encode()
        file = tmp_path / (f"{number}.txt.gz" if packed else f"{number}.txt")
        file.write_bytes(gzip.compress(raw) if packed else raw)
    done = oomguard("prepare", "--separator", "==", "--val-fraction", "0", "--json")
    assert done.returncode == 0, done.stderr
    expected = [document for documents in CONTENTS.values() for document in documents]
    assert read_tokens(tmp_path / "tokens" / "train.bin") == tokens_of(expected)
    assert json.loads(done.stdout)["documents"] == len(expected)


def test_nothing_but_empty_files_is_said(oomguard: Run, tmp_path: Path) -> None:
    """No shard, and no invitation to train on it."""
    (tmp_path / "a.txt").write_text("")
    (tmp_path / "b.jsonl").write_text("")
    done = oomguard("prepare")
    assert "Traceback" not in done.stderr
    assert list((tmp_path / "tokens").glob("*.bin")) == []
    if done.returncode == 0:
        assert "0 tokens" in done.stdout
        assert "train.py" not in done.stdout
    else:
        assert "error: " in done.stderr


def test_missing_files_and_folders_without_corpus(oomguard: Run, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes.md").write_text("no corpus")
    (tmp_path / "near.txt").write_text("hello")
    for inputs, what in [
        (["nowhere.txt"], "nowhere.txt"),
        (["folder"], "folder"),
        (["*.parquet"], "*.parquet"),
        (["near.txt", "nowhere"], "nowhere"),
    ]:
        refused = oomguard("prepare", *inputs)
        assert refused.returncode == 1
        assert refused.stderr.startswith("error: ")
        assert what in refused.stderr
        assert "\n  try: " in refused.stderr
        assert not (tmp_path / "tokens").exists()
    assert "near.txt" in oomguard("prepare", "nowhere.txt").stderr


def test_without_input_the_corpus_files_here_are_listed_first(oomguard: Run, tmp_path: Path) -> None:
    """In natural order; hidden ones, other files, and folders are passed over."""
    for name in ("part10.txt", "part2.txt", ".hidden.txt", "notes.md"):
        (tmp_path / name).write_text(f"in {name}")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "deep.txt").write_text("deep")
    done = oomguard("prepare", "--val-fraction", "0")
    assert done.returncode == 0, done.stderr
    listed = [line.split()[1] for line in done.stderr.splitlines() if line.startswith("reading ")]
    assert listed == ["part2.txt", "part10.txt"]
    assert read_tokens(tmp_path / "tokens" / "train.bin") == tokens_of(["in part2.txt", "in part10.txt"])


@pytest.mark.parametrize("name", some_of(["text.txt", "text.txt.gz", "text.jsonl"], one_in=3))
def test_a_word_that_cannot_be_cut_is_named_with_the_memory_it_needs(oomguard: Run, tmp_path: Path, name: str) -> None:
    """What came before it is kept; with the budget that the error names it is encoded."""
    before, word = words(400_000), "a" * (3 * MIB)
    if name.endswith(".jsonl"):
        (tmp_path / name).write_text("".join(json.dumps({"text": text}) + "\n" for text in (before, word, "after")))
    else:
        (tmp_path / "text.txt").write_text(f"{before} {word} after")
    if name.endswith(".gz"):
        subprocess.run(["gzip", str(tmp_path / "text.txt")], check=True)
    options = ("prepare", name, "--val-fraction", "0", "--verify", "off")
    refused = oomguard("run", "--max-rss", "170M", *options)
    assert refused.returncode == 1, refused.stdout
    assert "Traceback" not in refused.stderr
    assert f"error: {name}:" in refused.stderr
    assert ": a word within " in " ".join(refused.stderr.split()) or ": a document of " in " ".join(
        refused.stderr.split()
    )
    assert "--max-rss" in refused.stderr
    done = oomguard("run", "--max-rss", "600M", *options, "--json")
    assert done.returncode == 0, done.stderr
    tokens = read_tokens(tmp_path / "tokens" / "train.bin")
    expected = [before, word, "after"] if name.endswith(".jsonl") else [f"{before} {word} after"]
    assert tokens == tokens_of(expected)


def test_names_that_would_steer_a_terminal_are_shown_escaped(oomguard: Run, tmp_path: Path) -> None:
    """In every message that quotes a file, a folder, or what is in them."""
    escape = "\x1b[2J\x1b]0;owned\x07"
    bad, lines = f"bad{escape}.txt", f"lines{escape}.jsonl"
    (tmp_path / bad).write_bytes(b"\xff")
    (tmp_path / lines).write_text('{"\x7f\u001b[31mother": 1}\n'.replace("\x1b", "\\u001b"))
    (tmp_path / f"out{escape}").mkdir()
    (tmp_path / f"out{escape}" / "train.bin").write_text("mine")
    (tmp_path / f"file{escape}").write_text("no folder")
    for arguments in (
        [bad], [lines], [f"nowhere{escape}"], [lines, bad, "--errors", "replace"], [bad, bad], [bad, "--text-field", escape, lines],
        [bad, "--out", f"out{escape}", "--errors", "skip"], [bad, "--out", f"file{escape}"], [bad, "--format", escape], [bad, "--encoding", escape],
        [bad, "--val-fraction", escape], [bad, "--name", escape, "--format", "npy"], [bad, "--eot", escape],
    ):  # fmt: skip
        run = oomguard("prepare", *arguments)
        wrong_choice = arguments[-2:-1] in (["--format"], ["--encoding"], ["--eot"]) and arguments[-1] == escape
        assert run.returncode == (2 if wrong_choice else 1), arguments
        assert "\x1b" not in run.stdout + run.stderr, arguments
        assert "\x07" not in run.stdout + run.stderr, arguments


def test_a_file_name_that_is_no_utf8(oomguard: Run, tmp_path: Path) -> None:
    """Old archives hold them; they can be read, resumed, and shown."""
    name = b"caf\xe9.txt".decode(errors="surrogateescape")
    (tmp_path / name).write_text("hello")
    done = oomguard("prepare", name, "--val-fraction", "0", "--json")
    assert done.returncode == 0, done.stderr
    assert read_tokens(tmp_path / "tokens" / "train.bin") == tokens_of(["hello"])
    again = oomguard("prepare", ".", "--val-fraction", "0", "--json")
    assert json.loads(again.stdout)["already_done"] is True
