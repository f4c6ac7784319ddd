"""The encodings, and where their byte-pair ranks come from.

Source: tiktoken_ext/openai_public.py (names, addresses, sha256 of the rank files, ids of <|endoftext|>).
"""

from __future__ import annotations

import binascii
import hashlib
import os
import tempfile
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.errors import BadInput, NothingFound

if TYPE_CHECKING:
    import tiktoken

    from oomguard.preparation.encoding.safe_cuts import Family

_ADDRESS = "https://openaipublic.blob.core.windows.net/encodings/"


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodingSpec:
    """One of tiktoken's encodings."""

    name: str
    family: Family
    sha256: str  # of the rank file
    eot: int  # the id of <|endoftext|>
    vocabulary_size: int  # ids run from 0 to one less
    gap: int | None = None  # the one rank below the highest that the file does not have

    @property
    def token_bytes(self) -> int:
        """Bytes of one token on disk: 2 (uint16) or 4 (uint32)."""
        return 2 if self.vocabulary_size <= 1 << 16 else 4


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


def find_rank_file(spec: EncodingSpec) -> Path:
    """Give the file with the encoding's ranks: shipped, in tiktoken's cache, or downloaded into it by tiktoken.

    Raises: NothingFound if it is nowhere and cannot be downloaded; the error says how to put it there.
    """
    shipped = Path(str(files("oomguard.preparation.encoding") / "vocab" / f"{spec.name}.tiktoken"))
    cache = _tiktoken_cache()
    address = f"{_ADDRESS}{spec.name}.tiktoken"
    cached = cache / hashlib.sha1(address.encode(), usedforsecurity=False).hexdigest()
    for file in (shipped, cached, cache / f"{spec.name}.tiktoken"):
        if file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() == spec.sha256:
            return file
    try:
        from tiktoken.load import read_file_cached

        read_file_cached(address, spec.sha256)
    except Exception as error:
        # tiktoken fetches with requests, which has many ways to fail and is not ours to import.
        raise NothingFound(
            f'the ranks of "{spec.name}" are not on this machine and could not be downloaded',
            do=f"fetch {address} elsewhere, save it as {cached} and set TIKTOKEN_CACHE_DIR={cache}",
        ) from error
    if not cached.is_file():  # TIKTOKEN_CACHE_DIR is set but empty: it downloads and keeps nothing
        raise NothingFound(
            f'the ranks of "{spec.name}" were downloaded, but TIKTOKEN_CACHE_DIR="" lets tiktoken keep nothing',
            do=f"export TIKTOKEN_CACHE_DIR={cache}",
        )
    return cached


def gigatoken_is_installed() -> bool:
    """Whether the fast engine is there; looks without importing it."""
    return find_spec("gigatoken") is not None


def _tiktoken_cache() -> Path:
    """The folder that tiktoken.load uses."""
    named = os.environ.get("TIKTOKEN_CACHE_DIR") or os.environ.get("DATA_GYM_CACHE_DIR")
    return Path(named) if named else Path(tempfile.gettempdir(), "data-gym-cache")


def read_ranks(rank_file: Path) -> dict[bytes, int]:
    """Read a rank file: a line holds a word in base64 and its rank."""
    fields = rank_file.read_bytes().split()
    return dict(zip(map(binascii.a2b_base64, fields[::2]), map(int, fields[1::2]), strict=True))


def load_tiktoken(spec: EncodingSpec, rank_file: Path) -> tiktoken.Encoding:
    """Build tiktoken's encoding from a rank file, without special tokens.

    For gpt2 this takes 0.06 s where tiktoken's own constructor takes 0.36 s, and it never uses the network.
    """
    import tiktoken

    return tiktoken.Encoding(
        spec.name, pat_str=_split_pattern(spec), mergeable_ranks=read_ranks(rank_file), special_tokens={}
    )


def _split_pattern(spec: EncodingSpec) -> str:
    """Ask the installed tiktoken, so that its patterns are written down in one place only."""
    from tiktoken_ext import openai_public

    load = openai_public.load_tiktoken_bpe
    openai_public.load_tiktoken_bpe = lambda *_, **__: {}  # its constructors load the ranks first
    try:
        return str(getattr(openai_public, spec.name)()["pat_str"])
    finally:
        openai_public.load_tiktoken_bpe = load
