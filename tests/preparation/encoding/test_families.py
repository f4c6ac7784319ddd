"""Each family of tokenizers gives the tokens of its reference, whole, in parts, and however its file is written."""

import json
import random
import unicodedata
from array import array
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from oomguard.preparation.encoding.encodings import EncodingSpec
from oomguard.preparation.encoding.load_engine import load_engine, load_reference, uses_core
from oomguard.preparation.encoding.safe_cuts import last_safe_cut
from oomguard.preparation.encoding.splitters import PATTERNS
from oomguard.preparation.encoding.tokenizer_files import open_tokenizer
from oomguard.preparation.encoding.tokenizers import Engine, ReferenceEngine
from tests.preparation.encoding.core_texts import NASTY, data_folder, hostile, surroundings
from tests.preparation.encoding.tokenizer_files import model_json, need_tokenizers, vocabulary_file
from tests.properties import examples, share_of, some_of

pytestmark = pytest.mark.xdist_group("families")  # a tokenizer.json takes seconds to make and to load: in one worker

RANK_FILES = ["llama3", "llama4", "qwen", "qwen3.5", "tekken"]
# To make and load one as a tokenizer.json takes the library seconds: two of them each time, and the one of another kind.
OF_MARKS = some_of(["llama3", "qwen"], one_in=2)
JSON_TODAY = [*OF_MARKS, *some_of(["llama4", "qwen3.5", "tekken"], one_in=3)]
JSON_FILES = [*JSON_TODAY, "deepseek"]
ADDED = ["<tool_call>", "</tool_call>", "<think>", "<|endoftext|>", "<|im_start|>", "<s>", "<tool_call", "<<think>>"]
# What NFC changes: composed, decomposed, reordered, of one character, Hangul in parts.
NOT_NFC = [
    "e\u0301",
    "a\u0327\u0301",
    "a\u0301\u0327",
    "\u0958",
    "\u212b",
    "\u1fef",
    "\u2000",
    "\u1100\u1161\u11a8",
    "=\u0338",
    ">\u0338",
    "か\u3099",
    "\u0374",
    "\U0001d15e",
]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For the tokenizer.json files that are made."""
    return tmp_path_factory.mktemp("tokenizers")


def file_of(name: str, folder: Path, *, form: str) -> Path:
    """The file of a model, as ranks or as a tokenizer.json."""
    if form == "ranks" or name == "deepseek":
        return vocabulary_file(name)
    need_tokenizers()
    file = folder / f"{name}.json"
    if not file.exists():
        file.write_bytes(model_json(name))
    return file


@cache
def opened(file: Path) -> tuple[EncodingSpec, Engine, ReferenceEngine]:
    """The tokenizer, what encodes for it, and its reference; skips where that would be the same."""
    spec = open_tokenizer(str(file), pattern=None)
    if spec.native and not uses_core(spec):
        pytest.skip("needs the native core: pip install -e . with a C compiler")
    return spec, load_engine(spec, file, cache_bits=12), load_reference(spec, file)


def encode(engine: Engine, text: str) -> list[int]:
    """The tokens of one document."""
    data = text.encode()
    room = np.empty(3 * len(data) + 200, np.uint32)
    count, _ = engine.encode(
        data, mark=b"", eot=-1, tokens=memoryview(room.data), ends=memoryview(b""), before=0, scratch=1 << 26
    )
    return [int(token) for token in room[:count]]


def mixed(rng: random.Random) -> str:
    """A hostile text with added tokens and characters that NFC changes."""
    return "".join(rng.choice((*NASTY, *ADDED, *NOT_NFC)) for _ in range(rng.randint(0, rng.choice((3, 10, 60)))))


@cache
def corpus() -> str:
    """Latin, Cyrillic, Chinese, Thai with emoji, code, digits, long runs of blanks: 10 MB."""
    rng = random.Random(10)
    parts = [file.read_text(errors="ignore") for file in sorted(data_folder().glob("corpora/multilingual/*.txt"))]
    parts += [file.read_text(errors="ignore") for file in sorted(data_folder().glob("corpora/books/*.txt"))]
    parts += [file.read_text() for file in sorted(Path(__file__).parents[3].glob("oomguard/**/*.py"))]
    blocks = [part[at : at + 2000] for part in parts for at in range(0, len(part), 2000)]
    rng.shuffle(blocks)
    blanks = ["".join(rng.choices((" ", "\n", "\t", "\r\n", "\u3000"), k=rng.choice((1, 40, 700)))) for _ in range(300)]
    digits = ["".join(rng.choices("0123456789٣²", k=rng.choice((1, 5, 300)))) for _ in range(300)]
    text: list[str] = []
    size = 0
    while size < 10_000_000:
        for block in (rng.choice(blocks), rng.choice(blocks), rng.choice(blanks), rng.choice(digits), mixed(rng)):
            text.append(block)
            size += len(block.encode())
    return "".join(text)


def json_files(names: list[str]) -> list[Any]:
    """Their tokenizer.json: slow, as making and loading one takes the library some seconds."""
    return [pytest.param(name, "json", marks=pytest.mark.slow) for name in names]


def pieces(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


@pytest.mark.parametrize(("name", "form"), [*((n, "ranks") for n in RANK_FILES), *json_files(JSON_FILES)])
def test_mixed_text(name: str, form: str, folder: Path) -> None:
    if form == "json":
        need_tokenizers()
    _compare(file_of(name, folder, form=form), pieces(corpus()[:100_000], 50_000))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "form"), [*((n, "ranks") for n in RANK_FILES), *((n, "json") for n in JSON_FILES)])
def test_ten_megabytes_of_mixed_text(name: str, form: str, folder: Path) -> None:
    """Of what Hugging Face's library is the reference for, which takes seconds, another eighth each time."""
    if form == "json":
        need_tokenizers()
    parts = pieces(corpus(), 50_000)
    _compare(file_of(name, folder, form=form), share_of(parts) if form == "json" else parts)


def _compare(file: Path, parts: list[str]) -> None:
    spec, engine, reference = opened(file)
    assert uses_core(spec) == (file.name != "deepseek.json")
    wrong = [part for part in parts if encode(engine, part) != reference.ids(part.encode())]
    assert len(wrong) == 0, repr(wrong[0][:200])


@pytest.mark.parametrize(("name", "form"), [*((n, "ranks") for n in RANK_FILES), *json_files(JSON_TODAY)])
def test_hostile_strings(name: str, form: str, folder: Path) -> None:
    _, engine, reference = opened(file_of(name, folder, form=form))
    rng = random.Random(f"{name}{form}")
    for _ in range(300):
        text = mixed(rng) if rng.random() < 0.5 else hostile(rng)
        assert encode(engine, text) == reference.ids(text.encode()), repr(text)


@pytest.mark.slow
@pytest.mark.parametrize("name", JSON_TODAY)
def test_every_code_point_in_its_surroundings(name: str, folder: Path) -> None:
    """Hugging Face's tokenizers has a Unicode of its own, for classes and for NFC. A 32nd of them each time."""
    _, engine, reference = opened(file_of(name, folder, form="json"))
    for part in some_of(pieces(surroundings(everything=True), 5000), one_in=32):
        assert encode(engine, part) == reference.ids(part.encode()), repr(part)


CUT = st.lists(st.sampled_from([*NASTY, *ADDED, *NOT_NFC]), max_size=25).map("".join)


def all_cuts(text: bytes, family: str) -> list[int]:
    found = {last_safe_cut(text[:end], family=family) for end in range(len(text) + 1)}  # type: ignore[arg-type]
    return sorted(cut for cut in found if cut is not None)


@pytest.mark.parametrize("name", ["llama3", "qwen", "qwen3.5", "o200k", "tekken"])
@examples(480)
@given(text=CUT)
def test_a_cut_changes_no_pretoken(name: str, text: str) -> None:
    pattern = regex.compile(PATTERNS[name])
    family = "o200k" if name in ("o200k", "tekken") else "cl100k"
    raw = text.encode()
    whole = pattern.findall(text)
    for cut in all_cuts(raw, family):
        parts = [raw[:cut].decode(), raw[cut:].decode()]
        assert [found for part in parts for found in pattern.findall(part)] == whole, parts


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in JSON_FILES if name in ("qwen", "qwen3.5", "deepseek")])
def test_a_cut_changes_no_token_with_nfc_and_added_tokens(name: str, folder: Path) -> None:
    need_tokenizers()
    spec, _, reference = opened(file_of(name, folder, form="json"))
    rng = random.Random(name)
    cuts = 0
    for _ in range(150):
        text = mixed(rng)
        raw, whole = text.encode(), reference.ids(text.encode())
        for cut in all_cuts(raw, spec.family)[:8]:
            assert reference.ids(raw[:cut]) + reference.ids(raw[cut:]) == whole, (raw[:cut], raw[cut:])
            cuts += 1
    assert cuts > 50


@pytest.mark.parametrize("family", ["gpt2-spaced", "cl100k-spaced", "o200k-spaced"])
@examples(480)
@given(text=CUT)
def test_a_spaced_cut_stands_beside_white_space(family: str, text: str) -> None:
    """So that it is in no added token, none of which holds any."""
    raw = text.encode()
    assert set(all_cuts(raw, family)) <= set(all_cuts(raw, family.partition("-")[0]))
    for cut in all_cuts(raw, family):
        assert raw[:cut].decode()[-1].isspace() or raw[cut:].decode()[0].isspace()


@examples(800)
@given(text=CUT)
def test_no_cut_where_nothing_is_proved(text: str) -> None:
    assert all_cuts(text.encode(), "none") == []


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_MARKS)
@pytest.mark.parametrize("mark", ["\n\n", "<|endoftext|>", "a"])
def test_documents_between_marks_and_of_arrays(name: str, mark: str, folder: Path) -> None:
    spec, engine, reference = opened(file_of(name, folder, form="json"))
    rng = random.Random(f"{name}{mark}")
    for _ in range(60):
        documents = mark.join(mixed(rng) for _ in range(rng.randint(1, 5))).split(mark)
        want, ends = [], []
        for document in documents:
            want += [*reference.ids(document.encode()), spec.eot]
            ends.append(100 + len(want))
        raw = mark.join(documents).encode()
        room, places = np.zeros(3 * len(raw) + 500, np.uint32), np.zeros(len(documents) + 1, np.int64)
        count, ended = engine.encode(
            raw, mark=mark.encode(), eot=spec.eot, tokens=memoryview(room.data), ends=memoryview(places.data), before=100, scratch=1 << 24
        )  # fmt: skip
        assert room[:count].tolist() == want[:-1]
        assert ended == len(documents) - 1
        assert places[:ended].tolist() == ends[:-1]
        data = [document.encode() for document in documents]
        offsets = array("q", accumulate([3, *map(len, data)]))
        count = engine.encode_documents(
            b"xyz" + b"".join(data), offsets, eot=spec.eot, tokens=memoryview(room.data), ends=memoryview(places.data), before=100, scratch=1 << 24
        )  # fmt: skip
        assert room[:count].tolist() == want
        assert places[: len(ends)].tolist() == ends


def test_python_knows_that_it_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mark that came after this Python's Unicode is put in order by the library that has it."""
    need_tokenizers()
    from oomguard.preparation.encoding import nfc

    new = next(
        (mark for mark in ("\u0897", "\u1acf", "\U00011f5a", "\U0001e4ee") if unicodedata.category(mark) == "Cn"), None
    )
    if new is None:
        pytest.skip("this Python knows all of Unicode 16")
    from tokenizers.normalizers import NFC

    for text in (f"a{new}\u0316", f"a\u0316{new}e\u0301", f"\U0001f642{new}\u0316"):
        assert nfc.to_nfc(text) == NFC().normalize_str(text)


def test_python_knows_what_it_does_not_know() -> None:
    """Each character, below U+10000 and above."""
    from oomguard.preparation.encoding.nfc import _is_unknown_to_python

    for first in range(0x300, 0x110000, 0x100):
        block = "".join(map(chr, range(first, first + 0x100)))
        unknown = [one for one in block if unicodedata.category(one) == "Cn"]
        assert _is_unknown_to_python(f"a{block}\U0001f642") == bool(unknown)
        assert not _is_unknown_to_python("".join(set(block).difference(unknown)))


def test_a_file_of_the_first_models_is_known_by_what_is_in_it(tmp_path: Path) -> None:
    """The name of a file says nothing."""
    renamed = tmp_path / "gpt2.json"
    renamed.write_bytes(vocabulary_file("qwen3.5").read_bytes())
    spec = open_tokenizer(str(renamed))
    assert (spec.pattern, spec.eot) == (PATTERNS["qwen3.5"], 248044)
    renamed.write_bytes(json.dumps(json.loads(vocabulary_file("tekken").read_bytes())).encode())
    spec = open_tokenizer(str(renamed))
    assert (spec.pattern, spec.eot, spec.bos, spec.first_id) == (PATTERNS["tekken"], 2, 1, 1000)


def test_mistrals_own_library_agrees() -> None:
    """The reference for tekken.json is tiktoken with its ranks; mistral-common does the same and more."""
    tekken = pytest.importorskip(
        "mistral_common.tokens.tokenizers.tekken", reason="needs mistral-common: pip install mistral-common"
    )
    file = vocabulary_file("tekken")
    _, engine, _ = opened(file)
    theirs = tekken.Tekkenizer.from_file(file)
    rng = random.Random(7)
    for _ in range(300):
        text = mixed(rng)
        assert encode(engine, text) == theirs.encode(text, bos=False, eos=False)
