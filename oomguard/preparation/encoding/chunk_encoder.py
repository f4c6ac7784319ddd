"""One chunk of the input into tokens: read, check, encode, count documents, compare a sample."""

from __future__ import annotations

import os
import re
from array import array
from dataclasses import replace
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isal import isal_zlib  # its CRC-32 is zlib's, in a tenth of the time

from oomguard.kernel.plain_files import open_input, read_into
from oomguard.preparation.encoding.encodings import EncodingSpec
from oomguard.preparation.encoding.load_engine import load_engine
from oomguard.preparation.encoding.native import private_memory
from oomguard.preparation.encoding.safe_cuts import unify_newlines
from oomguard.preparation.encoding.tokenizers import BadUtf8, EngineCannotEncode, NeedsRoom
from oomguard.preparation.encoding.verifier import EngineDiffers, Verifier
from oomguard.preparation.encoding.zeros import not_text
from oomguard.preparation.engines.messages import Encoded, EncodeTask, WorkerConfig
from oomguard.preparation.engines.slots import SlotLayout, Slots
from oomguard.units import MIB

if TYPE_CHECKING:
    from collections.abc import Sequence

_USUAL_CHUNK = 2 * MIB  # whose buffer is kept; where it is not reached, it takes no memory
_PAGE = os.sysconf("SC_PAGE_SIZE")
_NO_ENDS = memoryview(b"")
_LINE_END = re.compile(rb"\n")


class SeparatorAppears(Exception):
    """Leaving out the invalid bytes of a chunk makes or moves a separator."""


class ChunkEncoder:
    """Encodes one chunk after another into the slots."""

    def __init__(self, config: WorkerConfig) -> None:
        self._config = config
        self._spec = EncodingSpec(**config.spec)
        layout = SlotLayout(
            longest_piece=config.longest_piece,
            token_bytes=self._spec.token_bytes,
            slots=config.slots,
            with_origins=config.with_origins,
        )
        self._slots = Slots(layout, config.slots_fd)
        self._engine = load_engine(
            self._spec, Path(config.rank_file), cache_bits=config.cache_bits, vocabulary_fd=config.vocabulary_fd
        )
        self._verifier = Verifier(config.verify, self._spec, config.rank_file, engine=self._engine.name)
        self._eot = self._spec.eot if config.eot != "none" else -1
        self._buffer = private_memory(_USUAL_CHUNK)
        self._crc = 0  # of the bytes of the file that the chunk is
        self._file: tuple[str, int] | None = None
        self._statm = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)

    @property
    def engine_name(self) -> str:
        """What encodes."""
        return self._engine.name

    def encode(self, task: EncodeTask) -> Encoded:
        """Encode a chunk into its slot; what is wrong with its text is in the answer.

        Raises: OSError if its file cannot be read.
        """
        before = self._verifier.documents, self._verifier.bytes
        self._crc = 0
        encode = {
            "text": self._encode_text,
            "lines": self._encode_lines,
            "rows": self._encode_rows,
            "documents": self._encode_packed,
            "values": self._encode_values,
        }[task.kind]
        answer = encode(task)
        if answer.error is not None:
            return answer
        return _with(
            answer,
            crc=self._crc,
            verified_documents=self._verifier.documents - before[0],
            verified_bytes=self._verifier.bytes - before[1],
            rss=self._rss(),
        )

    # ---- text ----

    def _encode_text(self, task: EncodeTask) -> Encoded:
        raw = self._read(task)
        if what := not_text(raw, is_first=task.starts_document):
            return Encoded(slot=task.slot, error="not text", error_text=what)
        mark = task.mark.encode("latin-1")
        strip = task.strip_mark and self._ends_with_mark(raw, mark)
        text: Any = unify_newlines(bytes(raw)) if self._config.newlines == "universal" else raw
        repaired = 0
        try:
            try:
                answer = self._text_answer(task, text, mark, strip=strip, repaired=0)
            except BadUtf8:
                text, repaired = self._clean(bytes(raw), mark)
                answer = self._text_answer(task, text, mark, strip=strip, repaired=repaired)
            return self._with_text_origins(task, answer, raw, mark, strip=strip)
        except (BadUtf8, NeedsRoom, EngineDiffers, EngineCannotEncode, SeparatorAppears) as problem:
            at = getattr(problem, "at", 0)
            documents = self._unified(bytes(raw[:at])).count(mark) if mark else 0
            answer = _problem(task, problem, at=at, documents=documents, start=bytes(raw[at : at + 4]))
            if not (self._config.to_the_fault and isinstance(problem, BadUtf8) and at):
                return answer
            task, raw = replace(task, ends_document=True), raw[:at]
            kept = self._text_answer(task, self._unified(bytes(raw)), mark, strip=False, repaired=0)
            return _as_far_as(answer, self._with_text_origins(task, kept, raw, mark, strip=False))

    def _text_answer(self, task: EncodeTask, text: Any, mark: bytes, *, strip: bool, repaired: int) -> Encoded:
        if strip:
            text = text[: len(text) - len(mark)]
        tokens, ends = self._room(task)
        base = 0
        if task.starts_document and self._config.eot == "before":
            tokens[0] = self._eot
            base = 1
        count, documents = self._engine.encode(
            text,
            mark=mark,
            eot=self._eot,
            tokens=tokens[base:],
            ends=ends,
            before=base - (self._config.eot == "before"),
            scratch=self._scratch(task),
        )
        if self._verifier.is_due():
            self._verifier.look_at_text(text, tokens[base : base + count], mark=mark, eot=self._eot)
        count += base
        if task.ends_document:
            if self._config.eot == "after":
                tokens[count] = self._eot
                count += 1
            if len(ends):
                ends[documents] = count
            documents += 1
        is_open = not task.ends_document and not (mark and bytes(text[-len(mark) :]) == mark)
        return Encoded(
            slot=task.slot, tokens=count, documents=documents, text_bytes=task.size, repaired=repaired, is_open=is_open
        )

    def _with_text_origins(self, task: EncodeTask, answer: Encoded, raw: Any, mark: bytes, *, strip: bool) -> Encoded:
        """Write down where the documents begin that end in a text; the first may have begun before it: -1."""
        if not self._config.with_origins:
            return answer
        from oomguard.preparation.encoding.safe_cuts import origins_in_text

        count = answer.documents
        unified = self._config.newlines == "universal"
        begun = origins_in_text(
            bytes(raw), mark, universal_newlines=unified, first=task.origin, begins=task.starts_document
        )
        if len(begun) != count + (not task.ends_document) + strip:
            raise SeparatorAppears
        self._slots.origins(task.slot, count)[:] = memoryview(begun)[:count]
        return answer if task.ends_document else _with(answer, open_from=begun[count])

    def _clean(self, raw: bytes, mark: bytes) -> tuple[bytes, int]:
        """Give well-formed text with the line ends that were asked for, and how many bytes were not valid UTF-8."""
        if self._config.errors == "strict":
            try:
                raw.decode()
            except UnicodeDecodeError as error:
                raise BadUtf8(error.start) from error
        kept = raw.decode(errors="ignore").encode()
        if self._config.errors == "skip":
            self._require_same_documents(raw, kept, mark)
            return self._unified(kept), len(raw) - len(kept)
        return self._unified(raw.decode(errors="replace").encode()), len(raw) - len(kept)

    def _unified(self, text: bytes) -> bytes:
        return unify_newlines(text) if self._config.newlines == "universal" else text

    def _ends_with_mark(self, raw: Any, mark: bytes) -> bool:
        r"""Not so "a\n\n\n" for "\n\n": its last document is a line feed. Invalid bytes are a document too."""
        if not mark or not self._unified(bytes(raw[-2 * len(mark) :])).endswith(mark):
            return False
        *documents, last = self._unified(bytes(raw)).split(mark)
        return bool(documents) and not last

    def _require_same_documents(self, raw: bytes, kept: bytes, mark: bytes) -> None:
        """Cuts keep clear of the separators that are in the file; one that only now appears could be on both sides."""
        if not mark:
            return
        documents = [part.decode(errors="ignore").encode() for part in self._unified(raw).split(mark)]
        if documents != self._unified(kept).split(mark):
            raise SeparatorAppears

    # ---- documents of JSON Lines and Parquet ----

    def _encode_lines(self, task: EncodeTask) -> Encoded:
        from oomguard.preparation.reading.lines import BadLine, parse_lines, parse_values

        raw = self._read(task)
        try:
            found = parse_lines(raw, field=task.field, errors=self._config.errors, at_start=task.starts_document)
        except BadLine as problem:
            answer = _bad_input(task, problem)
            if not (self._config.to_the_fault and problem.row):
                return answer
            lines = bytes(raw).split(b"\n", problem.row)[: problem.row]
            found = parse_values(lines, field=task.field, errors="skip")
            return _as_far_as(answer, self._encode_parsed(task, found, self._lines_begin(raw)))
        return self._encode_parsed(task, found, self._lines_begin(raw))

    def _lines_begin(self, raw: memoryview) -> Sequence[int]:
        """Where each line begins in a chunk; nothing where nobody wants to know."""
        begins = array("q", [0])
        if self._config.with_origins:
            begins.extend(match.end() for match in _LINE_END.finditer(raw))
        return begins

    def _encode_parsed(self, task: EncodeTask, found: Any, origins: Sequence[int]) -> Encoded:
        answer = self._documents_answer(task, Encoded(slot=task.slot), found.text, found.offsets, rows=found.rows)
        self._note_origins(task, 0, found.rows, origins)
        return _with(self._end_documents(answer), lines=found.lines, left_out=len(found.bad))

    def _encode_values(self, task: EncodeTask) -> Encoded:
        from oomguard.preparation.reading.lines import BadLine, parse_values
        from oomguard.preparation.reading.pieces import unpack

        text, sizes, origins = unpack(self._read(task))
        ends = list(accumulate(sizes, initial=0))
        values = [bytes(text[start:end]) for start, end in pairwise(ends)]
        try:
            found = parse_values(values, field=task.field, errors=self._config.errors)
        except BadLine as problem:
            answer = _bad_input(task, problem)
            if not (self._config.to_the_fault and problem.row):
                return answer
            kept = parse_values(values[: problem.row], field=task.field, errors="skip")
            return _as_far_as(answer, self._encode_parsed(task, kept, origins))
        return self._encode_parsed(task, found, origins)

    def _encode_packed(self, task: EncodeTask) -> Encoded:
        """Documents that the stream reader found; one that is not there is a null, or could not be read."""
        from oomguard.preparation.reading.lines import BadLine
        from oomguard.preparation.reading.pieces import unpack

        text, sizes, origins = unpack(self._read(task))
        rows = [row for row, size in enumerate(sizes) if size >= 0]
        if len(rows) < len(sizes) and self._config.errors != "skip":
            missing = next(row for row, size in enumerate(sizes) if size < 0)
            bad = _bad_input(task, BadLine(missing, "null", "leave such rows out with --errors skip"))
            if not (self._config.to_the_fault and missing):
                return bad
            offsets = array("q", accumulate(sizes[:missing], initial=0))
            answer = self._documents_answer(task, Encoded(slot=task.slot), text, offsets, rows=range(missing))
            self._note_origins(task, 0, range(missing), origins)
            return _as_far_as(bad, self._end_documents(answer))
        offsets = array("q", accumulate((sizes[row] for row in rows), initial=0))
        answer = self._documents_answer(task, Encoded(slot=task.slot), text, offsets, rows=rows)
        self._note_origins(task, 0, rows, origins)
        return _with(self._end_documents(answer), left_out=len(sizes) - len(rows))

    def _encode_rows(self, task: EncodeTask) -> Encoded:
        from oomguard.preparation.reading.parquet import BadRow, read_rows

        answer = Encoded(slot=task.slot)
        config = self._config
        try:
            rows = read_rows(task, field=task.field, errors=config.errors, most=config.most_text, once=config.read_once)
            for found in rows:
                self._note_origins(task, answer.documents, found.rows, ())
                answer = self._documents_answer(task, answer, found.text, found.offsets, rows=found.rows)
                if answer.error is not None:
                    return self._end_documents(answer)
                answer = _with(
                    answer,
                    rows=answer.rows + found.done,
                    left_out=answer.left_out + found.left_out,
                    read=[*answer.read, *map(list, found.read)],
                )
                del found
        except BadRow as problem:
            bad = _bad_input(task, problem)
            return _as_far_as(bad, self._end_documents(answer)) if self._config.to_the_fault else bad
        return self._end_documents(answer)

    def _documents_answer(
        self, task: EncodeTask, before: Encoded, text: Any, offsets: Any, *, rows: Sequence[int]
    ) -> Encoded:
        """Encode documents behind those of the chunk that were encoded `before`."""
        if len(offsets) <= 1:
            return before
        try:
            try:
                return self._encode_documents(task, before, text, offsets, repaired=0)
            except BadUtf8:
                if self._config.errors == "strict":
                    raise
                text, offsets, repaired = _clean_documents(text, offsets, self._config.errors)
                return self._encode_documents(task, before, text, offsets, repaired=repaired)
        except (BadUtf8, NeedsRoom, EngineDiffers, EngineCannotEncode) as problem:
            at = getattr(problem, "at", 0)
            document = max((i for i in range(len(offsets) - 1) if offsets[i] <= at), default=0)
            start = bytes(memoryview(text)[at : at + 4])
            answer = _problem(task, problem, at=rows[document], documents=before.documents + document, start=start)
            if not (self._config.to_the_fault and isinstance(problem, BadUtf8)):
                return answer
            kept = before
            if document:
                kept = self._encode_documents(task, before, text, offsets[: document + 1], repaired=0)
            return _as_far_as(answer, kept)

    def _encode_documents(
        self, task: EncodeTask, before: Encoded, text: Any, offsets: Any, *, repaired: int
    ) -> Encoded:
        tokens, ends = self._room(task)
        base = before.tokens
        is_before = self._config.eot == "before"
        if is_before and not before.documents:
            tokens[0] = self._eot
            base = 1
        count = self._engine.encode_documents(
            text,
            offsets,
            eot=self._eot,
            tokens=tokens[base:],
            ends=ends[before.documents :],
            before=base - is_before,
            scratch=self._scratch(task),
        )
        if self._verifier.is_due():
            self._verifier.look_at_documents(text, offsets, tokens[base : base + count], eot=self._eot)
        return _with(
            before,
            tokens=base + count,
            documents=before.documents + len(offsets) - 1,
            text_bytes=before.text_bytes + offsets[-1] - offsets[0],
            repaired=before.repaired + repaired,
        )

    def _note_origins(self, task: EncodeTask, before: int, rows: Sequence[int], origins: Sequence[int]) -> None:
        """Write down where documents begin, behind `before` others: lines and values of a chunk have `origins`."""
        if not self._config.with_origins:
            return
        base = 0 if task.kind in ("documents", "values") else task.origin
        places = array("q", (base + (origins[row] if origins else row) for row in rows))
        self._slots.origins(task.slot, before + len(places))[before:] = memoryview(places)

    def _end_documents(self, answer: Encoded) -> Encoded:
        """With end-of-text before each document, what was written behind the last one would be the next one's."""
        extra = self._config.eot == "before" and answer.documents
        return _with(answer, tokens=answer.tokens - 1) if extra else answer

    # ---- memory ----

    def _room(self, task: EncodeTask) -> tuple[memoryview, memoryview]:
        ends = self._slots.end_room(task.slot) if self._config.with_ends else _NO_ENDS
        return self._slots.token_room(task.slot), ends

    def _scratch(self, task: EncodeTask) -> int:
        return max(task.scratch, self._config.scratch)

    def _read(self, task: EncodeTask) -> memoryview:
        if task.path is None:
            return self._slots.text(task.slot, task.size)
        if not task.size <= len(self._buffer) <= max(_USUAL_CHUNK, task.size):
            self._buffer = private_memory(max(task.size, _USUAL_CHUNK))
        view, fd, got = memoryview(self._buffer)[: task.size], self._open(task.path), 0
        while got < task.size:
            more = read_into(fd, view[got:], task.offset + got, once=self._config.read_once)
            if not more:
                raise OSError(0, "the file became shorter while it was read")
            got += more
        self._crc = isal_zlib.crc32(view)
        return view

    def _open(self, path: str) -> int:
        if self._file is None or self._file[0] != path:
            if self._file is not None:
                os.close(self._file[1])
            self._file = None
            self._file = (path, open_input(path))
        return self._file[1]

    def _rss(self) -> int:
        return int(os.pread(self._statm, 64, 0).split()[1]) * _PAGE


def _clean_documents(text: Any, offsets: Any, errors: str) -> tuple[bytes, array[int], int]:
    """Give the documents as well-formed UTF-8, where they begin, and how many bytes were none."""
    view, parts, ends, lost = memoryview(text), [], array("q", [0]), 0
    for i in range(len(offsets) - 1):
        raw = bytes(view[offsets[i] : offsets[i + 1]])
        kept = raw.decode(errors="ignore").encode()
        lost += len(raw) - len(kept)
        parts.append(kept if errors == "skip" else raw.decode(errors="replace").encode())
        ends.append(ends[-1] + len(parts[-1]))
    return b"".join(parts), ends, lost


def _as_far_as(problem: Encoded, kept: Encoded) -> Encoded:
    """What is wrong, with the documents that come before it."""
    return replace(
        kept,
        error=problem.error,
        error_at=problem.error_at,
        error_documents=problem.error_documents,
        error_text=problem.error_text,
        error_do=problem.error_do,
        needs=problem.needs,
        is_open=False,
    )


_PROBLEMS: dict[type[Exception], str] = {
    BadUtf8: "utf8",
    NeedsRoom: "room",
    SeparatorAppears: "separator",
    EngineDiffers: "differs",
    EngineCannotEncode: "engine",
}


def _problem(task: EncodeTask, problem: Exception, *, at: int, documents: int, start: bytes) -> Encoded:
    return Encoded(
        slot=task.slot,
        error=_PROBLEMS[type(problem)],
        error_at=at,
        error_documents=documents,
        error_text=start.hex() if isinstance(problem, BadUtf8) else str(problem),
        needs=problem.size if isinstance(problem, NeedsRoom) else 0,
    )


def _bad_input(task: EncodeTask, problem: Any) -> Encoded:
    """What a reader found wrong: a BadLine or a BadRow."""
    return Encoded(slot=task.slot, error="input", error_at=problem.row, error_text=problem.what, error_do=problem.do)


def _with(answer: Encoded, **more: Any) -> Encoded:
    return replace(answer, **more)
