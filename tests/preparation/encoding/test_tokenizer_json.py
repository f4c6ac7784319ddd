"""What a tokenizer.json is taken for: the core only where it is sure, the library for the rest, a refusal by name."""

import json
import random
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oomguard.errors import BadInput, OomguardError
from oomguard.preparation.encoding.describe import describe
from oomguard.preparation.encoding.encodings import EncodingSpec
from oomguard.preparation.encoding.load_engine import load_engine, load_reference
from oomguard.preparation.encoding.splitters import PATTERNS
from tests.preparation.encoding.core_texts import hostile
from tests.preparation.encoding.tokenizer_files import (
    added_token,
    byte_level,
    make_json,
    name_of,
    need_tokenizers,
    read_rank_file,
    split_by,
)
from tests.reference import SHIPPED

RANKS = dict(list(read_rank_file(SHIPPED / "r50k_base.tiktoken").items())[:3000])
END = added_token("<|endoftext|>", 3000)
DIGITS = {"type": "Digits", "individual_digits": True}


def made(*, regex: str | None = PATTERNS["llama3"], steps: list[Any] | None = None, **changes: Any) -> dict[str, Any]:
    """A small tokenizer.json with something changed."""
    whole = dict(_plain(regex))
    if steps is not None:
        whole["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": steps}
    model = {key[6:]: changes.pop(key) for key in list(changes) if key.startswith("model_")}
    return {**whole, **changes, "model": {**whole["model"], **model}}


@cache
def _plain(regex: str | None) -> dict[str, Any]:
    return make_json(RANKS, regex=regex, added=[END])


def look_at(whole: dict[str, Any], file: str = "x.json") -> EncodingSpec:
    return describe(json.dumps(whole).encode(), file)[0]


def both(whole: dict[str, Any], tmp_path: Path, *texts: str) -> tuple[list[list[int]], list[list[int]]]:
    """The tokens that oomguard makes of each text, and those of the library."""
    need_tokenizers()
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps(whole))
    spec = look_at(whole, str(file))
    engine, reference = load_engine(spec, file, cache_bits=10), load_reference(spec, file)
    ours = []
    for text in texts:
        room = np.empty(4 * len(text.encode()) + 200, f"u{spec.token_bytes}")
        count, _ = engine.encode(
            text.encode(), mark=b"", eot=-1, tokens=memoryview(room.data), ends=memoryview(b""), before=0, scratch=1 << 24
        )  # fmt: skip
        ours.append(room[:count].tolist())
    return ours, [reference.ids(text.encode()) for text in texts]


SPLIT = split_by(PATTERNS["llama3"])
LAST = byte_level(use_regex=False)
REMOVED = {**SPLIT, "behavior": "Removed"}
# Each of these has other tokens than the pattern alone, which once was all that an encoder looked at.
SILENT_FAULTS = {
    "digits beside a split": [DIGITS, SPLIT, LAST],
    "digits after a split": [SPLIT, DIGITS, LAST],
    "a split that removes": [REMOVED, LAST],
    "a split turned around": [{**SPLIT, "invert": True, "behavior": "Removed"}, LAST],
    "a split that merges": [{**SPLIT, "behavior": "MergedWithNext"}, LAST],
    "two splits": [split_by(r"\p{N}{1,2}"), SPLIT, LAST],
    "a prefix": [SPLIT, {**LAST, "add_prefix_space": True}],
    "two patterns": [SPLIT, byte_level(use_regex=True)],
    "white space before": [{"type": "WhitespaceSplit"}, SPLIT, LAST],
    "another pattern": [split_by(PATTERNS["llama3"].replace("{1,3}", "{1,2}")), LAST],
}


@pytest.mark.parametrize("steps", SILENT_FAULTS.values(), ids=SILENT_FAULTS.keys())
def test_what_other_steps_do_is_never_passed_over(steps: list[Any], tmp_path: Path) -> None:
    """The smallest text of the fault, and hostile ones: the library's tokens, and documents are not cut."""
    whole = made(steps=steps)
    spec = look_at(whole)
    assert (spec.native, spec.family) == (False, "none")
    assert spec.why_slow
    rng = random.Random(3)
    ours, theirs = both(whole, tmp_path, "12345", "a 12345 b", *(hostile(rng) for _ in range(20)))
    assert ours == theirs


def test_the_core_would_have_given_other_tokens(tmp_path: Path) -> None:
    """So the tests above can fail."""
    plain = both(made(), tmp_path, "12345")[0]
    for name in ("digits beside a split", "a split that removes", "two splits"):
        assert both(made(steps=SILENT_FAULTS[name]), tmp_path, "12345")[1] != plain


@pytest.mark.parametrize("dropout", [0.1, 1.0])
def test_dropout_is_refused_by_name(dropout: float) -> None:
    with pytest.raises(BadInput, match=f"dropout {dropout}"):
        look_at(made(model_dropout=dropout))


@pytest.mark.parametrize("dropout", [None, 0.0])
def test_no_dropout_is_none(dropout: float | None) -> None:
    assert look_at(made(model_dropout=dropout)).native


@pytest.mark.parametrize("kind", ["Unigram", "WordPiece", "WordLevel"])
def test_other_models_are_refused_by_name(kind: str) -> None:
    model = {"type": kind, "vocab": [["a", -1.0]] if kind == "Unigram" else {"a": 0}}
    with pytest.raises(BadInput, match=kind):
        look_at({**made(), "model": model})


def test_sentence_pieces_are_refused_by_name() -> None:
    with pytest.raises(BadInput, match="not byte-level"):
        look_at(
            made(pre_tokenizer={"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False})
        )


def changed_model(**changes: Any) -> dict[str, Any]:
    return made(**{f"model_{key}": value for key, value in changes.items()})


MERGES = made()["model"]["merges"]
FAST = {
    "llama3": made(),
    "gpt2": made(regex=None),
    "merges as strings": changed_model(merges=[" ".join(merge) for merge in MERGES]),
    "only a pre-tokenizer": {**made(), "pre_tokenizer": byte_level(use_regex=True)},
    "nfc": made(normalizer={"type": "NFC"}),
    "an empty sequence of normalizers": made(normalizer={"type": "Sequence", "normalizers": []}),
    "an added token": {**made(), "added_tokens": [END, added_token("<tool_call>", 3001, special=False)]},
    "truncation and padding": made(truncation={"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}),
}  # fmt: skip
SLOW = {
    "nfkc": made(normalizer={"type": "NFKC"}),
    "lower case": made(normalizer={"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Lowercase"}]}),
    "byte fallback": changed_model(byte_fallback=True),
    "an end of words": changed_model(end_of_word_suffix="</w>"),
    "a setting of tomorrow": changed_model(shuffle=True),
    "merges that were left out": changed_model(merges=MERGES[:-700]),
    "merges in another order": changed_model(merges=MERGES[::-1]),
    "no look-up, and a token that merges do not make": changed_model(
        ignore_merges=False, vocab={**made()["model"]["vocab"], name_of(b"qqzzxxjj"): 3002}
    ),
    "an added token that takes blanks": {**made(), "added_tokens": [END, added_token("<x>", 3001, special=False, lstrip=True)]},
    "an added word": {**made(), "added_tokens": [END, added_token("<x>", 3001, special=False, single_word=True)]},
    "added blanks": {**made(), "added_tokens": [END, added_token("   ", 3001, special=False)]},
    "digits first": made(steps=[DIGITS, byte_level(use_regex=True)]),
}  # fmt: skip


@pytest.mark.parametrize("name", FAST)
def test_what_the_core_is_sure_of(name: str, tmp_path: Path) -> None:
    whole = FAST[name]
    assert look_at(whole).native, look_at(whole).why_slow
    _compare(whole, tmp_path)


@pytest.mark.parametrize("name", SLOW)
def test_what_is_left_to_the_library(name: str, tmp_path: Path) -> None:
    whole = SLOW[name]
    spec = look_at(whole)
    assert not spec.native
    assert spec.family in ("none", "blanks")
    if name not in ("byte fallback", "a setting of tomorrow", "an end of words"):  # small files that it need not load
        _compare(whole, tmp_path)


def _compare(whole: dict[str, Any], tmp_path: Path) -> None:
    rng = random.Random(5)
    texts = ["<tool_call>a<x> <|endoftext|>  b   c", "qqzzxxjj", *(hostile(rng) for _ in range(30))]
    ours, theirs = both(whole, tmp_path, *texts)
    for text, mine, its in zip(texts, ours, theirs, strict=True):
        assert mine == its, text


def test_end_and_begin_of_text_are_read_from_the_file() -> None:
    begin = added_token("<|begin_of_text|>", 3001)
    spec, special = describe(json.dumps({**made(), "added_tokens": [END, begin]}).encode(), "x")
    assert (spec.eot, spec.bos, spec.vocabulary_size) == (3000, 3001, 3002)
    assert special == {"<|endoftext|>": 3000, "<|begin_of_text|>": 3001}


def test_two_candidates_are_none() -> None:
    spec = look_at({**made(), "added_tokens": [END, added_token("</s>", 3001)]})
    assert spec.eot == -1


@pytest.mark.parametrize("text", [b"{", b"{}", b'{"model": 3}', b'{"model": {"vocab": 1}}', b'{"a": ' + b"[" * 90000])
def test_what_is_no_tokenizer_is_refused(text: bytes) -> None:
    with pytest.raises(OomguardError):
        describe(text, "x")
