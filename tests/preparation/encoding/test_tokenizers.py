"""The core and tiktoken behind one interface give the same ids: those of `encode_ordinary`."""

from array import array
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oomguard.preparation.encoding.encodings import find_encoding, find_rank_file
from oomguard.preparation.encoding.load_engine import load_engine, uses_core
from oomguard.preparation.encoding.tokenizers import (
    BadUtf8,
    Engine,
    EngineCannotEncode,
    NeedsRoom,
    TiktokenEngine,
)
from tests.preparation.expecting import SEPARATORS, hostile_text, tokens_of
from tests.properties import examples
from tests.reference import encoding_of

NAMES = ["gpt2", "p50k_base", "cl100k_base", "o200k_base"]
KINDS = ["core", "tiktoken"]


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    encoding_of(find_encoding(request.param).name)  # skips where its ranks are not on this machine
    return str(request.param)


@cache
def engine_of(kind: str, name: str) -> Engine:
    spec = find_encoding(name)
    if kind == "tiktoken":
        return TiktokenEngine(spec, find_rank_file(spec))
    if not uses_core(find_encoding(name)):
        pytest.skip("needs the native core: pip install -e . with a C compiler")
    return load_engine(spec, find_rank_file(spec), cache_bits=12)


def encode(engine: Engine, name: str, text: bytes, *, mark: bytes = b"", eot: int = -1, scratch: int = 1 << 30) -> tuple[list[int], list[int]]:  # fmt: skip
    """The tokens, and where documents end."""
    kind = "H" if find_encoding(name).token_bytes == 2 else "I"
    tokens = memoryview(array(kind, bytes((len(text) * 2 + 200) * array(kind).itemsize)))
    ends = memoryview(array("q", bytes(8 * (len(text) + 2))))
    count, documents = engine.encode(text, mark=mark, eot=eot, tokens=tokens, ends=ends, before=7, scratch=scratch)
    return tokens[:count].tolist(), [end - 7 for end in ends[:documents].tolist()]


@pytest.mark.parametrize("kind", KINDS)
def test_ids_are_those_of_encode_ordinary(name: str, kind: str) -> None:
    for seed in range(30):
        text = hostile_text(seed, 200)
        assert encode(engine_of(kind, name), name, text.encode())[0] == tokens_of([text], encoding=name, eot="none")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mark", SEPARATORS)
def test_each_mark_ends_a_document(name: str, mark: str, kind: str) -> None:
    """Documents are those of `str.split`, so marks that overlap are taken from the left; other specials are text."""
    spec, engine = find_encoding(name), engine_of(kind, name)
    for seed in range(10):
        text = hostile_text(seed, 30) + mark[0] + mark + mark + mark[1:] + "<|endoftext|" + hostile_text(seed, 5) + mark
        for whole in (text, text + mark[0], mark, "", mark[0] * 5):
            parts = whole.split(mark)
            tokens, ends = encode(engine, name, whole.encode(), mark=mark.encode(), eot=spec.eot)
            assert tokens == tokens_of(parts, encoding=name, eot="before")[1:]
            expected = [len(tokens_of(parts[: n + 1], encoding=name, eot="after")) for n in range(len(parts) - 1)]
            assert ends == expected


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", ["i", "q"])
def test_documents_in_an_array(name: str, kind: str, width: str) -> None:
    spec, engine = find_encoding(name), engine_of(kind, name)
    documents = [hostile_text(seed, 20).encode() for seed in range(20)] + [b"", b"x", b""]
    text = b"??" + b"".join(documents)
    offsets = array(width, [2])
    for document in documents:
        offsets.append(offsets[-1] + len(document))
    room = memoryview(array("H" if spec.token_bytes == 2 else "I", bytes((len(text) * 2 + 200) * spec.token_bytes)))
    ends = memoryview(array("q", bytes(8 * len(documents))))
    count = engine.encode_documents(
        text, memoryview(offsets), eot=spec.eot, tokens=room, ends=ends, before=0, scratch=1 << 30
    )
    assert room[:count].tolist() == tokens_of([document.decode() for document in documents], encoding=name)
    assert ends.tolist()[-1] == count


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_of_the_encoding_are_text(name: str, kind: str) -> None:
    """A document cannot forge a boundary, or anything else."""
    text = "a<|endoftext|>b<|fim_prefix|><|endofprompt|><|im_start|>"
    ids, _ = encode(engine_of(kind, name), name, text.encode())
    assert find_encoding(name).eot not in ids
    assert ids == tokens_of([text], encoding=name, eot="none")


@pytest.mark.parametrize("kind", KINDS)
@examples(300)
@given(before=st.text(max_size=8), bad=st.binary(max_size=4), after=st.text(max_size=4))
def test_what_counts_as_utf8_is_what_python_decodes(kind: str, before: str, bad: bytes, after: str) -> None:
    """Surrogates, overlong forms and code points above U+10FFFF included; the place is that of Python's decoder."""
    raw = before.encode() + bad + after.encode()
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        with pytest.raises(BadUtf8) as caught:
            encode(engine_of(kind, "gpt2"), "gpt2", raw)
        assert caught.value.at == error.start
    else:
        assert encode(engine_of(kind, "gpt2"), "gpt2", raw)[0] == tokens_of([raw.decode()], eot="none")


@pytest.mark.slow  # tiktoken 0.9 takes minutes
@pytest.mark.parametrize("kind", KINDS)
def test_a_long_word_asks_for_room(kind: str) -> None:
    text = b"a " + b"ab" * 500_000
    with pytest.raises(NeedsRoom) as caught:
        encode(engine_of(kind, "gpt2"), "gpt2", text, scratch=1 << 20)
    assert caught.value.size > 1 << 20
    assert encode(engine_of(kind, "gpt2"), "gpt2", text, scratch=caught.value.size)[0]


def test_a_million_spaces_stop_tiktoken_and_nothing_else() -> None:
    """tiktoken's regular expression overflows its stack, with an exception that is no Exception."""
    text = b" " * 1_000_000 + b"x"
    with pytest.raises(EngineCannotEncode):
        encode(engine_of("tiktoken", "gpt2"), "gpt2", text)
    ids, _ = encode(engine_of("core", "gpt2"), "gpt2", text)
    words = [encoding_of("r50k_base").decode_single_token_bytes(token) for token in ids]
    assert b"".join(words) == text


def test_without_the_core_tiktoken_does_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OOMGUARD_ENGINE", "tiktoken")
    spec = find_encoding("gpt2")
    assert isinstance(load_engine(spec, find_rank_file(spec)), TiktokenEngine)
