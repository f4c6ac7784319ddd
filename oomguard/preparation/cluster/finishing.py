"""The parts of a job, laid out as the shards that `prepare` would have written on one machine.

They go through the writer of `prepare`, in the order of the input: so the bytes are the same, and a run that was
stopped resumes from its last checkpoint.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oomguard.errors import NothingFound
from oomguard.kernel import safe_files
from oomguard.preparation.api import settle
from oomguard.preparation.cluster.parts import open_part
from oomguard.preparation.laying_out import lay_out

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oomguard.preparation.cluster.job_file import JobFile
    from oomguard.preparation.model import ShardSet
    from oomguard.preparation.writing.token_sink import EncodedPiece

_LISTED = 5


def finish(job_file: JobFile, *, max_rss: int | None = None, keep_parts: bool = False) -> ShardSet:
    """Write the shards; parts are removed when all is done, unless `keep_parts`.

    Raises: NothingFound if units are missing, with their numbers; OomguardError as `prepare` does.
    """
    job_file.require_same_folder()
    _require_all(job_file)
    resolved = job_file.resolve()
    with ExitStack() as stack:
        sources = list(job_file.sources)
        job, budget = settle(stack, sources, job_file.options, resolved, max_rss, notes=job_file.notes)
        parts = _Parts(job_file, resolved.spec.token_bytes)
        result = lay_out(job, budget, parts, stack, encoded_bytes=resolved.spec.token_bytes, made_of=job_file.sha256)
    job_file.note_finished()
    if not keep_parts:
        for number in range(len(job_file.units)):
            safe_files.unlink(job_file.part_file(number))
    return result


def _require_all(job_file: JobFile) -> None:
    missing = job_file.missing()
    if missing:
        shown = ", ".join(map(str, missing[:_LISTED])) + (" ..." if len(missing) > _LISTED else "")
        raise NothingFound(
            f"{len(missing):,} of {len(job_file.units):,} units are not done: {shown}",
            do=f"{job_file.command(missing[0])} (without --unit it does all that are left)",
        )


@dataclass(frozen=True, slots=True)
class _Parts:
    job_file: JobFile
    token_bytes: int

    def pieces(self, position: dict[str, Any]) -> Iterator[EncodedPiece]:
        """All pieces from a position on; a part is checked as a whole before its first one is taken."""
        first = position.get("unit", 0)
        for number in range(first, len(self.job_file.units)):
            part = open_part(
                self.job_file.part_file(number), job=self.job_file.sha256, unit=number, token_bytes=self.token_bytes
            )
            at = position if number == first else {}
            yield from part.pieces(number, segment=at.get("segment", 0), token=at.get("token", 0))
