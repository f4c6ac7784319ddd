"""gigatoken and tiktoken behind one interface give the same ids: those of `encode_ordinary`."""

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oomguard.preparation.encoding.encodings import find_encoding, find_rank_file
from oomguard.preparation.encoding.tokenizers import (
    Engine,
    EngineCannotEncode,
    GigatokenEngine,
    TiktokenEngine,
    make_engine,
)
from tests.preparation.expecting import SEPARATORS, hostile_text, tokens_of
from tests.properties import examples
from tests.reference import encoding_of

NAMES = ["gpt2", "p50k_base", "cl100k_base", "o200k_base"]


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    encoding_of(find_encoding(request.param).name)  # skips where its ranks are not on this machine
    return str(request.param)


def engine_of(kind: type, name: str, mark: str = "") -> Engine:
    spec = find_encoding(name)
    return kind(spec, find_rank_file(spec), mark=mark.encode())


@pytest.mark.parametrize("kind", [GigatokenEngine, TiktokenEngine])
def test_ids_are_those_of_encode_ordinary(name: str, kind: type) -> None:
    engine = engine_of(kind, name)
    for seed in range(30):
        text = hostile_text(seed, 200)
        assert engine.encode(text.encode()).tolist() == tokens_of([text], encoding=name, eot="none")


@pytest.mark.parametrize("mark", [*SEPARATORS, "\ufdd0secret\ufdd1"])
def test_each_mark_is_one_end_of_text(name: str, mark: str) -> None:
    """Documents are those of `str.split`, so marks that overlap are taken from the left; other specials are text."""
    check_marks(engine_of(GigatokenEngine, name, mark), name, mark)


@pytest.mark.parametrize("mark", SEPARATORS)
def test_each_mark_is_one_end_of_text_for_tiktoken(mark: str) -> None:
    check_marks(engine_of(TiktokenEngine, "gpt2", mark), "gpt2", mark)


def check_marks(engine: Engine, name: str, mark: str) -> None:
    for seed in range(10):
        text = hostile_text(seed, 30) + mark[0] + mark + mark + mark[1:] + "<|endoftext|" + hostile_text(seed, 5) + mark
        expected = tokens_of(text.split(mark), encoding=name, eot="before")[1:]
        assert engine.encode(text.encode()).tolist() == expected
    assert engine.encode(b"").tolist() == []
    assert engine.encode(mark.encode()).tolist() == [find_encoding(name).eot]


def test_special_tokens_of_the_encoding_are_text(name: str) -> None:
    """A document cannot forge a boundary, or anything else."""
    text = "a<|endoftext|>b<|fim_prefix|><|endofprompt|><|im_start|>"
    ids = engine_of(GigatokenEngine, name).encode(text.encode()).tolist()
    assert find_encoding(name).eot not in ids
    assert ids == tokens_of([text], encoding=name, eot="none")


def test_the_word_that_fills_the_gap_of_p50k_is_in_no_text() -> None:
    """gigatoken refuses a rank file with a gap, so there is a word in it; its id means end-of-text."""
    encoding_of("p50k_base")
    ids = engine_of(GigatokenEngine, "p50k_base").encode(b"a1 a1a1 xa1 a 1 A1").tolist()
    assert 50256 not in ids
    assert ids == tokens_of(["a1 a1a1 xa1 a 1 A1"], encoding="p50k_base", eot="none")


def test_renewing_changes_no_id() -> None:
    engine = engine_of(GigatokenEngine, "gpt2")
    text = hostile_text(1, 500).encode()
    before = engine.encode(text)
    engine.renew()
    assert np.array_equal(engine.encode(text), before)


def test_a_million_spaces_stop_tiktoken_and_nothing_else() -> None:
    """tiktoken's regular expression overflows its stack, with an exception that is no Exception."""
    text = b" " * 1_000_000 + b"x"
    with pytest.raises(EngineCannotEncode):
        engine_of(TiktokenEngine, "gpt2").encode(text)
    ids = engine_of(GigatokenEngine, "gpt2").encode(text)
    words = [encoding_of("r50k_base").decode_single_token_bytes(int(token)) for token in ids]
    assert b"".join(words) == text


@pytest.fixture(scope="module")
def gpt2() -> Engine:
    return engine_of(GigatokenEngine, "gpt2")


@examples(300)
@given(
    space=st.lists(st.sampled_from([" ", "\n", "\t", "\u3000", "\r"]), max_size=40).map("".join),
    after=st.sampled_from(["", "x", "1", "."]),
)
def test_white_space_runs_before_everything(gpt2: Engine, space: str, after: str) -> None:
    """Where the pattern's look-ahead decides."""
    text = f"a{space}{after}"
    assert gpt2.encode(text.encode()).tolist() == tokens_of([text], eot="none")


def test_without_gigatoken_tiktoken_does_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gigatoken", None)
    spec = find_encoding("gpt2")
    engine = make_engine(spec, find_rank_file(spec), mark=b"aa")
    assert isinstance(engine, TiktokenEngine)
    assert engine.encode(b"xaay").tolist() == tokens_of(["x", "y"])[:-1]
