"""A tokenizer from a file or by its name on the Hugging Face Hub: `--tokenizer`."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.errors import BadInput, NothingFound
from oomguard.preparation.encoding.encodings import EncodingSpec
from oomguard.preparation.encoding.known_ranks import KNOWN
from oomguard.preparation.encoding.splitters import PATTERNS, family_of, find_splitter
from oomguard.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST_BYTES = 256 << 20
_MOST_IDS = (1 << 20) - 1  # the core's ids have 20 bits
_HUB_NAME = re.compile(r"([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")
_RANK_LINE = re.compile(rb"[A-Za-z0-9+/]+={0,2} [0-9]+\r?\n")
_SHOWN = 6


def open_tokenizer(given: str, *, pattern: str | None = None, eot_token: str | None = None) -> EncodingSpec:
    """Give the tokenizer of a tokenizer.json, a tekken.json, a rank file, or a name on the Hub (org/model[@revision]).

    pattern: how a rank file's text is split, by name. eot_token: the id or the name of end-of-text, if not the file's.
    Raises: BadInput, NothingFound, with what to do.
    """
    file = _find_file(given)
    data = _read(file)
    name = printable(given)
    if pattern is not None and pattern not in PATTERNS:
        raise BadInput(f'--pattern "{pattern}" is not one that is known', do=f"--pattern {' | '.join(PATTERNS)}")
    if data.lstrip()[:1] == b"{":
        if pattern is not None:
            raise BadInput(f"--pattern: {name} says itself how text is split", do="leave --pattern out")
        spec, special = _read_json(data, name=name, file=str(file))
    else:
        spec, special = _read_ranks(data, pattern, name=name, file=str(file))
    return spec if eot_token is None else _with_eot(spec, eot_token, special)


def _find_file(given: str) -> Path:
    path = Path(given)
    if path.is_dir():
        found = [path / name for name in ("tokenizer.json", "tekken.json") if (path / name).is_file()]
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
    from oomguard.preparation.encoding.hub import fetch_tokenizer

    return fetch_tokenizer(name[1], name[2]).resolve()


def _read(file: Path) -> bytes:
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise BadInput(f"{printable(str(file))}: a tokenizer's file is not that large", do="--tokenizer FILE")
        return file.read_bytes()
    except OSError as error:
        raise BadInput(
            f"{printable(str(file))} cannot be read: {error.strerror or error}", do=f"ls -l {printable(str(file))}"
        ) from error


def _read_json(data: bytes, *, name: str, file: str) -> tuple[EncodingSpec, dict[str, int]]:
    try:
        whole = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{name} is not JSON: {error}", do="get the file again") from error
    if "model" in whole:
        from oomguard.preparation.encoding.tokenizer_json import read_tokenizer_json

        return read_tokenizer_json(data, whole, name=name, file=file)
    if "config" in whole and "vocab" in whole:
        from oomguard.preparation.encoding.tekken import read_tekken

        return read_tekken(data, whole, name=name, file=file)
    raise BadInput(
        f"{name} is neither a tokenizer.json nor a tekken.json",
        do="--tokenizer tokenizer.json (not tokenizer_config.json, config.json or vocab.json)",
    )


def _read_ranks(
    data: bytes, pattern: str | None, *, name: str, file: str
) -> tuple[EncodingSpec, dict[str, int]]:
    if not _RANK_LINE.match(data):
        if data[:1] == b"\n":
            raise BadInput(f"{name} is a SentencePiece model, which is not byte-level BPE", do="--tokenizer tokenizer.json")
        raise BadInput(f"{name} is no tokenizer's file that is known", do="--tokenizer FILE.json or FILE.tiktoken")
    digest = hashlib.sha256(data).hexdigest()
    known = KNOWN.get(digest)
    if known is None and pattern is None:
        raise BadInput(
            f"{name}: a rank file does not say how text is split, and this one is not known",
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
    ranks = [int(line.split()[1]) for line in data.splitlines() if line]
    spec = EncodingSpec(
        name=name,
        family=family_of(splitter),
        sha256=digest,
        eot=known.eot if known else -1,
        bos=known.bos if known else -1,
        vocabulary_size=known.vocabulary_size if known else max(ranks) + 1,
        file=file,
        pattern=PATTERNS[chosen],
    )
    return spec, dict(known.special) if known else {}


def _with_eot(spec: EncodingSpec, eot_token: str, special: Mapping[str, int]) -> EncodingSpec:
    if eot_token in special:
        return replace(spec, eot=special[eot_token])
    if not re.fullmatch(r"[0-9]{1,7}", eot_token):
        names = ", ".join(list(special)[:_SHOWN]) or "none that are known"
        raise BadInput(
            f'--eot-token "{printable(eot_token)}": {spec.name} has no such token (it has {names})',
            do="--eot-token with the number of its id",
        )
    token = int(eot_token)
    # A rank file does not say how many ids the model has beyond its ranks.
    size = max(spec.vocabulary_size, token + 1) if spec.form == "ranks" else spec.vocabulary_size
    if token >= size or token >= _MOST_IDS:
        raise BadInput(
            f"--eot-token {token}: the ids of {spec.name} end with {spec.vocabulary_size - 1}",
            do=f"--eot-token {spec.eot if spec.eot >= 0 else spec.vocabulary_size - 1}",
        )
    return replace(spec, eot=token, vocabulary_size=size)
