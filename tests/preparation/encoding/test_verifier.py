"""tiktoken over gigatoken's shoulder: an engine that gives another id is caught, and none that does not."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oomguard.preparation.encoding import piece_encoder
from oomguard.preparation.encoding.encodings import find_encoding, find_rank_file
from oomguard.preparation.encoding.piece_encoder import PieceEncoder
from oomguard.preparation.encoding.tokenizers import Engine, make_engine
from oomguard.preparation.encoding.verifier import EngineDiffers, Verifier
from oomguard.preparation.engines.messages import EncoderConfig, EncodeTask, Verify
from oomguard.preparation.engines.slots import SlotLayout, Slots
from tests.properties import examples

SPEC = find_encoding("gpt2")
ENGINE = make_engine(SPEC, find_rank_file(SPEC), mark=b"")
LAYOUT = SlotLayout(longest_piece=1 << 16, token_bytes=2, slots=1)
SLOTS = Slots(LAYOUT)


def config_of(verify: Verify) -> EncoderConfig:
    return EncoderConfig(
        encoding="gpt2", rank_file=str(find_rank_file(SPEC)), mark="", eot="after", newlines="bytes", errors="strict",
        with_ends=False, verify=verify, learn=1 << 30, growth=1 << 30, longest_word=1 << 16, longest_piece=LAYOUT.longest_piece, slots=1, slots_fd=SLOTS.fd,
    )  # fmt: skip


FULL = Verifier(config_of("full"), SPEC, b"")


class Falsified:
    """An engine that gives one wrong id in its n-th answer."""

    def __init__(self, engine: Engine, wrong: int) -> None:
        self.engine, self.wrong, self.calls = engine, wrong, 0

    def encode(self, text: bytes) -> npt.NDArray[np.uint32]:
        tokens = self.engine.encode(text)
        if self.calls == self.wrong and len(tokens):
            tokens[len(tokens) // 2] ^= 1
        self.calls += 1
        return tokens

    def renew(self) -> None:
        self.engine.renew()


@examples(200)
@given(
    parts=st.lists(st.text(st.sampled_from("ab 1.\n"), min_size=1, max_size=30), min_size=1, max_size=5),
    wrong=st.integers(0, 4),
    how=st.sampled_from(["change", "drop", "double"]),
)
def test_full_catches_every_wrong_id(parts: list[str], wrong: int, how: str) -> None:
    """In whichever stretch it is; and it says nothing against right ones."""
    verifier = FULL
    verifier._first = None
    stretches = [f"{part}." for part in parts if (part + ".").strip()]
    stretches = [" x" + stretch for stretch in stretches]
    right = [ENGINE.encode(stretch.encode()) for stretch in stretches]
    for stretch, tokens in zip(stretches, right, strict=True):
        verifier.look_at(stretch.encode(), tokens)
    verifier.finish_piece()
    wrong = min(wrong, len(right) - 1)
    first, rest = right[wrong][:1], right[wrong][1:]
    right[wrong] = {
        "change": np.concatenate([first ^ 1, rest]),
        "drop": rest,
        "double": np.concatenate([first, first, rest]),
    }[how]
    with pytest.raises(EngineDiffers):
        for stretch, tokens in zip(stretches, right, strict=True):
            verifier.look_at(stretch.encode(), tokens)
        verifier.finish_piece()
        raise AssertionError("not caught")


def test_a_wrong_cut_is_caught() -> None:
    """Two right encodings that are not the encoding of the whole: the reference sees neighbours at once."""
    verifier = Verifier(config_of("full"), SPEC, b"")
    verifier.look_at(b"hello wor", ENGINE.encode(b"hello wor"))
    with pytest.raises(EngineDiffers, match="gigatoken .* tiktoken"):
        verifier.look_at(b"ld", ENGINE.encode(b"ld"))


def test_off_looks_at_nothing() -> None:
    verifier = Verifier(config_of("off"), SPEC, b"")
    verifier.look_at(b"hello", np.array([1, 2, 3], np.uint32))
    verifier.finish_piece()
    assert not verifier.is_due()
    assert verifier.counts() == (0, 0)


def test_a_sample_costs_a_hundredth(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the clock: what it spent stays near that share of the time."""
    now = [0.0]
    monkeypatch.setattr("oomguard.preparation.encoding.verifier.time.monotonic", lambda: now[0])
    verifier = Verifier(config_of("sample"), SPEC, b"")
    monkeypatch.setattr(verifier, "_compare", lambda *_: now.__setitem__(0, now[0] + 0.5))
    seen = 0
    for _ in range(10_000):
        now[0] += 0.1
        if verifier.is_due():
            seen += 1
        verifier.look_at(b"text", np.array([1], np.uint32))
    assert verifier._spent == pytest.approx(0.01 * now[0], rel=0.1)
    assert 30 < seen < 60


def test_sample_copies_what_it_keeps() -> None:
    """The caller's array may be a view into memory that is used again."""
    verifier = Verifier(config_of("full"), SPEC, b"")
    tokens = ENGINE.encode(b"one two")
    verifier.look_at(b"one two", tokens)
    tokens[:] = 0
    verifier.finish_piece()
    assert verifier.counts() == (1, 7)


@pytest.mark.parametrize("verify", ["full", "sample"])
@pytest.mark.parametrize("wrong", [0, 1])
def test_a_falsified_engine_stops_the_encoder(monkeypatch: pytest.MonkeyPatch, verify: Verify, wrong: int) -> None:
    """The answer says what differs and where; no token of it is used."""
    monkeypatch.setattr(piece_encoder, "make_engine", lambda *_, **__: Falsified(ENGINE, wrong))
    monkeypatch.setattr(piece_encoder, "PROBE_BYTES", 300)
    monkeypatch.setattr(piece_encoder, "_STRETCH", 300)
    text = b"It was a dark and stormy night. " * 30
    SLOTS.text(0, len(text))[:] = text
    task = EncodeTask(slot=0, size=len(text), starts_document=True, ends_document=True)
    answer = PieceEncoder(config_of(verify)).encode(task)
    assert answer.error == "differs"
    assert 0 <= answer.error_at < len(text)
    assert "tiktoken" in answer.error_text
    assert PieceEncoder(replace(config_of("off"))).encode(task).error is None


def test_text_that_stops_tiktoken_is_not_compared() -> None:
    """It says so by not counting it."""
    verifier = Verifier(config_of("full"), SPEC, b"")
    text = b" " * 1_000_000 + b"x"
    verifier.look_at(text, ENGINE.encode(text))
    verifier.finish_piece()
    assert verifier.counts() == (0, 0)
