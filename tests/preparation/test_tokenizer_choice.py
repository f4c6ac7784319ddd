"""`--tokenizer`, `--pattern`, `--eot-token`: what a person may give, and what is said of it."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from oomguard.errors import BadInput, MissingExtra, NothingFound, OomguardError
from oomguard.preparation.encoding.splitters import PATTERNS
from oomguard.preparation.encoding.tokenizer_files import open_tokenizer
from oomguard.preparation.options import PrepareOptions, resolve_options
from tests.preparation.encoding.tokenizer_files import added_token, make_json, need_tokenizers, read_rank_file
from tests.preparation.expecting import read_tokens
from tests.reference import SHIPPED, encoding_of

Run = Callable[..., CompletedProcess[str]]
RANKS = SHIPPED / "r50k_base.tiktoken"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A tokenizer.json of the first ranks of GPT-2, split as by Llama 3."""
    ranks = dict(list(read_rank_file(RANKS).items())[:2000])
    file = tmp_path / "model" / "tokenizer.json"
    file.parent.mkdir()
    added = [added_token("<|end_of_text|>", 2000), added_token("<|begin_of_text|>", 2001)]
    file.write_text(json.dumps(make_json(ranks, regex=PATTERNS["llama3"], added=added)))
    return file


@pytest.fixture
def unknown(tmp_path: Path) -> Path:
    """A rank file whose sha256 is not known."""
    file = tmp_path / "mine.tiktoken"
    file.write_bytes(b"".join(RANKS.read_bytes().splitlines(keepends=True)[:3000]))
    return file


def test_a_rank_file_that_is_known_needs_nothing(tmp_path: Path) -> None:
    file = tmp_path / "any.name"
    shutil.copy(RANKS, file)
    spec = open_tokenizer(str(file))
    assert (spec.eot, spec.vocabulary_size, spec.pattern) == (50256, 50257, PATTERNS["r50k"])


def test_a_rank_file_that_is_not_known_needs_a_pattern_and_an_end(unknown: Path) -> None:
    with pytest.raises(BadInput, match="does not say how text is split") as error:
        open_tokenizer(str(unknown))
    assert "--pattern r50k | cl100k" in error.value.do
    options = PrepareOptions(inputs=("x",), tokenizer=str(unknown), pattern="qwen")
    with pytest.raises(BadInput, match="which id ends a document"):
        resolve_options(options)
    spec = open_tokenizer(str(unknown), pattern="qwen", eot_token="3005")
    assert (spec.eot, spec.vocabulary_size, spec.pattern) == (3005, 3006, PATTERNS["qwen"])


def test_a_known_rank_file_with_another_pattern_is_refused() -> None:
    with pytest.raises(BadInput, match="vocabulary of r50k_base, split by r50k"):
        open_tokenizer(str(RANKS), pattern="o200k")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\n\x0e\n\x05<unk>\x15\0\0", "SentencePiece"),
        (b"{", "not JSON"),
        (b'{"auto_map": 1}', "neither a tokenizer.json nor"),
        (b"hello\n", "is not a tokenizer file of a known kind"),
        (b"", "is not a tokenizer file of a known kind"),
        (b"[1]", "is not a tokenizer file of a known kind"),
    ],
)
def test_what_is_no_tokenizer_is_refused(tmp_path: Path, content: bytes, what: str) -> None:
    file = tmp_path / "given"
    file.write_bytes(content)
    with pytest.raises(BadInput, match=what):
        open_tokenizer(str(file))


def test_a_file_that_is_not_there() -> None:
    for name in ("nowhere.json", "nowhere/tokenizer.json", "nowhere"):
        with pytest.raises(NothingFound, match="no such file"):
            open_tokenizer(name)


def test_a_folder_of_a_model(small: Path) -> None:
    assert open_tokenizer(str(small.parent)).eot == 2000
    with pytest.raises(NothingFound, match="no tokenizer.json"):
        open_tokenizer(str(small.parents[1]))


@pytest.mark.parametrize(
    ("eot", "asked", "between"), [("after", None, 2000), ("before", None, 2001), ("before", "<|end_of_text|>", 2000), ("after", "7", 7)]
)  # fmt: skip
def test_the_token_between_documents(small: Path, eot: str, asked: str | None, between: int) -> None:
    """A family with a begin-of-text has it before each document; a token that was asked for is taken."""
    options = PrepareOptions(inputs=("x",), tokenizer=str(small), eot=eot, eot_token=asked)  # type: ignore[arg-type]
    assert resolve_options(options).spec.eot == between


@pytest.mark.parametrize("asked", ["<|nothing|>", "2002", "99999999", "-1", ""])
def test_an_end_that_is_not_there(small: Path, asked: str) -> None:
    with pytest.raises(BadInput, match="--eot-token"):
        open_tokenizer(str(small), eot_token=asked)


def test_the_end_of_an_encoding_can_be_another() -> None:
    options = PrepareOptions(inputs=("x",), encoding="gpt2", eot_token="0")
    assert resolve_options(options).spec.eot == 0


@pytest.mark.parametrize(
    "given", [{"pattern": "qwen"}, {"encoding": "cl100k_base", "tokenizer": str(RANKS)}, {"tokenizer": str(RANKS), "pattern": "x"}]
)  # fmt: skip
def test_what_contradicts_itself(given: dict[str, str]) -> None:
    with pytest.raises(OomguardError):
        resolve_options(PrepareOptions(inputs=("x",), **given))  # type: ignore[arg-type]


def test_a_name_on_the_hub_is_found_in_its_cache(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    constants = pytest.importorskip(
        "huggingface_hub.constants", reason="needs huggingface_hub: pip install 'oomguard[hub]'"
    )
    commit = "0123456789abcdef0123456789abcdef01234567"
    model = tmp_path / "hub" / "models--some--model"
    (model / "snapshots" / commit).mkdir(parents=True)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(commit)
    shutil.copy(small, model / "snapshots" / commit / "tokenizer.json")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert open_tokenizer("some/model").eot == 2000
    assert open_tokenizer(f"some/model@{commit}").eot == 2000
    with pytest.raises(NothingFound, match="none could be fetched"):
        open_tokenizer("some/other")


def test_without_huggingface_hub_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtra) as error:
        open_tokenizer("some/model")
    assert error.value.do == "pip install 'oomguard[hub]'"


@pytest.mark.slow
def test_the_whole_command(small: Path, tmp_path: Path, oomguard: Run) -> None:
    """The shards, what is said, and what the manifest keeps of a tokenizer.json."""
    need_tokenizers()
    import tokenizers

    text = "Der 12345 übermütige Fuchs.\r\n\r\n  <|end_of_text|> 中文" * 300
    (tmp_path / "in.txt").write_bytes(text.encode())
    done = oomguard(
        "prepare", "in.txt", "--tokenizer", str(small), "--verify", "full", "--val-fraction", "0", "--out", "out"
    )
    assert done.returncode == 0, done.stderr
    assert "pattern llama3, 2,002 ids, end-of-text 2000" in " ".join(done.stdout.split())
    assert "encoded again by tokenizers: the same" in " ".join(done.stdout.split())
    theirs = tokenizers.Tokenizer.from_file(str(small))
    theirs.encode_special_tokens = True
    assert read_tokens(tmp_path / "out" / "train.bin") == [*theirs.encode(text, add_special_tokens=False).ids, 2000]
    head = json.loads((tmp_path / "out" / ".oomguard" / "manifest.jsonl").read_text().splitlines()[0])
    assert head["encoding"]["sha256"] == open_tokenizer(str(small)).sha256
    again = oomguard(
        "prepare",
        "in.txt",
        "--tokenizer",
        str(small),
        "--verify",
        "full",
        "--val-fraction",
        "0",
        "--out",
        "out",
        "--eot-token",
        "5",
    )
    assert again.returncode == 1


@pytest.mark.slow
def test_a_tokenizer_that_the_core_does_not_know(small: Path, tmp_path: Path, oomguard: Run) -> None:
    """The first line names the library that encodes, and a note says why; on every machine, with the core or without."""
    need_tokenizers()
    ranks = dict(list(read_rank_file(RANKS).items())[:2000])
    small.write_text(json.dumps(make_json(ranks, regex="[a-z]+|[^a-z]+", added=[added_token("<|end_of_text|>", 2000)])))
    (tmp_path / "in.txt").write_text("words and 12345 numbers " * 500)
    done = oomguard("prepare", "in.txt", "--tokenizer", str(small), "--val-fraction", "0", "--workers", "1")
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[0].endswith("; 1 worker with tokenizers, some 30 times slower")
    assert "note: its pre-tokenizers are none of those that the core knows: tokenizers does the work" in done.stderr


@pytest.mark.slow
def test_a_rank_file_gives_what_its_encoding_gives(tmp_path: Path, oomguard: Run) -> None:
    text = "It's  a\n\n test 123" * 500
    (tmp_path / "in.txt").write_text(text)
    done = oomguard("prepare", "in.txt", "--tokenizer", str(RANKS), "--val-fraction", "0", "--out", "out")
    assert done.returncode == 0, done.stderr
    assert read_tokens(tmp_path / "out" / "train.bin") == [*encoding_of("r50k_base").encode_ordinary(text), 50256]


@pytest.mark.slow
def test_a_file_that_is_replaced_while_a_run_works_changes_nothing(small: Path, tmp_path: Path) -> None:
    """Workers read the tokenizer by the descriptor that was opened at the start; bytes changed in place are noticed."""
    from oomguard.errors import Changed
    from oomguard.preparation.encoding.load_engine import load_engine

    spec = open_tokenizer(str(small))
    with small.open("rb") as held:
        small.with_suffix(".new").write_bytes(b"{}")
        small.with_suffix(".new").replace(small)
        assert load_engine(spec, Path(f"/proc/self/fd/{held.fileno()}")).name
    with pytest.raises(Changed):
        load_engine(spec, small)


@pytest.mark.parametrize("installed", ["0.20.3", "1.0.0rc3", "2.0.0"])
def test_a_version_that_was_not_tried_is_not_taken(installed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from oomguard.preparation.encoding import huggingface

    monkeypatch.setattr(huggingface, "version", lambda _: installed)
    with pytest.raises(MissingExtra, match=installed):
        huggingface.require_tokenizers()
