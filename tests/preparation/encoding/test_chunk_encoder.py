"""One piece of text into tokens, in stretches of a few bytes, against tiktoken on whole documents."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from oomguard.preparation.encoding import chunk_tools
from oomguard.preparation.encoding.chunk_encoder import ChunkEncoder
from oomguard.preparation.encoding.encodings import EncodingSpec, find_encoding, find_rank_file
from oomguard.preparation.encoding.load_engine import load_engine
from oomguard.preparation.encoding.safe_cuts import unify_newlines
from oomguard.preparation.encoding.tokenizers import Engine, TiktokenEngine
from oomguard.preparation.engines.messages import Encoded, EncodeTask, Verify, WorkerConfig
from oomguard.preparation.engines.slots import SlotLayout, Slots
from oomguard.preparation.engines.work import CutRules, PlainFeed
from oomguard.preparation.reading.source import Source
from tests.preparation.expecting import documents_of, tokens_of
from tests.properties import examples
from tests.reference import CHARACTERS, encoding_of

LONGEST = 1 << 16
MARKS = {
    "gpt2": ["", "<|endoftext|>", "\n\n", "aa"],
    "p50k_base": ["", "aa"],
    "cl100k_base": ["", "\n\n"],
    "o200k_base": ["==="],
}
PAIRS = [(encoding, mark) for encoding, marks in MARKS.items() for mark in marks]

texts = st.lists(st.one_of(st.sampled_from(CHARACTERS), st.characters(codec="utf-8")), max_size=40).map("".join)
invalid = st.sampled_from(
    [b"\xff", b"\x80", b"\xc3", b"\xe4\xb8", b"\xf0\x9f\x98", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80"]
)


@dataclass(frozen=True)
class Setting:
    """One way of encoding."""

    encoding: str
    mark: str = ""
    eot: Any = "after"
    errors: Any = "strict"
    newlines: Any = "bytes"


@pytest.fixture(scope="module", autouse=True, params=["core", "tiktoken"])
def engine(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each engine in turn."""
    with pytest.MonkeyPatch.context() as patch:
        real = load_engine if request.param == "core" else lambda spec, ranks, **_: TiktokenEngine(spec, ranks)
        patch.setattr(chunk_tools, "load_engine", cached(real))  # which takes long
        yield
    encoder_of.cache_clear()


def cached(load: Callable[..., Engine]) -> Callable[..., Engine]:
    known = cache(lambda spec, ranks: load(spec, ranks))
    return lambda spec, ranks, **_: known(spec, ranks)


@pytest.fixture(scope="module", params=PAIRS, ids=lambda pair: f"{pair[0]}-{pair[1]!r}")
def pair(request: pytest.FixtureRequest) -> tuple[str, str]:
    """An encoding and a separator; skips where the encoding's ranks are not on this machine."""
    encoding_of(find_encoding(request.param[0]).name)
    return request.param


@cache
def slots_of(token_bytes: int) -> Slots:
    return Slots(SlotLayout(longest_piece=LONGEST, token_bytes=token_bytes, slots=1))


@cache
def encoder_of(setting: Setting, verify: Verify = "off") -> ChunkEncoder:
    spec = find_encoding(setting.encoding)
    config = WorkerConfig(
        spec=asdict(spec), rank_file=str(find_rank_file(spec)), eot=setting.eot, newlines=setting.newlines,
        errors=setting.errors, with_ends=True, verify=verify, cache_bits=12, vocabulary_fd=-1,
        scratch=1 << 24, longest_piece=LONGEST, most_text=LONGEST, slots=1, slots_fd=slots_of(spec.token_bytes).fd,
    )  # fmt: skip
    encoder = ChunkEncoder(config)
    marks[encoder] = setting.mark.encode()
    return encoder


marks: dict[ChunkEncoder, bytes] = {}


def encode_file(
    encoder: ChunkEncoder, file: Path, text: bytes, *, piece_bytes: int = 10
) -> tuple[list[int], list[int], list[Encoded]]:
    """Write `text` to a file and encode it in pieces: its tokens, where its documents end, what was answered."""
    file.write_bytes(text)
    config = encoder._tools.config
    rules = CutRules(
        family=config.spec["family"], separator=marks[encoder], universal_newlines=config.newlines == "universal",
        piece_bytes=piece_bytes, longest_word=LONGEST, flag_with_room=str,
    )  # fmt: skip
    feed = PlainFeed(
        index=0, source=Source(path=str(file), kind="text", compression=None, size=len(text), mtime_ns=0), rules=rules
    )
    slots = slots_of(EncodingSpec(**config.spec).token_bytes)
    tokens: list[int] = []
    ends: list[int] = []
    answers = []
    while (cut := feed.next_task(0)) is not None:
        answer = encoder.encode(cut[0])
        width: Any = "H" if slots.layout.token_bytes == 2 else "I"
        ends += [len(tokens) + end for end in slots.ends(0, answer.documents)]
        tokens += slots.tokens(0, answer.tokens).cast(width)
        answers.append(answer)
    return tokens, ends, answers


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("text") / "text.txt"


@examples(200)
@given(
    text=texts,
    marks=st.lists(st.integers(0, 40), max_size=6),
    eot=st.sampled_from(["before", "after", "none"]),
    newlines=st.sampled_from(["bytes", "universal"]),
    piece_bytes=st.integers(1, 60),
)
def test_tokens_of_a_text_are_those_of_each_whole_document(
    file: Path, pair: tuple[str, str], text: str, marks: list[int], eot: str, newlines: str, piece_bytes: int
) -> None:
    """Whatever the pieces and stretches are, and also where separators overlap or stand at either end."""
    encoding, mark = pair
    for place in marks:
        text = text[:place] + mark + text[place:]
    setting = Setting(encoding, mark, eot=eot, newlines=newlines)
    tokens, ends, answers = encode_file(encoder_of(setting), file, text.encode(), piece_bytes=piece_bytes)
    seen = unify_newlines(text.encode()).decode() if newlines == "universal" else text
    documents = documents_of(seen, mark) if text else []
    assert [answer.error for answer in answers] == [None] * len(answers)
    assert tokens == tokens_of(documents, encoding=encoding, eot=eot)
    assert ends == list(
        itertools.accumulate(len(tokens_of([document], encoding=encoding, eot=eot)) for document in documents)
    )


@examples(100)
@example(parts=["x", b"\xe4\xb8", "\n\n"], errors="replace", newlines="bytes")
@given(
    parts=st.lists(st.one_of(texts, invalid), max_size=12),
    errors=st.sampled_from(["replace", "skip"]),
    newlines=st.sampled_from(["bytes", "universal"]),
)
def test_invalid_bytes_become_what_python_makes_of_them(
    file: Path, pair: tuple[str, str], parts: list[str | bytes], errors: str, newlines: str
) -> None:
    """U+FFFD as in bytes.decode(errors="replace"), or nothing as with "ignore", wherever the text is cut."""
    encoding, mark = pair
    raw = b"".join(part if isinstance(part, bytes) else part.encode() for part in parts)
    seen = raw.decode(errors={"skip": "ignore"}.get(errors, errors))
    lost = len(raw) - len(raw.decode(errors="ignore").encode())
    seen = unify_newlines(seen.encode()).decode() if newlines == "universal" else seen
    tokens, _, answers = encode_file(encoder_of(Setting(encoding, mark, errors=errors, newlines=newlines)), file, raw)
    if "separator" in [answer.error for answer in answers]:
        assert errors == "skip"
        assert mark
        return  # leaving bytes out would make a separator
    documents = [seen] if raw else []
    if mark:
        unified = unify_newlines(raw) if newlines == "universal" else raw
        found = unified.split(mark.encode())
        # Invalid bytes behind the last separator are a document, be it an empty one.
        documents = [
            part.decode(errors={"skip": "ignore"}.get(errors, errors)) for part in (found if found[-1] else found[:-1])
        ]
    assert tokens == tokens_of(documents, encoding=encoding)
    assert sum(answer.repaired for answer in answers) == lost


@pytest.mark.parametrize(
    "text", [b"x <|endo\xfftext|> y", b"x <|\xffendoftext|> y", b"<|endoftext|\xff>", b"a \xff<|endoftext|>b"]
)
def test_no_separator_appears_by_leaving_bytes_out(file: Path, text: bytes) -> None:
    """Whether one could be cut in two would depend on the pieces: so it is refused, or what was in the file counts."""
    encoder = encoder_of(Setting("gpt2", "<|endoftext|>", errors="skip"))
    parts = [part.decode(errors="ignore") for part in text.split(b"<|endoftext|>")]
    for piece_bytes in range(1, len(text) + 1):
        tokens, _, answers = encode_file(encoder, file, text, piece_bytes=piece_bytes)
        assert tokens == tokens_of(parts) or answers[-1].error == "separator"
    assert text != b"<|endoftext|\xff>" or answers[-1].error == "separator"


def test_the_document_of_an_error_is_counted_as_the_text_reads(file: Path) -> None:
    """With universal newlines a separator may be written with CR LF."""
    setting = Setting("gpt2", "\n\n", newlines="universal")
    answers = encode_file(encoder_of(setting), file, b"a\r\n\r\nb\r\rc\n\n\xff", piece_bytes=100)[2]
    assert [(answer.error, answer.error_at, answer.error_documents) for answer in answers] == [("utf8", 11, 3)]


@pytest.mark.parametrize("mark", ["", "aa", "\n\n"])
@examples(150)
@given(text=texts, place=st.integers(0, 100), bad=invalid, after=texts)
def test_strict_says_where_the_first_invalid_byte_is(
    file: Path, mark: str, text: str, place: int, bad: bytes, after: str
) -> None:
    """The offset is that of Python's own decoder; the document is the one it stands in."""
    raw = (text[:place] + mark + text[place:]).encode() + bad + after.encode()
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        expected = error.start
    else:
        return  # what came after completed the character
    answers = encode_file(encoder_of(Setting("gpt2", mark)), file, raw, piece_bytes=1 << 15)[2]
    assert [(answer.error, answer.error_at) for answer in answers] == [("utf8", expected)]
    assert answers[0].error_documents == (raw[:expected].count(mark.encode()) if mark else 0)


def test_text_in_a_slot_gives_the_same(file: Path) -> None:
    """As the stream reader hands it over."""
    mark = "\ufdd0secret\ufdd1"
    documents = ["one", "", "two <|endoftext|> of it", "три"]
    encoder, slots, text = encoder_of(Setting("gpt2", mark)), slots_of(2), mark.join(documents).encode()
    slots.text(0, len(text))[:] = text
    answer = encoder.encode(EncodeTask(slot=0, size=len(text), mark=mark.encode().decode("latin-1")))
    assert slots.tokens(0, answer.tokens).cast("H").tolist() == tokens_of(documents)
    assert answer.documents == 4


def test_a_file_that_became_shorter_is_an_error(file: Path) -> None:
    """Never a shorter text without a word."""
    file.write_bytes(b"a word or two")
    task = EncodeTask(slot=0, size=20, path=str(file), starts_document=True, ends_document=True)
    with pytest.raises(OSError, match="shorter"):
        encoder_of(Setting("gpt2")).encode(task)


@pytest.mark.parametrize("verify", ["full", "sample"])
def test_verifying_looks_at_the_text_and_changes_nothing(file: Path, verify: str) -> None:
    """With `full` every byte of it is compared."""
    text = "It was a dark night.\n\nThe rain fell. " * 2000
    encoder = encoder_of(Setting("gpt2", "\n\n"), verify=verify)
    tokens, _, answers = encode_file(encoder, file, text.encode(), piece_bytes=1 << 14)
    assert tokens == tokens_of(documents_of(text, "\n\n"))
    looked_at = sum(answer.verified_bytes for answer in answers)
    if encoder.engine_name == "tiktoken":
        assert looked_at == 0  # it is the reference
    else:
        assert looked_at == len(text) if verify == "full" else 0 < looked_at <= len(text)


def test_settings_are_told_apart() -> None:
    """The cache of encoders above never gives one setting's encoder to another."""
    one = encoder_of(Setting("gpt2"))
    assert one is encoder_of(Setting("gpt2"))
    assert one is not encoder_of(replace(Setting("gpt2"), eot="none"))
