"""The native core as an engine."""

from __future__ import annotations

import mmap
import os
from functools import partial
from typing import TYPE_CHECKING, Any

from oomguard.preparation.encoding.encodings import EncodingSpec, rank_text
from oomguard.preparation.encoding.native import SLACK_TOKENS, Encoder, Status, Vocabulary
from oomguard.preparation.encoding.tokenizers import BadUtf8, NeedsRoom

if TYPE_CHECKING:
    from pathlib import Path

    from oomguard.preparation.encoding.native import Progress


class NativeEngine:
    """Encodes with a state of fixed size, which knows nothing of the text before."""

    name = "core"

    def __init__(self, spec: EncodingSpec, vocabulary: Vocabulary, *, cache_bits: int) -> None:
        splitter = spec.splitter
        assert splitter is not None, spec
        self._encoder = Encoder(
            vocabulary, splitter, token_bytes=spec.token_bytes, cache_bits=cache_bits, first_id=spec.first_id
        )

    def encode(
        self, text: Any, *, mark: bytes, eot: int, tokens: memoryview, ends: memoryview, before: int, scratch: int
    ) -> tuple[int, int]:
        """Encode as `Engine` says."""
        count = documents = at = 0
        in_document, room = True, None
        while True:
            done = self._encoder.encode(
                text,
                tokens[count:],
                start=at,
                delimiter=mark,
                in_document=in_document,
                ends=ends[documents:] if len(ends) else None,
                tokens_before=before + count,
                end_of_text=eot if eot >= 0 else None,
                scratch=room,
            )
            count, documents, at, in_document = (
                count + done.tokens,
                documents + done.documents,
                done.consumed,
                done.in_document,
            )
            if done.status is Status.DONE:
                break
            room = self._scratch(done, scratch)
        if not _ends_with(text, mark):  # the core has ended the last document as well
            documents -= 1
            count -= eot >= 0
        return count, documents

    def encode_documents(
        self, text: Any, offsets: Any, *, eot: int, tokens: memoryview, ends: memoryview, before: int, scratch: int
    ) -> int:
        """Encode as `Engine` says."""
        count = documents = document = at = 0
        room = None
        width = getattr(offsets, "itemsize", 8)
        while True:
            done = self._encoder.encode_documents(
                text,
                offsets,
                tokens[count:],
                offset_bytes=width,
                document=document,
                start=at,
                ends=ends[documents:] if len(ends) else None,
                tokens_before=before + count,
                end_of_text=eot if eot >= 0 else None,
                scratch=room,
            )
            count, documents = count + done.tokens, documents + done.documents
            document, at = done.document, done.consumed
            if done.status is Status.DONE:
                return count
            room = self._scratch(done, scratch)

    def _scratch(self, done: Progress, scratch: int) -> mmap.mmap:
        """Give scratch for the next call, if that is what is missing. Raises: as `Engine.encode`."""
        if done.status is Status.BAD_UTF8:
            raise BadUtf8(done.error_at)
        if done.status is Status.TOO_LONG:
            if done.scratch_needed > scratch:
                raise NeedsRoom(done.scratch_needed, done.error_at)
            return mmap.mmap(-1, done.scratch_needed, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        raise RuntimeError(f"a slot has room for {SLACK_TOKENS} tokens more than bytes, and the core ended with {done}")


def _ends_with(text: Any, mark: bytes) -> bool:
    """Whether nothing stands behind the last mark, as `split` finds marks: of "aaa", "aa" leaves an "a"."""
    if not mark or bytes(text[-len(mark) :]) != mark:
        return False
    return bytes(text).split(mark)[-1] == b""


def write_vocabulary(spec: EncodingSpec, file: Path, fd: int) -> None:
    """Write a vocabulary to an empty file in memory, in the form that the core uses. Raises: as `open_vocabulary`."""
    block = load_vocabulary(spec, file).block
    os.ftruncate(fd, len(block))
    with mmap.mmap(fd, len(block)) as shared:
        shared[:] = bytes(block)


def load_vocabulary(spec: EncodingSpec, file: Path) -> Vocabulary:
    """Give the vocabulary of a tokenizer's file. Raises: as `open_vocabulary`."""
    from oomguard.preparation.encoding.block_cache import open_vocabulary  # 3 ms, which workers need not pay

    return open_vocabulary(file, ranks=partial(rank_text, spec), sha256=spec.sha256)


def map_vocabulary(fd: int) -> Vocabulary:
    """Map what `write_vocabulary` wrote. Raises: ValueError if it is none."""
    return Vocabulary(mmap.mmap(fd, 0, prot=mmap.PROT_READ))
