"""Texts that have tripped tokenizers, and encoders to try them with."""

import os
import random
from functools import cache
from pathlib import Path

import pytest
import tiktoken

import oomguard
from oomguard.preparation.encoding import native, splitters
from oomguard.preparation.encoding.encodings import read_ranks
from oomguard.preparation.encoding.native import CoreUnavailable, Encoder, Tier, Vocabulary
from tests.reference import CHARACTERS

# The splitters, each with a vocabulary of its family: which one it is does not matter to the pattern.
RANKS = {
    "r50k": "r50k_base",
    "cl100k": "cl100k_base",
    "llama3": "cl100k_base",
    "qwen2": "cl100k_base",
    "o200k": "o200k_base",
    "tekken": "o200k_base",
}
SPLITTERS = {
    "r50k": splitters.R50K,
    "cl100k": splitters.CL100K,
    "llama3": splitters.LLAMA3,
    "qwen2": splitters.QWEN2,
    "o200k": splitters.O200K,
    "tekken": splitters.TEKKEN,
}
NAMES = list(RANKS)

# Beyond tests.reference's: what one of the patterns treats in a way of its own.
NASTY = [
    *CHARACTERS, "'d", "'D", "'m", "'M", "'T", "'vE", "I'd", "'", "''", "'s's", "'ve", "'Ve", "'RE", "'l", "'v", "'r", "a's", "A'S", "x's中A", "x'lL", "中'sA", "ſ", "'ſx", "\u1e9e",
    "/", "//", "\n//", ")\n/\n", "\r\n/", "((\u0301", "(\u0301", " (\u0301(", "\u0301A", "\u0301Ab", "\u0301ABC", "中AB", "中ABc", "aB", "ABc", "aBC",
    "ǅa", "ʰA", "ªA", "aªA", "Aª", "A中B", "a中A", "a中Ab", "1", "12", "123", "1234", "٣٣٣٣", "1²½", " \t", "\t ", "\t\n", "\n\t", " \n \n",
    "\u3000", "\u3000\u3000", "\u2028 ", " \u2029", "\u00a0a", "\u1680", "\x85", "\x1c", "\ufffd", "\U0001f600\ufe0f", "❤\ufe0f", " ❤\ufe0fa", "5\ufe0f\u20e3",
    "  " * 9, "\n" * 5, "=" * 20, "a" * 17, "b" * 57, "Q" * 16, "\0" * 16, "é" * 40, "ก" * 30, "中" * 25, "0" * 10, "0" * 70, "x" * 70, " " * 70, "/" * 65,
]  # fmt: skip


def data_folder() -> Path:
    """The folder of shared test data; the test skips where it is not there."""
    if "OOMGUARD_DATA" not in os.environ:
        pytest.skip("needs OOMGUARD_DATA, a folder with corpora and vocabularies")
    return Path(os.environ["OOMGUARD_DATA"])


def native_needed() -> None:
    """Skip where the core is not built."""
    try:
        native.load_core()
    except native.CoreUnavailable as error:
        pytest.skip(f"{error}: {error.do}")


def rank_file(name: str) -> Path:
    """The ranks that a splitter is tried with: of the shared data, or else GPT-2's, which are shipped."""
    shared = Path(os.environ.get("OOMGUARD_DATA", "/nonexistent"), "vocab", f"{RANKS[name]}.tiktoken")
    return (
        shared
        if shared.exists()
        else Path(oomguard.__file__).parent / "preparation/encoding/vocab" / "r50k_base.tiktoken"
    )


@cache
def vocabulary_of(ranks: Path) -> Vocabulary:
    """A vocabulary block, built in memory; the test skips where the core is not built."""
    try:
        native.load_core()
    except CoreUnavailable as error:
        pytest.skip(f"{error}: {error.do}")
    return Vocabulary.build(ranks.read_bytes())


def encoder_of(name: str, *, tier: Tier | None = None, cache_bits: int = 10, first_id: int = 0) -> Encoder:
    """An encoder with a small cache, so that replacement is tried as well."""
    return Encoder(
        vocabulary_of(rank_file(name)),
        SPLITTERS[name],
        token_bytes=2 if name == "r50k" else 4,
        cache_bits=cache_bits,
        tier=tier,
        first_id=first_id,
    )


@cache
def reference_of(name: str) -> tiktoken.Encoding:
    """tiktoken with the pattern that the splitter stands for."""
    return tiktoken.Encoding(
        name,
        pat_str=splitters.pattern_of(SPLITTERS[name]),
        mergeable_ranks=read_ranks(rank_file(name)),
        special_tokens={},
    )


def tiers() -> list[Tier]:
    """What can be tried here; the plain tier where nothing can, so that its test says why it skips."""
    try:
        return native.available_tiers()
    except CoreUnavailable:
        return [Tier.PLAIN]


def hostile(rng: random.Random) -> str:
    """A random string of nasty pieces, short or long."""
    return "".join(rng.choice(NASTY) for _ in range(rng.randint(0, rng.choice((2, 5, 12, 40)))))


@cache
def surroundings(*, everything: bool) -> str:
    """All code points, each in several surroundings, one text: a difference in any class shows.

    Without `everything` those of planes that hold nothing but unassigned ones and ideographs are left out but for a few.
    """
    codes = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    if not everything:
        codes = [c for c in codes if ord(c) < 0x20000 or 0xE0000 <= ord(c) < 0xE1000 or ord(c) % 128 in (0, 127)]
    return "".join(f"a{c}B {c}1{c}." for c in codes)


def expected(name: str, text: str) -> list[int]:
    """tiktoken's tokens."""
    return reference_of(name).encode_ordinary(text)
