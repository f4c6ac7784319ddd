"""A chunk of documents into tokens: lines or values of JSON, rows of Parquet, or what the stream reader has found."""

from __future__ import annotations

import re
from array import array
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from oomguard.preparation.encoding.chunk_problems import PROBLEMS, as_far_as, bad_input, problem_with
from oomguard.preparation.encoding.tokenizers import BadUtf8
from oomguard.preparation.engines.allocators import give_back_after
from oomguard.preparation.engines.messages import Encoded, EncodeTask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oomguard.preparation.encoding.chunk_tools import ChunkTools

_LINE_END = re.compile(rb"\n")


class DocumentChunks:
    """Encodes them, one after another."""

    def __init__(self, tools: ChunkTools) -> None:
        self._tools = tools

    def encode_lines(self, task: EncodeTask) -> Encoded:
        """Lines of JSON; each method raises OSError if the file cannot be read."""
        from oomguard.preparation.reading.lines import BadLine, parse_lines

        raw = self._tools.bytes.read(task)
        try:
            found = parse_lines(raw, field=task.field, errors=self._tools.config.errors, at_start=task.starts_document)
        except BadLine as problem:
            answer = bad_input(task, problem)
            if not (self._tools.config.to_the_fault and problem.row):
                return answer
            before = b"".join(line + b"\n" for line in bytes(raw).split(b"\n", problem.row)[: problem.row])
            found = parse_lines(before, field=task.field, errors="skip", at_start=task.starts_document)
            return as_far_as(answer, self._encode_parsed(task, found, self._lines_begin(raw)))
        return self._encode_parsed(task, found, self._lines_begin(raw))

    def _lines_begin(self, raw: memoryview) -> Sequence[int]:
        """Where each line begins in a chunk; nothing where nobody wants to know."""
        begins = array("q", [0])
        if self._tools.config.with_origins:
            begins.extend(match.end() for match in _LINE_END.finditer(raw))
        return begins

    def _encode_parsed(self, task: EncodeTask, found: Any, origins: Sequence[int]) -> Encoded:
        answer = self._documents_answer(task, Encoded(slot=task.slot), found.text, found.offsets, rows=found.rows)
        self._note_origins(task, 0, found.rows, origins)
        return replace(self._end_documents(answer), lines=found.lines, left_out=len(found.bad))

    def encode_values(self, task: EncodeTask) -> Encoded:
        """Values of JSON that the stream reader found."""
        from oomguard.preparation.reading.lines import BadLine, parse_values
        from oomguard.preparation.reading.pieces import unpack

        text, sizes, origins = unpack(self._tools.bytes.read(task))
        ends = list(accumulate(sizes, initial=0))
        values = [bytes(text[start:end]) for start, end in pairwise(ends)]
        try:
            found = parse_values(values, field=task.field, errors=self._tools.config.errors)
        except BadLine as problem:
            answer = bad_input(task, problem)
            if not (self._tools.config.to_the_fault and problem.row):
                return answer
            kept = parse_values(values[: problem.row], field=task.field, errors="skip")
            return as_far_as(answer, self._encode_parsed(task, kept, origins))
        return self._encode_parsed(task, found, origins)

    def encode_packed(self, task: EncodeTask) -> Encoded:
        """Documents that the stream reader found; one that is not there is a null, or could not be read."""
        from oomguard.preparation.reading.lines import BadLine
        from oomguard.preparation.reading.pieces import unpack

        text, sizes, origins = unpack(self._tools.bytes.read(task))
        rows = [row for row, size in enumerate(sizes) if size >= 0]
        if len(rows) < len(sizes) and self._tools.config.errors != "skip":
            missing = next(row for row, size in enumerate(sizes) if size < 0)
            bad = bad_input(task, BadLine(missing, "null", "leave such rows out with --errors skip"))
            if not (self._tools.config.to_the_fault and missing):
                return bad
            offsets = array("q", accumulate(sizes[:missing], initial=0))
            answer = self._documents_answer(task, Encoded(slot=task.slot), text, offsets, rows=range(missing))
            self._note_origins(task, 0, range(missing), origins)
            return as_far_as(bad, self._end_documents(answer))
        offsets = array("q", accumulate((sizes[row] for row in rows), initial=0))
        answer = self._documents_answer(task, Encoded(slot=task.slot), text, offsets, rows=rows)
        self._note_origins(task, 0, rows, origins)
        return replace(self._end_documents(answer), left_out=len(sizes) - len(rows))

    def encode_rows(self, task: EncodeTask) -> Encoded:
        """Rows of Parquet."""
        from oomguard.preparation.reading.parquet import BadRow, read_rows

        answer = Encoded(slot=task.slot)
        config = self._tools.config
        try:
            rows = read_rows(task, field=task.field, errors=config.errors, most=config.most_text, once=config.read_once)
            for found in rows:
                self._note_origins(task, answer.documents, found.rows, ())
                answer = self._documents_answer(task, answer, found.text, found.offsets, rows=found.rows)
                if answer.error is not None:
                    return self._end_documents(answer)
                answer = replace(
                    answer,
                    rows=answer.rows + found.done,
                    left_out=answer.left_out + found.left_out,
                    read=[*answer.read, *map(list, found.read)],
                )
                del found
        except BadRow as problem:
            bad = bad_input(task, problem)
            return as_far_as(bad, self._end_documents(answer)) if self._tools.config.to_the_fault else bad
        finally:
            give_back_after(task.size)
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
                if self._tools.config.errors == "strict":
                    raise
                text, offsets, repaired = _clean_documents(text, offsets, self._tools.config.errors)
                return self._encode_documents(task, before, text, offsets, repaired=repaired)
        except PROBLEMS as problem:
            at = getattr(problem, "at", 0)
            document = max((i for i in range(len(offsets) - 1) if offsets[i] <= at), default=0)
            start = bytes(memoryview(text)[at : at + 4])
            answer = problem_with(task, problem, at=rows[document], documents=before.documents + document, start=start)
            if not (self._tools.config.to_the_fault and isinstance(problem, BadUtf8)):
                return answer
            kept = before
            if document:
                kept = self._encode_documents(task, before, text, offsets[: document + 1], repaired=0)
            return as_far_as(answer, kept)

    def _encode_documents(
        self, task: EncodeTask, before: Encoded, text: Any, offsets: Any, *, repaired: int
    ) -> Encoded:
        tokens, ends = self._tools.room(task)
        base = before.tokens
        is_before = self._tools.config.eot == "before"
        if is_before and not before.documents:
            tokens[0] = self._tools.eot
            base = 1
        count = self._tools.engine.encode_documents(
            text,
            offsets,
            eot=self._tools.eot,
            tokens=tokens[base:],
            ends=ends[before.documents :],
            before=base - is_before,
            scratch=self._tools.scratch(task),
        )
        if self._tools.verifier.is_due():
            self._tools.verifier.look_at_documents(text, offsets, tokens[base : base + count], eot=self._tools.eot)
        return replace(
            before,
            tokens=base + count,
            documents=before.documents + len(offsets) - 1,
            text_bytes=before.text_bytes + offsets[-1] - offsets[0],
            repaired=before.repaired + repaired,
        )

    def _note_origins(self, task: EncodeTask, before: int, rows: Sequence[int], origins: Sequence[int]) -> None:
        """Write down where documents begin, behind `before` others: lines and values of a chunk have `origins`."""
        if not self._tools.config.with_origins:
            return
        base = 0 if task.kind in ("documents", "values") else task.origin
        places = array("q", (base + (origins[row] if origins else row) for row in rows))
        self._tools.slots.origins(task.slot, before + len(places))[before:] = memoryview(places)

    def _end_documents(self, answer: Encoded) -> Encoded:
        """With end-of-text before each document, what was written behind the last one would be the next one's."""
        extra = self._tools.config.eot == "before" and answer.documents
        return replace(answer, tokens=answer.tokens - 1) if extra else answer


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
