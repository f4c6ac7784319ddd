"""One piece of text into tokens: read, check, encode in stretches that fit the CPU's cache, count documents."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from oomguard.estimation.learning import Learning
from oomguard.preparation.encoding.cutting import split_pieces
from oomguard.preparation.encoding.encodings import find_encoding
from oomguard.preparation.encoding.safe_cuts import last_safe_cut, unify_newlines
from oomguard.preparation.encoding.tokenizers import EngineCannotEncode, make_engine
from oomguard.preparation.encoding.verifier import PROBE_BYTES, EngineDiffers, Verifier
from oomguard.preparation.engines.allocators import trim_heap
from oomguard.preparation.engines.messages import Encoded, EncoderConfig, EncodeTask
from oomguard.preparation.engines.own_memory import OwnMemory
from oomguard.preparation.engines.slots import SlotLayout, Slots

if TYPE_CHECKING:
    import numpy.typing as npt

    from oomguard.preparation.encoding.cutting import Read
    from oomguard.preparation.encoding.tokenizers import Tokens

# Measured (MB/s of gigatoken, by bytes a call): 64 KiB 369, 256 KiB 719, 1 MiB 673, 4 MiB 353. Larger results are
# mapped and unmapped for each call.
_STRETCH = 1 << 18


class BadUtf8(Exception):
    """Carries where in the stretch the first invalid byte is."""

    def __init__(self, at: int) -> None:
        super().__init__(at)
        self.at = at


class WordTooLong(Exception):
    """A stretch has no safe cut and needs more memory than there is; carries its size in bytes."""


class SeparatorAppears(Exception):
    """Leaving out the invalid bytes of a stretch makes or moves a separator."""


class PieceEncoder:
    """Encodes one piece after another into the slots."""

    def __init__(self, config: EncoderConfig) -> None:
        self.memory = OwnMemory()
        self._config = config
        self._spec = find_encoding(config.encoding)
        self._dtype = np.dtype(f"<u{self._spec.token_bytes}")
        self._mark = config.mark.encode("latin-1")
        layout = SlotLayout(longest_piece=config.longest_piece, token_bytes=self._spec.token_bytes, slots=config.slots)
        self._slots = Slots(layout, config.slots_fd)
        self._cut = partial(
            last_safe_cut,
            family=self._spec.family,
            separator=self._mark,
            universal_newlines=config.newlines == "universal",
        )
        self._engine = make_engine(self._spec, Path(config.rank_file), mark=self._mark)
        self._verifier = Verifier(config, self._spec, self._mark)
        self._learning = Learning(self.memory.anonymous(), learn=config.learn, growth=config.growth)
        self._file: tuple[str, int] | None = None

    def be_forked(self, *, verify: bool) -> None:
        """Go on as a process that has just been forked from this one."""
        self.memory = OwnMemory()  # what was opened before the fork shows the other process
        self._learning.begin_anew(self.memory.anonymous())
        self._verifier.be_forked(verify=verify)

    def encode(self, task: EncodeTask) -> Encoded:
        """Encode a piece into its slot.

        Raises: OSError if its file cannot be read.
        """
        if self._verifier.needs_loading:
            self._load_reference()
        output = _SlotWriter(self._slots, task.slot, self._dtype, self._spec.eot, self._config)
        output.begin(starts_document=task.starts_document)
        repaired = 0
        done = 0
        verified = self._verifier.counts()
        for raw in split_pieces(self._reader(task), self._cut, size=task.size, target=self._stretch_bytes):
            try:
                done += len(raw)
                stretch, lost = self._clean(self._fitting(raw))
                if task.strip_mark and done == task.size and self._ends_with_mark(raw):
                    stretch = stretch[: -len(self._mark)]
                tokens = self._engine.encode(stretch)
                self._verifier.look_at(stretch, tokens)
            except tuple(_PROBLEMS) as problem:
                return self._problem(problem, task.slot, done, raw, output.documents)
            output.add(tokens)
            repaired += lost
            if self._learning.is_too_much(self.memory.anonymous(), len(raw)):
                self._forget()
        try:
            self._verifier.finish_piece()
        except EngineDiffers as problem:
            return self._problem(problem, task.slot, done, b"", output.documents)
        output.end(ends_document=task.ends_document)
        documents, sample = (now - before for now, before in zip(self._verifier.counts(), verified, strict=True))
        return Encoded(
            slot=task.slot,
            tokens=output.count,
            documents=output.documents,
            repaired=repaired,
            verified_documents=documents,
            verified_bytes=sample,
            rss=self.memory.rss(),
            learned=self.memory.anonymous() - self._learning.empty,
            leaves=self._has_learned_enough(),
        )

    def _load_reference(self) -> None:
        """Not before others were forked, which can begin meanwhile. It is not counted as what was learned."""
        before = self.memory.anonymous()
        self._verifier.load()
        self._learning.empty += max(0, self.memory.anonymous() - before)

    def _has_learned_enough(self) -> bool:
        held = self.memory.anonymous()
        enough = self._learning.is_enough(held)
        if enough and not self._learning.is_worth_keeping(held):
            self._forget()  # else every process would be born with it
        return enough

    def _forget(self) -> None:
        """Give back what the tokenizer learned: a piece of nothing but new words cannot wait for its end."""
        self._engine.renew()
        trim_heap()
        self._learning.forgot(self.memory.anonymous())

    def _fitting(self, raw: bytes) -> bytes:
        if len(raw) > max(self._config.longest_word, 2 * _STRETCH):
            raise WordTooLong(str(len(raw)))
        return raw

    def _stretch_bytes(self) -> int:
        return PROBE_BYTES if self._verifier.is_due() else _STRETCH

    def _reader(self, task: EncodeTask) -> Read:
        if task.path is None:
            text = self._slots.text(task.slot, task.size)
            return lambda start, length: bytes(text[start : start + length])
        fd = self._open(task.path)

        def read(start: int, length: int) -> bytes:
            got = os.pread(fd, min(length, task.size - start), task.offset + start)
            if len(got) < min(length, task.size - start):
                raise OSError(0, "the file became shorter while it was read")
            return got

        return read

    def _open(self, path: str) -> int:
        if self._file is None or self._file[0] != path:
            if self._file is not None:
                os.close(self._file[1])
            self._file = None
            self._file = (path, os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        return self._file[1]

    def _clean(self, raw: bytes) -> tuple[bytes, int]:
        """Give well-formed text with the line ends that were asked for, and how many bytes were no UTF-8."""
        lost = 0
        if not _is_utf8(raw):
            kept = raw.decode(errors="ignore").encode()
            lost = len(raw) - len(kept)
            if self._config.errors == "strict":
                try:
                    raw.decode()
                except UnicodeDecodeError as error:
                    raise BadUtf8(error.start) from error
            if self._config.errors == "skip":
                self._require_same_documents(raw, kept)
            raw = kept if self._config.errors == "skip" else raw.decode(errors="replace").encode()
        return self._with_newlines(raw), lost

    def _with_newlines(self, text: bytes) -> bytes:
        return unify_newlines(text) if self._config.newlines == "universal" else text

    def _ends_with_mark(self, raw: bytes) -> bool:
        r"""Not so "a\n\n\n" for "\n\n": its last document is a line feed. Invalid bytes are a document too."""
        *documents, last = self._with_newlines(raw).split(self._mark)
        return bool(documents) and not last

    def _require_same_documents(self, raw: bytes, kept: bytes) -> None:
        """Cuts keep clear of the separators that are in the file; one that only now appears could be on both sides."""
        if not self._mark:
            return
        documents = [part.decode(errors="ignore").encode() for part in self._with_newlines(raw).split(self._mark)]
        if documents != self._with_newlines(kept).split(self._mark):
            raise SeparatorAppears

    def _problem(self, problem: Exception, slot: int, done: int, raw: bytes, documents: int) -> Encoded:
        """Say where in the piece it is: `done` bytes with this stretch, `documents` that ended before it."""
        at = problem.at if isinstance(problem, BadUtf8) else 0
        before = self._with_newlines(raw[:at]).count(self._mark) if self._mark else 0
        return Encoded(
            slot=slot,
            error=_PROBLEMS[type(problem)],
            error_at=done - len(raw) + at,
            error_documents=documents + before,
            error_text=raw[:4].hex() if isinstance(problem, BadUtf8) else str(problem),
        )


_PROBLEMS: dict[type[Exception], str] = {
    BadUtf8: "utf8",
    WordTooLong: "word",
    SeparatorAppears: "separator",
    EngineDiffers: "differs",
    EngineCannotEncode: "engine",
}


def _is_utf8(text: bytes) -> bool:
    """Check with Arrow: 5.7 GB/s, where decoding to str does 1.1 (measured on FineWeb)."""
    offsets = pa.py_buffer(np.array([0, len(text)], np.int64))
    array = pa.Array.from_buffers(pa.large_string(), 1, [None, offsets, pa.py_buffer(text)])
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


class _SlotWriter:
    """Puts the tokens of one piece into its slot, with end-of-text where it belongs."""

    def __init__(self, slots: Slots, slot: int, dtype: np.dtype[Any], eot: int, config: EncoderConfig) -> None:
        most = (3 * slots.layout.longest_piece + 2) * slots.layout.token_bytes // dtype.itemsize
        self._to = np.frombuffer(slots.memory, dtype, most, slots.tokens_start(slot))
        self._ends_to = np.frombuffer(slots.ends(slot, slots.layout.longest_piece + 1), np.int64)
        self._eot = eot
        self._config = config
        self.count = 0
        self.documents = 0

    def begin(self, *, starts_document: bool) -> None:
        if starts_document and self._config.eot == "before":
            self._put_eot()

    def add(self, tokens: Tokens) -> None:
        if self._config.mark:
            marks = np.flatnonzero(tokens == self._eot)
            if len(marks):
                if self._config.eot == "none":
                    tokens = np.delete(tokens, marks)
                    marks -= np.arange(len(marks))
                elif self._config.eot == "after":
                    marks += 1
                self._note_ends(marks + self.count)
        self._to[self.count : self.count + len(tokens)] = tokens
        self.count += len(tokens)

    def end(self, *, ends_document: bool) -> None:
        if ends_document:
            if self._config.eot == "after":
                self._put_eot()
            self._note_ends(np.array([self.count]))

    def _put_eot(self) -> None:
        self._to[self.count] = self._eot
        self.count += 1

    def _note_ends(self, ends: npt.NDArray[np.int64]) -> None:
        if self._config.with_ends:
            self._ends_to[self.documents : self.documents + len(ends)] = ends
        self.documents += len(ends)
