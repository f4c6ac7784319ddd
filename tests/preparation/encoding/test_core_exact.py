"""The core gives tiktoken's tokens, on every tier, however the text is cut and however small the buffers are."""

import platform
import random
import re
from array import array
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from oomguard.preparation.encoding.bytes_core import utf8_prefix
from oomguard.preparation.encoding.native import (
    SCRATCH_PER_BYTE,
    SLACK_TOKENS,
    Encoder,
    Status,
    Tier,
    available_tiers,
)
from tests.preparation.encoding.core_texts import (
    NAMES,
    data_folder,
    encoder_of,
    expected,
    hostile,
    rank_file,
    surroundings,
    tiers,
    vocabulary_of,
)
from tests.properties import share_of

if TYPE_CHECKING:
    from collections.abc import Callable

SCRATCH = bytearray(SCRATCH_PER_BYTE << 20)


def in_windows(encoder: Encoder, text: bytes, *, window: int, room: int) -> list[int]:
    """Encode as a stream: copies of exactly the window's size, a longer one where nothing could be done with it."""
    tokens: list[int] = []
    at, size = 0, window
    out = array("H" if encoder.token_bytes == 2 else "I", bytes(room * encoder.token_bytes))
    while True:
        piece = text[at : at + size]
        last = at + len(piece) == len(text)
        done = encoder.encode(piece, out, last=last, scratch=SCRATCH)
        tokens += out[: done.tokens]
        at += done.consumed
        if done.status is Status.FULL and done.consumed == 0:
            out.extend(out)  # the next word alone needs more room
        elif done.status is Status.DONE:
            if last:
                return tokens
            size = window if done.consumed else 2 * size
        else:
            assert done.status is Status.FULL, done


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("tier", tiers())
def test_hostile_strings_whole_and_in_windows(name: str, tier: Tier) -> None:
    rng = random.Random(f"{name}{tier}")
    encoder, text_room = encoder_of(name, tier=tier), SLACK_TOKENS + 70
    for _ in range(500):
        text = hostile(rng)
        want = expected(name, text)
        assert list(encoder.encode_whole(text.encode())) == want, repr(text)
        window = rng.choice((1, 7, 16, 64, 90, 200))
        assert in_windows(encoder, text.encode(), window=window, room=text_room) == want, (window, text)


def test_scratch_without_a_byte_may_be_anywhere_and_other_is_aligned() -> None:
    """An empty bytearray is at an odd address on CPython 3.13; what is written as numbers must not be."""
    encoder, odd = encoder_of("r50k"), memoryview(bytearray(65))[1:]
    tokens = array("H", bytes(2 * (SLACK_TOKENS + 5)))
    assert encoder.encode(b"hello", tokens, scratch=odd[:0]).status is Status.DONE
    assert encoder.encode(b"", tokens, scratch=odd[:0]).status is Status.DONE
    with pytest.raises(ValueError, match="contradict"):
        encoder.encode(b"hello", tokens, scratch=odd)


@pytest.mark.parametrize("name", ["r50k", "cl100k", "o200k"])
@pytest.mark.parametrize("everything", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_every_code_point_in_its_surroundings(name: str, everything: bool) -> None:
    """Of all that there are, unassigned ones and ideographs too, another eighth each time."""
    text = surroundings(everything=everything)
    encoders = [encoder_of(name, tier=tier) for tier in reversed(tiers())]
    for part in share_of([text[at : at + 50_000] for at in range(0, len(text), 50_000)]) if everything else [text]:
        fastest, *others = [encoder.encode_whole(part.encode()) for encoder in encoders]
        assert all(tokens == fastest for tokens in others)
        assert fastest == array(fastest.typecode, expected(name, part))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("file", ["moby_dick", "opensubtitles_ru", "opensubtitles_zh", "wisesight_th_emoji"])
def test_corpora_whole_and_streamed(name: str, file: str) -> None:
    text = next(data_folder().glob(f"corpora/*/{file}.txt")).read_bytes()[:150_000].decode(errors="ignore")
    want = expected(name, text)
    for tier in tiers():
        encoder = encoder_of(name, tier=tier, cache_bits=8 + 4 * (tier % 3))
        assert list(encoder.encode_whole(text.encode())) == want
        assert in_windows(encoder, text.encode(), window=5000, room=2000) == want


@pytest.mark.parametrize("name", NAMES)
def test_long_words(name: str) -> None:
    rng = random.Random(name)
    encoder = encoder_of(name)
    for alphabet in ("a", "ab", "etaoin", "0123456789", " ", "\n", " \n", "=-", "中文字", "กขค", "'s", "Aa", "/\n"):
        text = "".join(rng.choices(alphabet, k=rng.choice((65, 300, 5000))))
        assert list(encoder.encode_whole(text.encode())) == expected(name, text), repr(text[:80])


@pytest.mark.parametrize("name", NAMES)
def test_a_long_word_needs_scratch_and_says_how_much(name: str) -> None:
    encoder, word = encoder_of(name), b"etaoin" * 40
    out = bytearray(4 * (2 * len(word) + SLACK_TOKENS))
    refused = encoder.encode(b"see " + word, out)
    assert refused.status is Status.TOO_LONG
    assert refused.error_at == 3  # the word begins with its space, or after it
    assert refused.consumed == refused.error_at
    assert 64 * SCRATCH_PER_BYTE < refused.scratch_needed <= SCRATCH_PER_BYTE * (len(word) + 1)
    done = encoder.encode(b"see " + word, out, start=refused.consumed, scratch=bytearray(refused.scratch_needed))
    assert done.status is Status.DONE


@pytest.mark.parametrize("name", NAMES)
def test_ill_formed_text_is_found_where_python_finds_it(name: str) -> None:
    rng = random.Random(name)
    encoder = encoder_of(name)
    wrong = [
        b"\xff",
        b"\xc0\x80",
        b"\xe4\xb8",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\x80",
        b"\xf0\x9f",
        b"\xc3",
        b"\xe0\x80\x80",
    ]
    for _ in range(400):
        text = hostile(rng).encode() + rng.choice(wrong) + hostile(rng).encode()[: rng.choice((0, 1, 500))]
        with pytest.raises(UnicodeDecodeError) as python:
            text.decode()
        with pytest.raises(UnicodeDecodeError) as ours:
            encoder.encode_whole(text)
        assert ours.value.start == python.value.start, text


def test_well_formed_as_far_as_python_says() -> None:
    """Every kind of ill-formed sequence, at every distance from a stretch of ASCII and from the end."""
    vocabulary_of(rank_file("r50k"))  # skips where the core is not built
    characters = ["a", "\x7f", "é", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\uffff", "\U00010000", "\U0010ffff"]
    bad = [b"\x80", b"\xc0\x80", b"\xc1\xbf", b"\xc3", b"\xe0\x9f\xbf", b"\xe4\xb8", b"\xed\xa0\x80", b"\xf0\x8f\xbf\xbf",
           b"\xf0\x9f\x98", b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xff", b""]  # fmt: skip
    dice = random.Random(3)
    for _ in range(3000):
        text = "".join(dice.choices(["a" * dice.randrange(70), *characters], k=dice.randrange(9))).encode()
        text += dice.choice(bad) + b"a" * dice.randrange(70)
        try:
            text.decode()
        except UnicodeDecodeError as error:
            assert utf8_prefix(text) == error.start
        else:
            assert utf8_prefix(text) == len(text)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("delimiter", [b"\n\n", b"\n", b"<|endoftext|>", b"a", "中".encode()])
def test_documents_between_delimiters(name: str, delimiter: bytes) -> None:
    rng = random.Random(f"{name}{delimiter!r}")
    encoder = encoder_of(name)
    for _ in range(40):
        text = (delimiter.decode() * rng.randint(0, 2)).join(hostile(rng) for _ in range(rng.randint(0, 5))).encode()
        documents = text.split(delimiter)
        if not documents[-1]:
            documents.pop()
        want, ends = [], []
        for document in documents:
            want += [*expected(name, document.decode()), 7]
            ends.append(1000 + len(want))
        window = rng.choice((len(text) + 1, 30, 100))
        assert _with_delimiter(encoder, text, delimiter, window) == (want, ends), (text, window)


def _with_delimiter(encoder: Encoder, text: bytes, delimiter: bytes, window: int) -> tuple[list[int], list[int]]:
    tokens: list[int] = []
    ends: list[int] = []
    out, places = (
        array("H" if encoder.token_bytes == 2 else "I", bytes(1200 * encoder.token_bytes)),
        array("q", bytes(16)),
    )
    at, size, inside = 0, window, False
    while True:
        piece = text[at : at + size]
        done = encoder.encode(
            piece, out, last=at + len(piece) == len(text), delimiter=delimiter, in_document=inside, ends=places,
            tokens_before=1000 + len(tokens), end_of_text=7, scratch=SCRATCH,
        )  # fmt: skip
        tokens += out[: done.tokens]
        ends += places[: done.documents]
        at, inside = at + done.consumed, done.in_document
        if done.status is Status.DONE:
            if at == len(text) and not inside:
                return tokens, ends
            size = window if done.consumed else 2 * size
        else:
            assert done.status is Status.FULL, done


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("offset_bytes", [4, 8])
def test_arrays_of_documents(name: str, offset_bytes: int) -> None:
    rng = random.Random(f"{name}{offset_bytes}")
    encoder = encoder_of(name)
    for _ in range(25):
        documents = [hostile(rng).encode() for _ in range(rng.randint(0, 30))]
        before = hostile(rng).encode()  # a slice of an array begins anywhere in its data
        offsets = array("i" if offset_bytes == 4 else "q", [len(before)])
        for document in documents:
            offsets.append(offsets[-1] + len(document))
        data = before + b"".join(documents)
        want, ends = [], []
        for document in documents:
            want += [*expected(name, document.decode()), 5]
            ends.append(len(want))
        tokens: list[int] = []
        got_ends: list[int] = []
        out, places = (
            array("H" if encoder.token_bytes == 2 else "I", bytes(600 * encoder.token_bytes)),
            array("q", bytes(8 * rng.choice((1, 50)))),
        )
        number = at = 0
        while True:
            done = encoder.encode_documents(
                data, offsets, out, offset_bytes=offset_bytes, document=number, start=at, ends=places,
                tokens_before=len(tokens), end_of_text=5, scratch=SCRATCH,
            )  # fmt: skip
            tokens += out[: done.tokens]
            got_ends += places[: done.documents]
            number, at = done.document, done.consumed
            if done.status is Status.DONE:
                break
            assert done.status is Status.FULL, done
            if not done.tokens and not done.documents:
                out.extend(out)
        assert (tokens, got_ends) == (want, ends)


def test_ids_begin_where_the_tokenizer_says() -> None:
    text = hostile(random.Random(5)) + "etaoin" * 30
    first_ids = [encoder_of("tekken", first_id=first).encode_whole(text.encode()) for first in (0, 1000)]
    assert [token + 1000 for token in first_ids[0]] == list(first_ids[1])
    with pytest.raises(ValueError, match="no encoder"):
        encoder_of("r50k", first_id=1 << 15)


def test_what_contradicts_itself_is_refused() -> None:
    encoder = encoder_of("r50k")
    out = bytearray(1000)
    calls: tuple[Callable[[], object], ...] = (
        lambda: encoder.encode(b"abc", out, start=4),
        lambda: encoder.encode(b"abc", out, end_of_text=1 << 16),
        lambda: encoder.encode_documents(b"abc", array("i", [0, 4]), out),
        lambda: encoder.encode_documents(b"abc", array("i", [2, 1]), out),
        lambda: encoder.encode_documents(b"abc", array("i", [-1, 1]), out),
        lambda: encoder.encode_documents(b"abc", array("q", [0, 1]), out, offset_bytes=2),
    )
    for call in calls:
        with pytest.raises(ValueError, match="contradict"):
            call()


def test_the_instructions_are_those_that_the_kernel_lists() -> None:
    """Whoever compiled the core, and whatever the compiler's own library says of the processor."""
    encoder_of("r50k")  # skips where the core is not built
    wanted = {"x86_64": [Tier.PLAIN, Tier.SSE2], "aarch64": [Tier.PLAIN, Tier.NEON]}.get(
        platform.machine(), [Tier.PLAIN]
    )
    if flags := re.search(
        r"^flags\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE
    ):  # only x86 has a line so named
        wanted += [Tier.AVX2] * ({"avx2", "bmi1", "bmi2", "popcnt"} <= set(flags[1].split()))
    assert available_tiers() == wanted
