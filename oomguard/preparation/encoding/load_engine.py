"""Which engine there is here: the native core where it was built, else tiktoken."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from oomguard.preparation.encoding import block_cache
from oomguard.preparation.encoding.native import CoreUnavailable
from oomguard.preparation.encoding.native_engine import NativeEngine, map_vocabulary, write_vocabulary
from oomguard.preparation.encoding.tokenizers import Engine, TiktokenEngine
from oomguard.preparation.encoding.unicode_probe import require_same_unicode

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from oomguard.preparation.encoding.encodings import EncodingSpec

_ASKED = "OOMGUARD_ENGINE"  # "tiktoken": do without the core


def core_is_built() -> bool:
    """Whether the native core is there and gives tiktoken's tokens."""
    if os.environ.get(_ASKED) == TiktokenEngine.name:
        return False
    try:
        require_same_unicode()
    except CoreUnavailable:
        return False
    return True


def open_vocabulary(stack: ExitStack) -> int:
    """Give a descriptor for `fill_vocabulary`, which workers may inherit before that; `stack` closes it."""
    fd = os.memfd_create("oomguard-vocabulary")
    stack.callback(os.close, fd)
    return fd


def fill_vocabulary(rank_file: Path, fd: int) -> None:
    """Put the vocabulary where all workers share it, in 4 ms for GPT-2 and 40 the first time: they start meanwhile."""
    write_vocabulary(rank_file, fd)


def load_engine(spec: EncodingSpec, rank_file: Path, *, cache_bits: int = 16, vocabulary_fd: int = -1) -> Engine:
    """Give the native core where it was built, else tiktoken; without a descriptor, with a vocabulary of its own."""
    if not core_is_built():
        return TiktokenEngine(spec, rank_file)
    shared = vocabulary_fd >= 0
    vocabulary = map_vocabulary(vocabulary_fd) if shared else block_cache.open_vocabulary(rank_file)
    return NativeEngine(spec, vocabulary, cache_bits=cache_bits)
