"""What is told from a sample is true of the whole: text and tokens within the band, whatever the kind of file."""

import gzip
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oomguard.errors import BadInput, NothingFound
from oomguard.estimation.sample_files import write_sample
from oomguard.preparation.encoding.encodings import find_encoding
from oomguard.preparation.reading.corpus_sample import sample_corpus
from oomguard.preparation.reading.sample_windows import _blocks
from oomguard.preparation.reading.source import Source
from oomguard.preparation.reading.sources import find_sources
from tests.preparation.expecting import tokens_of

SPEC = find_encoding("gpt2")
WORDS = [
    "the",
    "river",
    "was",
    "wide",
    "and",
    "slow,",
    "nobody",
    "had",
    "crossed",
    "it",
    "since",
    "1893",
    "but",
    "birds",
]


@pytest.fixture(scope="module")
def documents() -> list[str]:
    """12 MB: long and short documents, some of other words, so that pieces differ."""
    rng = np.random.default_rng(7)
    made = []
    for number in range(6000):
        words = rng.choice(WORDS, int(rng.integers(20, 600)))
        made.append(" ".join(words) if number % 9 else " ".join(f"{word}{number}" for word in words))
    return made


@pytest.fixture(scope="module", params=["txt", "jsonl", "parquet", "txt.gz"])
def corpus(request: pytest.FixtureRequest, documents: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / f"corpus.{request.param}"
    if request.param == "parquet":
        pq.write_table(pa.table({"id": range(len(documents)), "text": documents}), path, row_group_size=500)
    elif request.param == "jsonl":
        path.write_text("".join(json.dumps({"n": 1, "text": document}) + "\n" for document in documents))
    elif request.param == "txt.gz":
        path.write_bytes(gzip.compress("\n\n".join(documents).encode(), compresslevel=1))
    else:
        path.write_text("\n\n".join(documents))
    return path


def sources_of(path: Path) -> Sequence[Source]:
    return find_sources([str(path)], folder=Path(), exclude=None)


def test_text_and_tokens_are_within_the_band(corpus: Path, documents: list[str]) -> None:
    texts = ["\n\n".join(documents)] if corpus.suffix in (".txt", ".gz") else documents
    text = sum(len(one.encode()) for one in texts)
    tokens = len(tokens_of(texts, eot="none"))
    sample = sample_corpus(sources_of(corpus), spec=SPEC)
    assert sample.text_bytes.low * 0.999 <= text <= sample.text_bytes.high * 1.001
    assert sample.tokens.low <= tokens <= sample.tokens.high
    assert sample.tokens.value == pytest.approx(tokens, rel=0.06)
    assert sample.documents == pytest.approx(len(documents), rel=0.15)


def test_a_part_to_try_is_of_the_same_kind_and_about_as_large_as_asked(corpus: Path, tmp_path: Path) -> None:
    made = write_sample(sources_of(corpus), tmp_path, fraction=0.25)
    assert [path.suffixes for path, _ in made] == [corpus.suffixes]
    whole = sample_corpus(sources_of(corpus), spec=SPEC)
    part = sample_corpus(sources_of(tmp_path), spec=SPEC)
    assert part.text_bytes.value == pytest.approx(whole.text_bytes.value / 4, rel=0.3)
    assert part.bytes_per_token == pytest.approx(whole.bytes_per_token, rel=0.1)


def test_a_wide_character_anywhere_in_the_sample_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("plain text " * 2000 + "\U0001f642" + " more" * 2000)
    sample = sample_corpus(sources_of(path), spec=SPEC)
    assert sample.shape.widest == 4
    assert sample.widest_character == "\U0001f642"


@pytest.mark.parametrize("content", [b"", b"\n", b"{}\n" * 10, b"not json\n" * 10])
def test_a_file_without_text_is_said_to_have_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    with pytest.raises(NothingFound):
        sample_corpus(sources_of(path), spec=SPEC)


def test_damaged_text_is_looked_at_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xff\xfe broken \xf0\x9f\x99" * 50_000)
    assert sample_corpus(sources_of(path), spec=SPEC).tokens.value > 0


# A corpus that is too large to be read whole, in each format, is told from windows. Its truth is counted here.
LARGE = 26_000_000


@pytest.fixture(scope="module", params=["by length", "one huge", "two languages"])
def skewed(request: pytest.FixtureRequest, documents: list[str]) -> list[str]:
    several = documents * (LARGE // sum(map(len, documents)) + 1)
    if request.param == "by length":
        return sorted(several, key=len)
    if request.param == "one huge":
        return [*several[: len(several) // 2], " ".join(several[len(several) // 2 :])]
    return [*several[: len(several) // 2], *("好的。这是另一种语言。" * 60 for _ in range(8000))]


@pytest.fixture(scope="module")
def tokens_in_one_text(skewed: list[str]) -> int:
    return len(tokens_of(["\n\n".join(skewed)], eot="none"))


@pytest.fixture(scope="module")
def tokens_with_ends(skewed: list[str]) -> int:
    """Each document is tokenized once: most of them stand there several times."""
    each = {text: len(tokens_of([text], eot="none")) for text in set(skewed)}
    return sum(each[text] + 1 for text in skewed)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["txt", "jsonl", "parquet", "jsonl.gz"])
def test_the_band_of_a_skewed_corpus_holds_the_truth(
    kind: str, skewed: list[str], tokens_in_one_text: int, tokens_with_ends: int, tmp_path: Path
) -> None:
    path = tmp_path / f"corpus.{kind}"
    if kind == "parquet":
        pq.write_table(pa.table({"text": skewed}), path)  # one row group, as pq makes it of so few rows
    elif kind == "txt":
        path.write_text("\n\n".join(skewed))
    else:
        lines = "".join(json.dumps({"text": document}, ensure_ascii=False) + "\n" for document in skewed).encode()
        path.write_bytes(lines if kind == "jsonl" else gzip.compress(lines, compresslevel=1))
    truth = tokens_in_one_text if kind == "txt" else tokens_with_ends
    sample = sample_corpus(sources_of(path), spec=SPEC, strict=True)
    found = sample.tokens_with_ends
    assert found.low <= truth <= found.high
    assert found.low < found.value < found.high  # a sample is never sure
    assert (found.high - found.low) / 2 < 0.05 * truth
    if kind in ("txt", "parquet"):
        size = sum(len(one.encode()) for one in skewed) if kind == "parquet" else path.stat().st_size
        assert sample.text_bytes.value == pytest.approx(size, rel=0.001)


@pytest.mark.parametrize("ending", ["", "\n", "<|>"])
@pytest.mark.parametrize("kind", ["txt", "txt.gz", "jsonl", "parquet"])
def test_a_small_corpus_is_counted(kind: str, ending: str, tmp_path: Path) -> None:
    """Each document and its end, as prepare writes them; a separator at the very end begins no document."""
    texts = ["one two", "", "你好世界" * 50, "three \U0001f642"]
    path = tmp_path / f"a.{kind}"
    if kind == "parquet":
        pq.write_table(pa.table({"text": texts}), path)
    elif kind == "jsonl":
        path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    else:
        joined = ("<|>".join(texts) + ending).encode()
        path.write_bytes(gzip.compress(joined) if kind.endswith("gz") else joined)
        texts = texts if ending != "\n" else [*texts[:-1], texts[-1] + "\n"]
    found = sample_corpus(sources_of(path), spec=SPEC, separator=b"<|>", strict=True).tokens_with_ends
    assert found.low == found.value == found.high == len(tokens_of(texts, eot="none")) + len(texts)


def test_standard_input_cannot_be_sampled() -> None:
    with pytest.raises(BadInput, match="read only once"):
        sample_corpus(find_sources(["-"], folder=Path(), exclude=None), spec=SPEC)


@pytest.mark.parametrize("members", [1, 2])
def test_a_gzip_file_ends_with_its_size_which_may_be_that_of_its_last_member(
    members: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first half repeats itself and is compressed a hundred times better than the rest, of which nothing is read."""
    monkeypatch.setattr("oomguard.preparation.reading.sample_windows._WHOLE", 1 << 19)
    monkeypatch.setattr("oomguard.preparation.reading.sample_windows._STREAMED", {"gz": 1 << 20})
    words = " ".join(np.random.default_rng(3).choice(WORDS, 400_000))
    text = (words[:5000] + "\n") * 300 + words
    parts = [text] if members == 1 else [text[:1_800_000], text[1_800_000:]]
    path = tmp_path / "in.txt.gz"
    path.write_bytes(b"".join(gzip.compress(part.encode(), compresslevel=1) for part in parts))
    sample = sample_corpus(sources_of(path), spec=SPEC)
    size, tokens = len(text), len(tokens_of([text], eot="none"))
    assert sample.text_bytes.low <= size <= sample.text_bytes.high
    assert sample.tokens.low <= tokens <= sample.tokens.high
    if members == 1:
        assert sample.text_bytes.value == pytest.approx(size, rel=0.02)
        assert sample.tokens.value == pytest.approx(tokens, rel=0.05)


class Pieces:
    """A stream of these pieces, one at each read."""

    def __init__(self, *pieces: bytes) -> None:
        self._left = list(pieces)

    def read(self, _: int) -> bytes:
        return self._left.pop(0) if self._left else b""


@pytest.mark.parametrize("lines", [False, True])
def test_blocks_are_all_of_a_stream_and_of_lines_whole_ones(lines: bool) -> None:
    pieces = [b"a\nb", b"b", b"c\n", b"\nd\ne", b"f"]
    found: list[tuple[bytes, int]] = list(_blocks(Pieces(*pieces), 1 << 20, 4, lines=lines))  # type: ignore[arg-type]
    assert b"".join(block for block, _ in found) == b"".join(pieces)
    assert [at for _, at in found] == [sum(len(block) for block, _ in found[:n]) for n in range(len(found))]
    assert not lines or [block for block, _ in found] == [b"a\n", b"bbc\n", b"\nd\n", b"ef"]


def test_a_long_line_is_put_together_once() -> None:
    """64 MB in 2,000 pieces: to add each to those before would copy 64 GB."""
    began = time.process_time()
    ((block, _),) = _blocks(Pieces(*[b"x" * 32_000] * 2000), 1 << 30, 1, lines=True)  # type: ignore[arg-type]
    assert len(block) == 64_000_000
    assert time.process_time() - began < 10
