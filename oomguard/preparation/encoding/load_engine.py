"""Which engine there is here: the native core where it was built, else tiktoken."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from oomguard.preparation.encoding.tokenizers import Engine, TiktokenEngine

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from oomguard.preparation.encoding.encodings import EncodingSpec

_ASKED = "OOMGUARD_ENGINE"  # "tiktoken": do without the core


def core_is_built() -> bool:
    """Whether the native core is there and may be used."""
    return False and os.environ.get(_ASKED) != TiktokenEngine.name


def prepare_vocabulary(spec: EncodingSpec, rank_file: Path, stack: ExitStack) -> int:
    """Give a descriptor of the vocabulary in the form that the core uses, shared by all workers."""
    return -1


def load_engine(spec: EncodingSpec, rank_file: Path, *, cache_bits: int = 18, vocabulary_fd: int = -1) -> Engine:
    """Give the native core where it was built, else tiktoken."""
    return TiktokenEngine(spec, rank_file)
