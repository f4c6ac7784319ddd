"""The corpus generator and what the comparison rests on; from the sample that every Python brings."""

from __future__ import annotations

import re
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import pytest

from benchmarks import corpus, sample
from benchmarks.reference import documents, pieces  # type: ignore[attr-defined]  # one of the rivals' own
from benchmarks.rivals.token_stream import stream_sha256

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _without_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OOMGUARD_DATA", raising=False)


@pytest.mark.parametrize("kind", ["text", "random-words"])
def test_the_same_seed_makes_the_same_bytes_and_another_others(tmp_path: Path, kind: str) -> None:
    """A result can be repeated elsewhere only if its input can."""
    made = [
        corpus.make(tmp_path / str(number), size=1_200_000, kind=kind, seed=seed)
        for number, seed in enumerate((1, 1, 2))
    ]
    assert made[0]["sha256"] == made[1]["sha256"] != made[2]["sha256"]
    assert 0.99 * 1_200_000 < (tmp_path / "0").stat().st_size <= 1_200_000


def test_no_newline_is_the_text_in_one_line(tmp_path: Path) -> None:
    """Nothing but the newlines differs."""
    for kind in ("text", "no-newline"):
        corpus.make(tmp_path / kind, size=700_000, kind=kind, seed=1)
    assert (tmp_path / "no-newline").read_bytes() == (tmp_path / "text").read_bytes().replace(b"\n", b" ")


def test_the_vocabulary_grows_by_the_law() -> None:
    """Counted anew, in text six times the sample: within a tenth of Heaps' law; repetition gives 0.4 of it."""
    found = sample.distinct_documents(sample.load_documents()[1])
    growth = sample.measure_growth(found)
    text = corpus.Text(found, growth, size=6 * growth.size, seed=1)
    words: Counter[str] = Counter()
    for block in corpus.cut_to(text.blocks(), 6 * growth.size):
        words.update(sample.PRETOKEN.findall(block.decode()))
    assert len(words) == pytest.approx(growth.distinct_at(6 * growth.size), rel=0.1)
    novel = [words[word.decode()] for each in text.novel.values() for word in each._words[: each.count].tolist()]
    assert max(novel) > 10, "a novel word must return"
    assert 0.3 < np.mean(np.array(novel) == 1) < 0.8, "and most of the tail must not"


def test_random_words_are_as_promised() -> None:
    """Lower-case letters, one space between, mean length 7."""
    text = b"".join(islice(corpus.random_words(1), 2)).decode()
    assert re.fullmatch(r"([a-z]+ )+", text)
    assert np.mean([len(word) for word in text.split()]) == pytest.approx(7, rel=0.02)


def test_parallel_readers_see_each_document_once(tmp_path: Path) -> None:
    """Wherever the file is divided, even inside a separator."""
    source = tmp_path / "text"
    source.write_bytes(b"one\n\ntwo\nstill two\n\n\xc3\xa9\n\n\n\nlast")
    whole = list(documents(str(source)))
    assert whole == ["one", "two\nstill two", "é", "last"]
    for middle in range(1, source.stat().st_size):
        assert [*documents(str(source), 0, middle), *documents(str(source), middle)] == whole


def test_pieces_join_to_the_whole(tmp_path: Path) -> None:
    """Nothing is lost at the cuts, and each is before whitespace and after a letter or digit."""
    source = tmp_path / "text"
    corpus.make(source, size=300_000, kind="text", seed=1)
    parts = list(pieces(str(source), 10_000))
    assert b"".join(parts) == source.read_bytes()
    assert len(parts) > 20
    assert all(part[-1:].isalnum() for part in parts[:-1])
    assert all(part[:1].isspace() for part in parts[1:])


def test_end_of_text_before_or_after_is_the_same_answer(tmp_path: Path) -> None:
    """Formats and the place of end-of-text do not count; the ids and the number of documents do."""
    before = np.array([50256, 1, 2, 50256, 3], np.uint16)
    after = np.array([1, 2, 50256, 3, 50256], np.uint16)
    header = np.zeros(256, np.int32)
    header[:3] = (20240520, 1, before.size)
    np.save(tmp_path / "a.npy", before)
    after.tofile(tmp_path / "b.bin")
    (tmp_path / "c.bin").write_bytes(header.tobytes() + before.tobytes())
    answers = [stream_sha256([tmp_path / name]) for name in ("a.npy", "b.bin", "c.bin")]
    assert answers[0] == answers[1] == answers[2]
    assert (answers[0]["text_tokens"], answers[0]["ends_of_text"]) == (3, 2)
    before[1] = 9
    before.tofile(tmp_path / "d.bin")
    assert stream_sha256([tmp_path / "d.bin"]) != answers[0]
