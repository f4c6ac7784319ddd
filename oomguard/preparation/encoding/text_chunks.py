"""A chunk of plain text, or the end or begin of one, into tokens; a mark in it ends a document."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from oomguard.preparation.encoding.chunk_problems import PROBLEMS, SeparatorAppears, as_far_as, problem_with
from oomguard.preparation.encoding.safe_cuts import origins_in_text
from oomguard.preparation.encoding.tokenizers import BadUtf8
from oomguard.preparation.encoding.zeros import not_text
from oomguard.preparation.engines.messages import Encoded, EncodeTask

if TYPE_CHECKING:
    from oomguard.preparation.encoding.chunk_tools import ChunkTools


class TextChunks:
    """Encodes them, one after another."""

    def __init__(self, tools: ChunkTools) -> None:
        self._tools = tools

    def encode(self, task: EncodeTask) -> Encoded:
        """Encode a chunk into its slot. Raises: OSError if its file cannot be read."""
        raw = self._tools.bytes.read(task)
        if what := not_text(raw, is_first=task.starts_document):
            return Encoded(slot=task.slot, error="not text", error_text=what)
        mark = task.mark.encode("latin-1")
        strip = task.strip_mark and self._ends_with_mark(raw, mark)
        text: Any = self._tools.unified(bytes(raw)) if self._tools.config.newlines == "universal" else raw
        repaired = 0
        try:
            try:
                answer = self._text_answer(task, text, mark, strip=strip, repaired=0)
            except BadUtf8:
                text, repaired = self._clean(bytes(raw), mark)
                answer = self._text_answer(task, text, mark, strip=strip, repaired=repaired)
            return self._with_text_origins(task, answer, raw, mark, strip=strip)
        except PROBLEMS as problem:
            at = getattr(problem, "at", 0)
            documents = self._tools.unified(bytes(raw[:at])).count(mark) if mark else 0
            answer = problem_with(task, problem, at=at, documents=documents, start=bytes(raw[at : at + 4]))
            if not (self._tools.config.to_the_fault and isinstance(problem, BadUtf8) and at):
                return answer
            task, raw = replace(task, ends_document=True), raw[:at]
            kept = self._text_answer(task, self._tools.unified(bytes(raw)), mark, strip=False, repaired=0)
            return as_far_as(answer, self._with_text_origins(task, kept, raw, mark, strip=False))

    def _text_answer(self, task: EncodeTask, text: Any, mark: bytes, *, strip: bool, repaired: int) -> Encoded:
        if strip:
            text = text[: len(text) - len(mark)]
        tokens, ends = self._tools.room(task)
        base = 0
        if task.starts_document and self._tools.config.eot == "before":
            tokens[0] = self._tools.eot
            base = 1
        count, documents = self._tools.engine.encode(
            text,
            mark=mark,
            eot=self._tools.eot,
            tokens=tokens[base:],
            ends=ends,
            before=base - (self._tools.config.eot == "before"),
            scratch=self._tools.scratch(task),
        )
        if self._tools.verifier.is_due():
            self._tools.verifier.look_at_text(text, tokens[base : base + count], mark=mark, eot=self._tools.eot)
        count += base
        if task.ends_document:
            if self._tools.config.eot == "after":
                tokens[count] = self._tools.eot
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
        if not self._tools.config.with_origins:
            return answer
        count = answer.documents
        unified = self._tools.config.newlines == "universal"
        begun = origins_in_text(
            bytes(raw), mark, universal_newlines=unified, first=task.origin, begins=task.starts_document
        )
        if len(begun) != count + (not task.ends_document) + strip:
            raise SeparatorAppears
        self._tools.slots.origins(task.slot, count)[:] = memoryview(begun)[:count]
        return answer if task.ends_document else replace(answer, open_from=begun[count])

    def _clean(self, raw: bytes, mark: bytes) -> tuple[bytes, int]:
        """Give well-formed text with the line ends that were asked for, and how many bytes were not valid UTF-8."""
        if self._tools.config.errors == "strict":
            try:
                raw.decode()
            except UnicodeDecodeError as error:
                raise BadUtf8(error.start) from error
        kept = raw.decode(errors="ignore").encode()
        if self._tools.config.errors == "skip":
            self._require_same_documents(raw, kept, mark)
            return self._tools.unified(kept), len(raw) - len(kept)
        return self._tools.unified(raw.decode(errors="replace").encode()), len(raw) - len(kept)

    def _ends_with_mark(self, raw: Any, mark: bytes) -> bool:
        r"""Not so "a\n\n\n" for "\n\n": its last document is a line feed. Invalid bytes are a document too."""
        if not mark or not self._tools.unified(bytes(raw[-2 * len(mark) :])).endswith(mark):
            return False
        *documents, last = self._tools.unified(bytes(raw)).split(mark)
        return bool(documents) and not last

    def _require_same_documents(self, raw: bytes, kept: bytes, mark: bytes) -> None:
        """Cuts keep clear of the separators that are in the file; one that only now appears could be on both sides."""
        if not mark:
            return
        documents = [part.decode(errors="ignore").encode() for part in self._tools.unified(raw).split(mark)]
        if documents != self._tools.unified(kept).split(mark):
            raise SeparatorAppears
