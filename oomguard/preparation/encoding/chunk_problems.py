"""What can be wrong with the text of a chunk, as a worker answers it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from oomguard.preparation.encoding.tokenizers import BadUtf8, EngineCannotEncode, NeedsRoom
from oomguard.preparation.encoding.verifier import EngineDiffers
from oomguard.preparation.engines.messages import Encoded, EncodeTask


class SeparatorAppears(Exception):
    """Leaving out the invalid bytes of a chunk makes or moves a separator."""


_NAMES: dict[type[Exception], str] = {
    BadUtf8: "utf8",
    NeedsRoom: "room",
    SeparatorAppears: "separator",
    EngineDiffers: "differs",
    EngineCannotEncode: "engine",
}


PROBLEMS = tuple(_NAMES)


def problem_with(task: EncodeTask, problem: Exception, *, at: int, documents: int, start: bytes) -> Encoded:
    """What an engine, or who looks over its shoulder, has found: one of PROBLEMS."""
    return Encoded(
        slot=task.slot,
        error=_NAMES[type(problem)],
        error_at=at,
        error_documents=documents,
        error_text=start.hex() if isinstance(problem, BadUtf8) else str(problem),
        needs=problem.size if isinstance(problem, NeedsRoom) else 0,
    )


def bad_input(task: EncodeTask, problem: Any) -> Encoded:
    """What a reader found wrong: a BadLine or a BadRow."""
    return Encoded(slot=task.slot, error="input", error_at=problem.row, error_text=problem.what, error_do=problem.do)


def as_far_as(problem: Encoded, kept: Encoded) -> Encoded:
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
