"""The encodings: tiktoken's by name, and those of tokenizer files; and where their ranks come from.

Source: tiktoken_ext/openai_public.py (names, addresses, sha256 of the rank files, ids of <|endoftext|>).
"""

from __future__ import annotations

import binascii
import hashlib
import os
import re
from dataclasses import replace
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Literal

from oomguard.errors import BadInput, Changed, NothingFound
from oomguard.kernel.plain_files import read_regular
from oomguard.preparation.encoding.splitters import CL100K, O200K, R50K, find_splitter, name_of
from oomguard.records import dataclass
from oomguard.text import printable, shell_word
from oomguard.units import MIB

if TYPE_CHECKING:
    from collections.abc import Mapping

    import tiktoken

    from oomguard.preparation.encoding.safe_cuts import Family
    from oomguard.preparation.encoding.splitters import Splitter

# Of a tokenizer's file: a line for each token, Mistral's tekken.json, or Hugging Face's tokenizer.json.
_MOST_BYTES = 256 * MIB
USUAL_ENCODING = "gpt2"
MOST_IDS = (1 << 20) - 1  # the core's ids have 20 bits
_NAMES_SHOWN = 6
Form = Literal["ranks", "tekken", "huggingface"]

_ADDRESS = "https://openaipublic.blob.core.windows.net/encodings/"


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodingSpec:
    """A tokenizer, as far as encoding with it needs to know; plain values, so that workers can be told."""

    name: str
    family: Family  # of its safe cuts
    sha256: str  # of its file
    eot: int  # the id of end-of-text; -1: none is known
    vocabulary_size: int  # ids run from 0 to one less
    gap: int | None = None  # the one rank below the highest that the file does not have
    form: Form = "ranks"
    file: str | None = None  # None: one of tiktoken's, found by its name
    file_bytes: int = 0
    pattern: str = ""  # "": the one that the installed tiktoken has for the name
    native: bool = True  # whether the core gives its tokens
    why_slow: str = ""  # not native: why
    first_id: int = 0  # Tekken: the id of rank 0
    rank_count: int = 0  # Tekken: how many of its file's ranks it uses
    bos: int = -1  # the id that begins a text; -1: there is none
    nfc: bool = False
    added: tuple[tuple[str, int], ...] = ()  # no special ones, but one token each where a text has them
    added_first: bool = False  # they are looked for before the text becomes NFC

    def __post_init__(self) -> None:
        """Take lists for tuples, as JSON has them."""
        object.__setattr__(self, "added", tuple((str(name), int(token)) for name, token in self.added))

    @property
    def token_bytes(self) -> int:
        """Bytes of one token on disk: 2 (uint16) or 4 (uint32)."""
        return 2 if self.vocabulary_size <= 1 << 16 else 4

    @property
    def splitter(self) -> Splitter | None:
        """How the core splits for it; None if it cannot."""
        if self.pattern:
            return find_splitter(self.pattern)
        return {"gpt2": R50K, "cl100k": CL100K, "o200k": O200K}.get(self.family)  # tiktoken's own, by name

    @property
    def reference(self) -> str:
        """The library whose tokens are right."""
        return "tokenizers" if self.form == "huggingface" else "tiktoken"

    @property
    def vocabulary_bytes(self) -> int | None:
        """Bytes of memory of the core's vocabulary, 45 to 57 an id; None: as measured for tiktoken's own."""
        return None if self.file is None else 64 * self.vocabulary_size

    @property
    def reference_bytes(self) -> int | None:
        """Bytes of memory that the reference takes; None: as measured for tiktoken's own.

        Measured: tokenizers 12 to 19 a byte of its file, and 330 a byte of text; tiktoken 430 to 470 an id.
        """
        if self.file is None:
            return None
        return (
            24 * MIB + 20 * self.file_bytes
            if self.form == "huggingface"
            else 512 * self.vocabulary_size + 2 * self.file_bytes
        )

    def identity(self) -> str | dict[str, object]:
        """What decides which tokens a text has, for the manifest: tiktoken's name, or the sha256 of a file."""
        if self.file is None and self.eot == ENCODINGS[self.name].eot:
            return self.name
        pattern = hashlib.sha256(self.pattern.encode()).hexdigest() if self.form == "ranks" else ""
        return {"sha256": self.sha256, "pattern": pattern, "eot": self.eot}

    def summary(self) -> str:
        """What was recognised, for people: "pattern llama3, 128,256 ids, end-of-text 128001"."""
        parts = [f"pattern {name_of(self.pattern)}"] if self.native and self.pattern else []
        parts.append(f"{self.vocabulary_size:,} ids")
        if self.eot >= 0:
            parts.append(f"{'begin' if self.eot == self.bos else 'end'}-of-text {self.eot}")
        if self.nfc:
            parts.append("NFC")
        return ", ".join(parts)


_SPECS = [
    EncodingSpec(
        name="r50k_base",
        family="gpt2",
        sha256="306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930",
        eot=50256,
        vocabulary_size=50257,
    ),
    EncodingSpec(
        name="p50k_base",
        family="gpt2",
        sha256="94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069",
        eot=50256,
        vocabulary_size=50281,
        gap=50256,
    ),
    EncodingSpec(
        name="cl100k_base",
        family="cl100k",
        sha256="223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
        eot=100257,
        vocabulary_size=100277,
    ),
    EncodingSpec(
        name="o200k_base",
        family="o200k",
        sha256="446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
        eot=199999,
        vocabulary_size=200019,
    ),
]
ENCODINGS = {spec.name: spec for spec in _SPECS} | {"gpt2": _SPECS[0]}


def find_encoding(name: str) -> EncodingSpec:
    """Give the encoding called `name`.

    Raises: BadInput if there is none.
    """
    if name not in ENCODINGS:
        raise BadInput(f'there is no encoding "{name}"', do=f"--encoding {' | '.join(sorted(ENCODINGS))}")
    return ENCODINGS[name]


def with_eot(spec: EncodingSpec, eot_token: str, special: Mapping[str, int]) -> EncodingSpec:
    """Let another token end documents: one of `special` by its name, or any by its id.

    Raises: BadInput if there is none.
    """
    if eot_token in special:
        return replace(spec, eot=special[eot_token])
    if not re.fullmatch(r"[0-9]{1,7}", eot_token):
        names = ", ".join(list(special)[:_NAMES_SHOWN]) or "none that are known"
        raise BadInput(
            f'--eot-token "{printable(eot_token)}": {spec.name} has no such token (it has {printable(names)})',
            do="--eot-token with the number of its id",
        )
    token = int(eot_token)
    # A rank file does not say how many ids the model has beyond its ranks.
    open_ended = spec.form == "ranks" and spec.file is not None
    size = max(spec.vocabulary_size, token + 1) if open_ended else spec.vocabulary_size
    if token >= min(size, MOST_IDS):
        raise BadInput(
            f"--eot-token {token}: the ids of {spec.name} end at {spec.vocabulary_size - 1}",
            do=f"--eot-token {spec.eot if spec.eot >= 0 else spec.vocabulary_size - 1}",
        )
    return replace(spec, eot=token, vocabulary_size=size)


def find_rank_file(spec: EncodingSpec) -> Path:
    """Give the file with the encoding's ranks: shipped, in tiktoken's cache, or downloaded into it by tiktoken.

    Raises: NothingFound if it is nowhere and cannot be downloaded; the error says how to put it there.
    """
    if spec.file is not None:
        return Path(spec.file)
    shipped = Path(__file__).with_name("vocab") / f"{spec.name}.tiktoken"
    if _is(shipped, spec.sha256):
        return shipped
    cache = _tiktoken_cache()
    address = f"{_ADDRESS}{spec.name}.tiktoken"
    cached = cache / hashlib.sha1(address.encode(), usedforsecurity=False).hexdigest()
    for file in (cached, cache / f"{spec.name}.tiktoken"):
        if _is(file, spec.sha256):
            return file
    if cached.exists() and not cached.is_file():  # tiktoken would wait for a pipe
        raise NothingFound(
            f"{cached} is not a regular file", do=f"rm {shell_word(str(cached))}, and run the same command again"
        )
    try:
        from tiktoken.load import read_file_cached

        read_file_cached(address, spec.sha256)
    except Exception as error:
        # tiktoken fetches with requests, which has many ways to fail and is not ours to import.
        raise NothingFound(
            f'the ranks of "{spec.name}" are not on this machine and could not be downloaded',
            do=f"fetch {address} elsewhere, save it as {shell_word(str(cached))} and "
            f"export TIKTOKEN_CACHE_DIR={shell_word(str(cache))}",
        ) from error
    if not cached.is_file():  # TIKTOKEN_CACHE_DIR is set but empty: it downloads and keeps nothing
        raise NothingFound(
            f'the ranks of "{spec.name}" were downloaded, but TIKTOKEN_CACHE_DIR="" lets tiktoken keep nothing',
            do=f"export TIKTOKEN_CACHE_DIR={shell_word(str(cache))}",
        )
    return cached


def _is(file: Path, sha256: str) -> bool:
    """Whether it is a file with these bytes. Others may write to the cache: what is there may be anything."""
    try:
        return hashlib.sha256(read_file(file)).hexdigest() == sha256
    except OSError:
        return False


def _tiktoken_cache() -> Path:
    """The folder that tiktoken.load uses."""
    import tempfile  # with what it imports 2 ms, which a worker need not pay

    named = os.environ.get("TIKTOKEN_CACHE_DIR") or os.environ.get("DATA_GYM_CACHE_DIR")
    return Path(named) if named else Path(tempfile.gettempdir(), "data-gym-cache")


def read_file(file: Path) -> bytes:
    """Read a tokenizer's file. Raises: OSError, also where it is no regular file, or a larger one than any is."""
    return read_regular(file, _MOST_BYTES)


def read_whole(spec: EncodingSpec, file: Path) -> bytes:
    """Read a tokenizer's file, which must still be what it was.

    Raises: Changed; OSError.
    """
    data = read_file(file)
    if hashlib.sha256(data).hexdigest() != spec.sha256:
        raise Changed(f"the file of the tokenizer {spec.name} has changed", do="run the same command again")
    return data


def read_ranks(file: Path) -> dict[bytes, int]:
    """Read a rank file: a line holds a word in base64 and its rank."""
    return _parse_ranks(read_file(file))


def _parse_ranks(text: bytes) -> dict[bytes, int]:
    fields = text.split()
    return dict(zip(map(binascii.a2b_base64, fields[::2]), map(int, fields[1::2]), strict=True))


def rank_text(spec: EncodingSpec, data: bytes) -> bytes:
    """Give the tokens as the text of a rank file, whatever the form of the tokenizer's own file, which is `data`."""
    if spec.form == "tekken":
        from oomguard.preparation.encoding.json_ranks import tekken_ranks

        return tekken_ranks(data, spec.rank_count)
    if spec.form == "huggingface":
        from oomguard.preparation.encoding.json_ranks import json_ranks

        return json_ranks(data)
    return data


def load_tiktoken(spec: EncodingSpec, file: Path) -> tiktoken.Encoding:
    """Build tiktoken's encoding from a rank file, without special tokens.

    For gpt2 this takes 0.06 s where tiktoken's own constructor takes 0.36 s, and it never uses the network.
    """
    import tiktoken

    return tiktoken.Encoding(
        spec.name,
        pat_str=spec.pattern or _split_pattern(spec),
        mergeable_ranks=_parse_ranks(rank_text(spec, read_whole(spec, file))),
        special_tokens={},
    )


def _split_pattern(spec: EncodingSpec) -> str:
    """Ask the installed tiktoken, so that its patterns are written down in one place only.

    Its constructors load the ranks first. So one is run with globals of its own: other threads see tiktoken as it is.
    """
    from tiktoken_ext import openai_public

    names = {**vars(openai_public), "load_tiktoken_bpe": lambda *_, **__: {}}
    constructor = FunctionType(getattr(openai_public, spec.name).__code__, names)
    return str(constructor()["pat_str"])
