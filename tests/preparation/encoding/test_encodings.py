"""The encodings' facts are tiktoken's own, and their ranks are found offline."""

import base64
import hashlib
import shutil
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import tiktoken.load
from tiktoken_ext import openai_public

from oomguard.errors import BadInput, NothingFound
from oomguard.preparation.encoding.encodings import (
    ENCODINGS,
    EncodingSpec,
    find_encoding,
    find_rank_file,
    load_tiktoken,
    read_ranks,
)
from tests.reference import SHIPPED, encoding_of, pattern_of


@pytest.mark.parametrize("name", ENCODINGS)
def test_facts_are_those_of_tiktoken(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its constructors name the sha256, the special tokens and the number of ids."""
    asked: list[tuple[str, str]] = []

    def load(address: str, expected_hash: str) -> dict[bytes, int]:
        asked.append((address, expected_hash))
        return {}

    monkeypatch.setattr(openai_public, "load_tiktoken_bpe", load)
    spec = find_encoding(name)
    facts = getattr(openai_public, spec.name)()
    assert asked[0][0].endswith(f"/{spec.name}.tiktoken")
    assert spec.sha256 == asked[0][1]
    assert spec.eot == facts["special_tokens"]["<|endoftext|>"]
    highest = max(facts["special_tokens"].values())
    assert spec.vocabulary_size == facts.get("explicit_n_vocab", highest + 1)


@pytest.mark.parametrize("name", ENCODINGS)
def test_every_id_fits_and_the_gap_is_the_only_one(name: str) -> None:
    spec = find_encoding(name)
    encoding_of(spec.name)  # skips where its ranks are not on this machine
    ranks = sorted(read_ranks(find_rank_file(spec)).values())
    missing = set(range(ranks[-1])) - set(ranks)
    assert missing == ({spec.gap} if spec.gap is not None else set())
    assert max(*ranks, spec.eot) < spec.vocabulary_size <= 1 << (8 * spec.token_bytes)


def test_gpt2_ranks_are_in_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It works offline, without a cache."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    assert find_rank_file(find_encoding("gpt2")) == SHIPPED / "r50k_base.tiktoken"


def test_encoding_is_tiktokens(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = find_encoding("gpt2")
    text = "Hello  world\n\n<|endoftext|> it's 12345"
    assert load_tiktoken(spec, find_rank_file(spec)).encode_ordinary(text) == encoding_of("r50k_base").encode_ordinary(
        text
    )


class _Unchangeable(ModuleType):
    def __setattr__(self, name: str, value: object) -> None:
        assert name != "load_tiktoken_bpe", "replaced for all threads"
        super().__setattr__(name, value)


@pytest.mark.parametrize("name", ENCODINGS)
def test_the_pattern_is_asked_for_without_changing_tiktoken_for_others(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Another thread may call tiktoken.get_encoding() at that moment."""
    ranks = tmp_path / "ranks"
    ranks.write_bytes(b"".join(b"%s %d\n" % (base64.b64encode(bytes([byte])), byte) for byte in range(256)))
    spec = replace(find_encoding(name), sha256=hashlib.sha256(ranks.read_bytes()).hexdigest())
    with monkeypatch.context() as patch:
        patch.setattr(openai_public, "__class__", _Unchangeable)
        pattern = load_tiktoken(spec, ranks)._pat_str
    assert pattern == pattern_of(spec.name)


def test_unknown_encoding_names_those_there_are() -> None:
    with pytest.raises(BadInput, match='"gpt3"') as caught:
        find_encoding("gpt3")
    assert "cl100k_base" in caught.value.do


@pytest.fixture
def made_up() -> EncodingSpec:
    """An encoding that no machine has in a cache."""
    return EncodingSpec(
        name="tiny_base", family="gpt2", sha256=hashlib.sha256(b"YQ== 0\n").hexdigest(), eot=1, vocabulary_size=2
    )


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """No network; gives the addresses that were asked for."""
    asked: list[str] = []

    def read_file(address: str) -> bytes:
        asked.append(address)
        raise ConnectionError("no network")

    monkeypatch.setattr(tiktoken.load, "read_file", read_file)
    return asked


def test_offline_the_error_says_where_to_put_the_file(
    made_up: EncodingSpec, offline: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And what it says works."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    with pytest.raises(NothingFound, match='"tiny_base"') as caught:
        find_rank_file(made_up)
    assert offline and offline[0] in caught.value.do
    (file,) = [Path(word) for word in caught.value.do.split() if word.startswith(f"{tmp_path}/")]
    assert f"TIKTOKEN_CACHE_DIR={tmp_path}" in caught.value.do
    file.write_bytes(b"YQ== 0\n")
    assert find_rank_file(made_up) == file


def test_a_file_under_its_own_name_is_found_too(
    made_up: EncodingSpec, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    (tmp_path / "tiny_base.tiktoken").write_bytes(b"YQ== 0\n")
    assert find_rank_file(made_up) == tmp_path / "tiny_base.tiktoken"


def test_a_file_with_another_hash_is_not_used(
    made_up: EncodingSpec, offline: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A torn download, or somebody's own ranks: the tokens would be others."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    address = "https://openaipublic.blob.core.windows.net/encodings/tiny_base.tiktoken"
    for name in ("tiny_base.tiktoken", hashlib.sha1(address.encode()).hexdigest()):
        (tmp_path / name).write_bytes(b"YQ== 1\n")
    with pytest.raises(NothingFound):
        find_rank_file(made_up)
    assert offline == [address]


def test_what_was_downloaded_is_found(made_up: EncodingSpec, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With and without a cache folder that tiktoken may use."""
    monkeypatch.setattr(tiktoken.load, "read_file", lambda _: b"YQ== 0\n")
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path / "new"))
    assert find_rank_file(made_up).read_bytes() == b"YQ== 0\n"
    shutil.rmtree(tmp_path / "new")
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")  # tiktoken: no cache at all
    with pytest.raises(NothingFound):
        find_rank_file(made_up)
